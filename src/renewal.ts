/** Something that must be renewed before its time is over: looked at again and again, as a clock may jump or a host may sleep. */
import { messageOf } from './errors.js';
import type { Logger } from './log.js';

export interface RenewalOptions {
  /** Named in the log: `the certificate of this Proxy`. */
  what: string;
  /** From when on; asked at each look. */
  dueAt: () => Date;
  renew: () => Promise<void>;
  now: () => Date;
  log: Logger;
  /** Between two looks. Default a minute. */
  everyMs?: number | undefined;
}

const LOOK_MS = 60_000;
/** Between two attempts that fail. */
const LONGEST_PAUSE_MS = 3_600_000;

export class Renewal {
  readonly #options: RenewalOptions;
  readonly #timer: NodeJS.Timeout;
  #attempt: Promise<void> | undefined;
  #failures = 0;
  #notBefore = 0;
  #isClosed = false;

  constructor(options: RenewalOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#look(), options.everyMs ?? LOOK_MS).unref();
  }

  /** Look now: something has changed. */
  hurry(): void {
    this.#notBefore = 0;
    this.#look();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#attempt;
  }

  #look(): void {
    const { dueAt, now } = this.#options;
    const at = now();
    if (this.#attempt || at < dueAt() || performance.now() < this.#notBefore) return;
    this.#attempt = this.#renew().finally(() => {
      this.#attempt = undefined;
    });
  }

  async #renew(): Promise<void> {
    const { what, renew, log, everyMs = LOOK_MS } = this.#options;
    try {
      await renew();
      this.#failures = 0;
      log.info('Renewed.', { what });
    } catch (error) {
      if (this.#isClosed) return;
      const pauseMs = Math.min(LONGEST_PAUSE_MS, everyMs * 2 ** this.#failures++);
      this.#notBefore = performance.now() + pauseMs; // a clock that was wrong must not decide how long
      log.warn('Cannot renew, trying again.', { what, error: messageOf(error) });
    }
  }
}
