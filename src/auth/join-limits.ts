/** How often somebody may try to join, whichever port the request comes through, and how many refusals are written down. */
import { createLimiter } from '../net/rate-limit.js';

/** As the web API's: auth-grpc-and-routing.md 6.1 goes through it. */
export const ATTEMPTS = { perMinute: 20, burst: 40 };
/** Of all addresses together. */
const RECORDS = { perMinute: 60, burst: 120 };

export class JoinLimits {
  readonly #attempt: (address: string) => void;
  readonly #record: (address: string) => void;
  #unrecorded = 0;

  constructor(nowMs = () => performance.now()) {
    this.#attempt = createLimiter(ATTEMPTS, nowMs);
    this.#record = createLimiter(RECORDS, nowMs);
  }

  /** @throws TeleportError `LimitExceeded` */
  attempt(address: string): void {
    this.#attempt(address);
  }

  /** A refusal. @returns how many before it were not recorded, or undefined when this one is not either */
  refusal(): number | undefined {
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
