/**
 * What each statement came to, read beside the relay: the client's messages that will be answered stand in a queue, and the
 * server's answers take them out of it. Nothing waits for it, except a client that has 20,000 messages without an answer.
 *
 * A statement has one outcome: a Query that of all its commands together, at its ReadyForQuery; an Execute at its
 * CommandComplete or PortalSuspended; a Parse or Bind only when it fails or is skipped. After a failure in the extended protocol the server
 * skips all up to the next Sync, and so do we. An answer that does not fit the queue moves it on to where it does.
 *
 * In COPY FROM STDIN the server ignores Syncs, in either protocol; when the COPY fails nobody can see which of them came before the
 * failure. A Sync stays in the queue then: a ReadyForQuery alone is its answer, any other answer moves past it. Where even that
 * could be taken in two ways, all that follows in the session is `unknown`: nothing is said that may be wrong.
 *
 * Of statements in a row that nobody answered, however many, there is one outcome.
 *
 * Specification: PostgreSQL manual, "Message Flow", "Extended Query", "COPY Operations".
 */
import { BACKEND_TAGS, ERROR_FIELDS, tagByte } from './messages.js';
import type { Scanner, ScannerOptions } from './scan.js';
import { SQLSTATES } from './sqlstate.js';

export interface Outcome {
  /** `unknown`: the session ended before the answer; `skipped`: the server did not look at it. */
  how: 'done' | 'failed' | 'unknown' | 'skipped';
  /** Rows that were sent, and for COPY that the server counted. */
  rows: number;
  /** Of the rows, or of the data of COPY, either way. */
  bytes: number;
  /** As CommandComplete counts; undefined where it counts nothing. */
  affected: number | undefined;
  /** Commands of a Query that were completed. */
  commands: number;
  /** More rows were left in the portal. */
  isSuspended: boolean;
  sqlState: string | undefined;
  message: string | undefined;
  durationMs: number;
}

/** Statements in a row: the first, and these behind it. */
export interface Run<Ref> {
  last: Ref;
  /** With the first. */
  count: number;
}

/** Kinds of entries: tags of client messages, and C for CopyDone and CopyFail in place of c and f. */
type Kind = 'Q' | 'P' | 'B' | 'D' | 'C' | 'E' | 'F' | 'S' | 'copied';

interface Entry<Ref> {
  kind: Kind;
  /** Whose outcome it is. */
  ref: Ref | undefined;
  sentAt: number;
  /** Of `copied`: bytes of CopyData before it. */
  bytes: number;
  /** Of Syncs in a COPY, which may have been ignored: how many; 0 for all else. */
  inCopy: number;
}

/** More than a server with an output buffer of 8 KiB can have answered and not sent. */
const MOST_UNANSWERED = 20_000;
/** Of an ErrorResponse. */
const MOST_ERROR_BYTES = 4096;
/** Characters of its message that are kept: whoever is in the database can write it. */
const MOST_MESSAGE = 500;
const MOST_TAG_BYTES = 64;
const HAS_OUTCOME = new Set<Kind>(['Q', 'E', 'F']);
/** A name that a Parse or Bind has not taken still has what it had. */
const CAN_BE_SKIPPED = new Set<Kind>(['Q', 'E', 'F', 'P', 'B']);
const ENDS_A_TURN = new Set<Kind>(['Q', 'F', 'S']);

const of = (name: keyof typeof BACKEND_TAGS) => tagByte(BACKEND_TAGS[name]);
const KINDS_OF_ANSWER: ReadonlyMap<number, ReadonlySet<Kind>> = new Map([
  [of('ParseComplete'), new Set<Kind>(['P'])],
  [of('BindComplete'), new Set<Kind>(['B'])],
  [of('CloseComplete'), new Set<Kind>(['C'])],
]);
const [ROW, COPY_DATA] = [of('DataRow'), of('CopyData')];
const [COMMAND, EMPTY, SUSPENDED] = [of('CommandComplete'), of('EmptyQueryResponse'), of('PortalSuspended')];
const [DESCRIPTION, NO_DATA] = [of('RowDescription'), of('NoData')];
const [ERROR, READY, RESULT, COPY_IN] = [
  of('ErrorResponse'),
  of('ReadyForQuery'),
  of('FunctionCallResponse'),
  of('CopyInResponse'),
];

