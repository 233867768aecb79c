/** How often somebody may try to join, whichever port the request comes through, and how many refusals of strangers are written down. */
import { createLimiter } from '../net/rate-limit.js';

/** As the web API's: auth-grpc-and-routing.md 6.1 goes through it. */
export const ATTEMPTS = { perMinute: 20, burst: 40 };
/** Of all addresses together. */
const RECORDS = { perMinute: 60, burst: 120 };

/** Refusals of one kind: whoever is refused writes no more into the audit log than a person could read. */
export class RecordedRefusals {
  readonly #record: (address: string) => void;
  #unrecorded = 0;

  constructor(nowMs = () => performance.now()) {
    this.#record = createLimiter(RECORDS, nowMs);
  }

  /** One more. @returns how many before it were not recorded, or undefined when this one is not either */
  next(): number | undefined {
    try {
      this.#record('');
    } catch {
      this.#unrecorded++;
      return undefined;
    }
    const before = this.#unrecorded;
    this.#unrecorded = 0;
    return before;
  }
}

export class JoinLimits {
  readonly refusals: RecordedRefusals;
  readonly #attempt: (address: string) => void;

  constructor(nowMs = () => performance.now()) {
    this.refusals = new RecordedRefusals(nowMs);
    this.#attempt = createLimiter(ATTEMPTS, nowMs);
  }

  /** @throws TeleportError `LimitExceeded` */
  attempt(address: string): void {
    this.#attempt(address);
  }
}

/** What a record says of those before it that were left out. */
export const unrecordedField = (count: number) => (count > 0 ? { unrecorded_refusals: count } : {});
