/** How often the Auth Service of a leaf may ask ours, each leaf by itself. */
import { createLimiter } from '../net/rate-limit.js';

/** It asks once about each user who comes, and about all of them again when its line was away. */
export const CALLS = { perMinute: 120, burst: 1_000 };
/** A rotation changes its authority four times. Each change is a durable record, and every host here hears of it. */
export const CHANGES = { perMinute: 10 / 60, burst: 10 };

export class LeafLimits {
  readonly #call: (leaf: string) => void;
  readonly #change: (leaf: string) => void;

  constructor(nowMs = () => performance.now()) {
    this.#call = createLimiter(CALLS, nowMs);
    this.#change = createLimiter(CHANGES, nowMs);
  }

  /** Of any call. @throws TeleportError `LimitExceeded` */
  called(leaf: string): void {
    this.#call(leaf);
  }

  /** Of another authority than before. @throws TeleportError `LimitExceeded` */
  changed(leaf: string): void {
    this.#change(leaf);
  }
}