export class Outcomes<Ref> {
  readonly #onOutcome: (ref: Ref, outcome: Outcome, run?: Run<Ref>) => void;
  readonly #now: () => number;
  #queue: Entry<Ref>[] = [];
  #head = 0;
  /** Since the last outcome, of the one that comes. */
  #rows = 0;
  #bytes = 0;
  #affected: number | undefined;
  #commands = 0;
  #failure: { sqlState: string; message: string } | undefined;
  /** The last Execute before a Sync: what fails at the Sync undoes it. */
  #executed: { ref: Ref; sentAt: number } | undefined;
  /** The server skips what comes, up to a Sync. */
  #isSkipping = false;
  #isCopyingIn = false;
  /** Syncs are part of a COPY, which ignores them. */
  #ignoresSync = false;
  /** While it skips: the only Syncs that were sent may have been ignored. */
  #isUnsure = false;
  /** Which answer belongs to which message can no longer be known. */
  #isLost = false;
  /** Something was answered since the last ReadyForQuery, so that a Sync can fail. */
  #hasBegun = false;
  #onRoom = () => {};

  /**
   * @param onOutcome  `run`: the outcome is that of several statements, of which `ref` is the first. Those between that were
   * only prepared, or closed, have none unless it is `skipped`
   */
  constructor(
    onOutcome: (ref: Ref, outcome: Outcome, run?: Run<Ref>) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#onOutcome = onOutcome;
    this.#now = now;
  }

  /** For a scanner of the server's messages. DataRow and CopyData are only counted, by the scanner. */
  readonly wanted: ScannerOptions['wanted'] = (tag) => {
    if (tag === ROW || tag === COPY_DATA) return undefined;
    if (tag === COMMAND) return MOST_TAG_BYTES;
    return tag === ERROR ? MOST_ERROR_BYTES : 0;
  };

