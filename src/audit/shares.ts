/**
 * Who may put how much into the spool of an agent, so that nobody fills it, or the disk of Auth, for everybody else: a user
 * 512 MiB a minute, after 1 GiB at once, or 64 after 32 once a tenth of it waits for Auth; and at most a quarter of it. The results of
 * what has run may exceed that share by a tenth. The last twentieth of the spool is for the ends of sessions.
 */
import { TeleportError } from '../errors.js';

/** Who writes. */
export interface RecordOwner {
  user: string;
  /** An end of a session: it may use what is kept back for these. */
  isEnd?: boolean;
  /** Results alone, of statements that are recorded: their share is a little larger. */
  areResults?: boolean;
}

const PART_OF_A_USER = 1 / 4;
/** Of a share, on top of it. */
const PART_FOR_RESULTS = 1 / 10;
const PART_FOR_ENDS = 1 / 20;
/** So much waits for Auth that users are slowed down sooner. */
const PART_WITHOUT_HASTE = 1 / 10;
/**
 * Some 5,000 statements a second, for as long as they like. Of COPY there are bytes and rows only. What keeps a disk from being
 * full is the reserve (`reserve.ts`): at it Auth takes no more, and then the slower rate holds.
 */
const BYTES_A_MINUTE = 512 * 2 ** 20;
const BYTES_AT_ONCE = 2 ** 30;
const BEHIND = { bytesAMinute: 64 * 2 ** 20, bytesAtOnce: 32 * 2 ** 20 };
const MINUTE_MS = 60_000;

export class Shares {
  readonly #maxBytes: number;
  readonly #now: () => number;
  /** Bytes that wait for Auth, by segment and user. */
  readonly #bySegment = new Map<number, Map<string, number>>();
  readonly #byUser = new Map<string, number>();
  /** What a user has written lately, less what a minute allows, as of a moment. */
  readonly #lately = new Map<string, { bytes: number; at: number }>();

  /** @param now  milliseconds of a clock that only goes forward */
  constructor(maxBytes: number, now: () => number = () => performance.now()) {
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /**
   * May these bytes be written?
   *
   * @param waiting  what waits for Auth altogether
   * @throws TeleportError `LimitExceeded`
   */
  check({ user, isEnd = false, areResults = false }: RecordOwner, bytes: number, waiting: number): void {
    const hint = 'Restore the connection to the Auth Service, so that recorded events can be handed over.';
    if (waiting + bytes > this.#maxBytes * (isEnd ? 1 : 1 - PART_FOR_ENDS)) {
      throw new TeleportError('LimitExceeded', `the audit spool is full (${this.#maxBytes} bytes)`, { hint });
    }
    const share = Math.floor(this.#maxBytes * PART_OF_A_USER * (areResults ? 1 + PART_FOR_RESULTS : 1));
    if (!isEnd && (this.#byUser.get(user) ?? 0) + bytes > share) {
      const what = `the records of user "${user}" that Auth has not taken yet fill their share of the audit spool (${share} bytes)`;
      throw new TeleportError('LimitExceeded', what, { hint });
    }
  }

  /** They were written. */
  add(segment: number, { user }: RecordOwner, bytes: number): void {
    const users = this.#bySegment.get(segment) ?? new Map<string, number>();
    this.#bySegment.set(segment, users.set(user, (users.get(user) ?? 0) + bytes));
    this.#byUser.set(user, (this.#byUser.get(user) ?? 0) + bytes);
    this.#lately.set(user, { bytes: this.#latelyOf(user) + bytes, at: this.#now() });
  }

  /** All that is in a segment has been handed over. */
  clear(segment: number): void {
    for (const [user, bytes] of this.#bySegment.get(segment) ?? []) {
      const left = (this.#byUser.get(user) ?? 0) - bytes;
      if (left > 0) this.#byUser.set(user, left);
      else {
        this.#byUser.delete(user);
        if (this.#latelyOf(user) === 0) this.#lately.delete(user);
      }
    }
    this.#bySegment.delete(segment);
  }

  /** How long a user has to wait before the next statement. @param waiting  what waits for Auth altogether */
  pauseMs(user: string, waiting: number): number {
    const isBehind = waiting >= this.#maxBytes * PART_WITHOUT_HASTE;
    const over = this.#latelyOf(user) - (isBehind ? BEHIND.bytesAtOnce : BYTES_AT_ONCE);
    return over <= 0 ? 0 : Math.min(MINUTE_MS, (over / (isBehind ? BEHIND.bytesAMinute : BYTES_A_MINUTE)) * MINUTE_MS);
  }

  #latelyOf(user: string): number {
    const last = this.#lately.get(user);
    return last ? Math.max(0, last.bytes - ((this.#now() - last.at) / MINUTE_MS) * BYTES_A_MINUTE) : 0;
  }
}
