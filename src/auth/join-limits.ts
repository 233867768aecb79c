/** How often somebody may try to join, whichever port the request comes through, and how many refusals are written down. */
import { createLimiter } from '../net/rate-limit.js';

/** As the web API's: auth-grpc-and-routing.md 6.1 goes through it. */
const ATTEMPTS = { perMinute: 20, burst: 40 };
/** Of all addresses together. */
const RECORDS = { perMinute: 60, burst: 120 };

export class JoinLimits {
  readonly #attempt = createLimiter(ATTEMPTS, () => performance.now());
  readonly #record = createLimiter(RECORDS, () => performance.now());
  #unrecorded = 0;

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