  /** Resolves when more messages may be sent; undefined when they may be now. */
  get room(): Promise<void> | undefined {
    if (this.#queue.length - this.#head <= MOST_UNANSWERED) return undefined;
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** A message of the client's that will be answered. @param ref  whose outcome it is */
  sent(kind: Exclude<Kind, 'copied'>, ref?: Ref): void {
    const entry: Entry<Ref> = { kind, ref, sentAt: this.#now(), bytes: 0, inCopy: 0 };
    if (kind === 'S') this.#sentSync(entry);
    else this.#sentOther(entry);
  }

  #sentOther(entry: Entry<Ref>): void {
    this.#ignoresSync = false;
    if (this.#isUnsure) this.lose();
    if (this.#isLost) this.#sayNothingOf([entry], 'unknown');
    // Nobody answers it, so it must not stand in the queue: the client might wait for room before its Sync.
    else if (this.#isSkipping && !this.#first) this.#sayNothingOf([entry], 'skipped');
    else this.#queue.push(entry);
  }

  #sentSync(entry: Entry<Ref>): void {
    if (this.#isLost) return;
    const last = this.#queue.at(-1);
    if (!this.#ignoresSync) {
      this.#isUnsure = false;
      this.#queue.push(entry);
    } else if (last && last.inCopy > 0) last.inCopy += 1;
    else this.#queue.push({ ...entry, inCopy: 1 });
  }

  /** CopyDone or CopyFail, after so many bytes of CopyData. */
  copied(bytes: number): void {
    this.#ignoresSync = false;
    if (!this.#first || this.#isSkipping) return;
    this.#queue.push({ kind: 'copied', ref: undefined, sentAt: 0, bytes, inCopy: 0 });
  }

  /** A message of the server's. @param passed  rows and bytes of data that passed since the last one */
  answered(tag: number, body: Buffer | undefined, passed: { count: number; bytes: number }): void {
    if (this.#isLost) return;
    this.#rows += passed.count;
    this.#bytes += passed.bytes;
    const kinds = KINDS_OF_ANSWER.get(tag);
    if (kinds) this.#take(kinds);
    else if (tag === COMMAND || tag === EMPTY || tag === SUSPENDED) this.#completed(tag, body);
    else if (tag === DESCRIPTION || tag === NO_DATA) {
      if (this.#afterSyncs()?.kind === 'D') this.#take(DESCRIBED);
    } else if (tag === COPY_IN) this.#copyIn();
    else if (tag === ERROR && body) this.#failed(body);
    else if (tag === READY) this.#ready();
    else if (tag === RESULT && this.#moveTo(CALLED)) this.#commands += 1;
  }

  /** No answer comes any more. */
  end(): void {
    const left = this.#takeUntil(() => false).filter(({ ref, kind }) => ref !== undefined && HAS_OUTCOME.has(kind));
    if (left[0]) this.#say(left[0], this.#failure ? 'failed' : 'unknown');
    this.#sayNothingOf(left.slice(1), 'unknown');
  }

  get #first(): Entry<Ref> | undefined {
    return this.#queue[this.#head];
  }

  #shift(): void {
    this.#head += 1;
    // The end of a COPY that is not first in the queue any more: the server ignores it.
    while (this.#first?.kind === 'copied') this.#head += 1;
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#sayRoom();
  }

  /** Takes out what stands before such an entry, or everything. */
  #takeUntil(isEnd: (entry: Entry<Ref>) => boolean): Entry<Ref>[] {
    const taken: Entry<Ref>[] = [];
    for (let entry = this.#first; entry && !isEnd(entry); entry = this.#first) {
      this.#shift();
      taken.push(entry);
    }
    return taken;
  }

  #sayRoom(): void {
    if (this.#queue.length - this.#head <= MOST_UNANSWERED) this.#onRoom();
  }

  #take(kinds: ReadonlySet<Kind>): void {
    if (!this.#moveTo(kinds)) return;
    this.#hasBegun = true;
    this.#shift();
  }

  /** The first that is not a Sync or the end of a COPY. */
  #afterSyncs(from = this.#head): Entry<Ref> | undefined {
    let at = from;
    while (this.#queue[at]?.kind === 'S' || this.#queue[at]?.kind === 'copied') at += 1;
    return this.#queue[at];
  }

  /** Make the first of these kinds the first in the queue; nothing happens where there is none. */
  #moveTo(kinds: ReadonlySet<Kind>, how: 'unknown' | 'skipped' = 'unknown'): Entry<Ref> | undefined {
    let at = this.#head;
    while (at < this.#queue.length && !kinds.has(this.#queue[at]!.kind)) at += 1;
    if (at === this.#queue.length) return undefined;
    const wanted = this.#queue[at]!;
    const before = this.#takeUntil((entry) => entry === wanted);
    this.#sayNothingOf(before, how);
    return wanted;
  }

  #completed(tag: number, body: Buffer | undefined): void {
    const entry = this.#moveTo(COMPLETES);
    if (!entry) return;
    if (tag === COMMAND) this.#count(body!);
    if (tag !== SUSPENDED) this.#commands += 1;
    if (this.#isCopyingIn) this.#copyEnded({ isDone: true });
    if (entry.kind === 'Q') return;
    this.#hasBegun = true;
    this.#shift();
    if (entry.ref !== undefined) this.#executed = { ref: entry.ref, sentAt: entry.sentAt };
    this.#say(entry, 'done', { isSuspended: tag === SUSPENDED });
  }

  /** `INSERT 0 5`, `COPY 5`, `CREATE TABLE`. */
  #count(tag: Buffer): void {
    const [, word, count] = /^(\w+)[^\0]*? (\d+)\0/.exec(tag.toString('latin1')) ?? [];
    if (count === undefined) return;
    this.#affected = (this.#affected ?? 0) + Number(count);
    if (word === 'COPY' && this.#isCopyingIn) this.#rows += Number(count);
  }

  #failed(body: Buffer): void {
    // Of the whole session: nothing else is answered now.
    if (this.#isSkipping) return;
    // A Sync before which nothing was answered has nothing that could fail.
    const entry = this.#moveTo(this.#hasBegun ? ANSWERED : CAN_FAIL);
    const wasCopyingIn = this.#isCopyingIn;
    if (wasCopyingIn) this.#copyEnded({ isDone: false });
    if (!entry) return;
    const failure = failureOf(body);
    this.#failure = failure;
    if (entry.kind === 'Q' || entry.kind === 'F') {
      // An older server takes a message that is none of a COPY out of the way and goes on; so would a failure that only claims it.
      const isEaten = wasCopyingIn && failure.sqlState === SQLSTATES.Protocol && this.#isBehindSyncs();
      if (isEaten) this.lose();
      return;
    }
    if (entry.kind === 'S') {
      // A transaction that ends with the Sync failed as a whole, for example in a constraint that was deferred.
      if (this.#executed) this.#say({ ...this.#executed, kind: 'E', bytes: 0, inCopy: 0 }, 'failed');
      this.#failure = undefined;
      return;
    }
    this.#shift();
    this.#say(entry, 'failed');
    this.#skip();
  }

  /** Something that is none of a COPY, before the end of it. */
  #isBehindSyncs(): boolean {
    let at = this.#head + 1;
    while (this.#queue[at]?.kind === 'S') at += 1;
    return at < this.#queue.length && this.#queue[at]!.kind !== 'copied';
  }

  /** What is sent up to the next Sync is skipped. */
  #skip(): void {
    this.#isSkipping = true;
    const skipped = this.#takeUntil(({ kind }) => kind === 'S');
    this.#sayNothingOf(skipped, 'skipped');
    if (!this.#first?.inCopy) return;
    // If that Sync was ignored, what is behind it is skipped too, up to one that was not.
    let at = this.#head;
    while (this.#queue[at]?.kind === 'copied' || this.#queue[at]?.inCopy) at += 1;
    if (at === this.#queue.length) this.#isUnsure = true;
    else if (this.#queue[at]!.kind !== 'S') this.lose();
  }

  /** From here on nobody knows which answer belongs to which message: all results are `unknown`. */
  lose(): void {
    this.#isLost = true;
    this.#isUnsure = false;
    this.end();
    this.#reset();
  }

  #ready(): void {
    const entry = this.#isSkipping ? this.#moveTo(SYNC, 'skipped') : this.#moveTo(ENDS_A_TURN);
    this.#isSkipping = false;
    this.#isUnsure = false;
    this.#hasBegun = false;
    this.#executed = undefined;
    if (entry && entry.inCopy > 1) entry.inCopy -= 1;
    else if (entry) {
      this.#shift();
      if (entry.kind !== 'S') this.#say(entry, this.#failure ? 'failed' : 'done');
    }
    this.#reset();
  }

  #copyIn(): void {
    const entry = this.#moveTo(COMPLETES);
    if (!entry) return;
    this.#isCopyingIn = true;
    // In this mode the server ignores Sync.
    const from = this.#head + 1;
    let end = from;
    let inCopy = 0;
    for (let sync = this.#queue[end]; sync?.kind === 'S'; sync = this.#queue[++end]) inCopy += sync.inCopy || 1;
    this.#ignoresSync = end === this.#queue.length;
    if (inCopy > 0) {
      this.#queue.splice(from, end - from, { kind: 'S', ref: undefined, sentAt: 0, bytes: 0, inCopy });
      this.#sayRoom();
    }
  }

  /** @param isDone  by its CopyDone, so that all Syncs before that were ignored */
  #copyEnded({ isDone }: { isDone: boolean }): void {
    this.#isCopyingIn = false;
    this.#ignoresSync = false;
    const from = this.#head + 1;
    let at = from;
    while (this.#queue[at]?.inCopy) at += 1;
    const end = this.#queue[at];
    if (end?.kind !== 'copied') return;
    this.#bytes += end.bytes;
    if (isDone) this.#queue.splice(from, at + 1 - from);
    else this.#queue.splice(at, 1);
  }

  #say({ ref, sentAt }: Entry<Ref>, how: Outcome['how'], { isSuspended = false } = {}): void {
    if (ref !== undefined) {
      this.#onOutcome(ref, {
        how,
        rows: this.#rows,
        bytes: this.#bytes,
        affected: this.#affected,
        commands: this.#commands,
        isSuspended,
        sqlState: this.#failure?.sqlState,
        message: this.#failure?.message,
        durationMs: Math.max(0, this.#now() - sentAt),
      });
    }
    this.#reset();
  }

  /** Of messages in a row that were not answered, while others are. */
  #sayNothingOf(entries: readonly Entry<Ref>[], how: 'unknown' | 'skipped'): void {
    const kinds = how === 'skipped' ? CAN_BE_SKIPPED : HAS_OUTCOME;
    const statements = entries.filter(({ ref, kind }) => ref !== undefined && kinds.has(kind));
    const [first, last] = [statements[0], statements.at(-1)];
    if (!first || !last) return;
    const durationMs = Math.max(0, this.#now() - first.sentAt);
    const nothing = { rows: 0, bytes: 0, affected: undefined, commands: 0, isSuspended: false };
    const outcome: Outcome = { how, ...nothing, sqlState: undefined, message: undefined, durationMs };
    const count = statements.length;
    if (count === 1) this.#onOutcome(first.ref!, outcome);
    else this.#onOutcome(first.ref!, outcome, { last: last.ref!, count });
  }

  #reset(): void {
    this.#rows = 0;
    this.#bytes = 0;
    this.#affected = undefined;
    this.#commands = 0;
    this.#failure = undefined;
  }
}

const COMPLETES = new Set<Kind>(['Q', 'E']);
const SYNC = new Set<Kind>(['S']);
const DESCRIBED = new Set<Kind>(['D']);
const CALLED = new Set<Kind>(['F']);
const CAN_FAIL = new Set<Kind>(['Q', 'P', 'B', 'D', 'C', 'E', 'F']);
const ANSWERED = new Set<Kind>(['Q', 'P', 'B', 'D', 'C', 'E', 'F', 'S']);

/** SQLSTATE and the beginning of the message of an ErrorResponse, of which the end may be missing. */
function failureOf(body: Buffer): { sqlState: string; message: string } {
  const found = { sqlState: '', message: '' };
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const letter = String.fromCharCode(body[at]!);
    const zero = body.indexOf(0, at);
    const end = zero < 0 ? body.length : zero;
    const text = body.toString('utf8', at + 1, end);
    if (letter === ERROR_FIELDS.sqlState) found.sqlState = text.slice(0, 5);
    if (letter === ERROR_FIELDS.message) found.message = [...text].slice(0, MOST_MESSAGE).join('');
    at = end + 1;
  }
  return found;
}

/** Calls `answered` with what the scanner has counted since the last message. */
export function answersTo<Ref>(outcomes: Outcomes<Ref>, scanner: () => Scanner): ScannerOptions['onMessage'] {
  let [count, bytes] = [0, 0];
  return (tag, _bodyBytes, body) => {
    const { passedCount, passedBytes } = scanner();
    outcomes.answered(tag, body, { count: passedCount - count, bytes: passedBytes - bytes });
    [count, bytes] = [passedCount, passedBytes];
  };
}
