/**
 * One `fdatasync` for all that wait: what is written while one runs waits for the next. The first begins when the event loop
 * has read every socket that had something, so that the statements of a moment share it.
 *
 * A failure is final for everybody who waited: the system may have thrown their pages away and say "yes" the next time.
 */
import type { Segment } from './segment.js';

/** Those that wait for the same sync. */
class Batch {
  readonly segments = new Set<Segment>();
  readonly durable: Promise<void>;
  #resolve = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor() {
    this.durable = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.durable.catch(() => {}); // whoever waits for it hears of it
  }

  /** @returns why it failed */
  async run(): Promise<unknown> {
    try {
      for (const segment of this.segments) await segment.sync();
      this.#resolve();
      return undefined;
    } catch (error) {
      this.#reject(error);
      return error;
    }
  }
}

export class Durability {
  #waiting: Batch | undefined;
  #syncing: Batch | undefined;
  #running: Promise<void> | undefined;
  readonly #onSynced: (error: unknown) => void;

  /** @param onSynced  called after each sync, with why it failed */
  constructor(onSynced: (error: unknown) => void) {
    this.#onSynced = onSynced;
  }

  /** Something was written there. @returns resolves when it is durable, rejects when it never will be */
  wrote(segment: Segment): Promise<void> {
    this.#waiting ??= new Batch();
    this.#waiting.segments.add(segment);
    this.#running ??= this.#run();
    return this.#waiting.durable;
  }

  /** Whether somebody waits for it. */
  concerns(segment: Segment): boolean {
    return Boolean(this.#waiting?.segments.has(segment) || this.#syncing?.segments.has(segment));
  }

  /** Resolves when nobody waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting) {
      this.#syncing = this.#waiting;
      this.#waiting = undefined;
      const error = await this.#syncing.run();
      this.#syncing = undefined;
      this.#onSynced(error);
    }
    this.#running = undefined;
  }
}
