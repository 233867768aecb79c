/**
 * Looks at what passes between client and database. Of the client's messages: which statements they are, whose records are
 * written before the chunk that completes them goes on. Of the database's: what the statements came to.
 */
import { StatementReader } from '../pg/audit-text.js';
import { tagByte } from '../pg/messages.js';
import { answersTo, Outcomes } from '../pg/outcomes.js';
import { createScanner, type Scanner } from '../pg/scan.js';
import { TURN_MS, type Turns } from '../turns.js';
import type { SessionAudit } from './session-audit.js';

/**
 * Records of a session that a power cut may take: a client with more waits, also where one piece of what it sent has more. It
 * may send statements without reading answers.
 */
const MOST_UNDURABLE = 64;

const KINDS = { Query: 'Q', Parse: 'P', Bind: 'B', Execute: 'E', Close: 'C', FunctionCall: 'F' } as const;
const [DESCRIBE, SYNC, COPY_DONE, COPY_FAIL] = [...'DScf'].map(tagByte);
/** Not recorded, but answered, or the end of a COPY. */
const FOLLOWED = new Set([DESCRIBE, SYNC, COPY_DONE, COPY_FAIL]);

/** What of a chunk is read before anybody looks at the clock: a tiny statement has 6 bytes and takes some 20 µs. */
const PIECE_BYTES = 1024;

export class StatementTap {
  /** Of the database's messages: to be pushed what goes to the client. */
  readonly follow: Pick<Scanner, 'push' | 'bytesLeft'>;
  readonly #turns: Turns;
  readonly #audit: SessionAudit;
  readonly #outcomes: Outcomes<string>;
  readonly #scanner: Scanner;
  /** Bytes of CopyData up to the last end of a COPY. */
  #copied = 0;
  #isOver = false;

  /** @param turns  of whoever sends the statements */
  constructor(audit: SessionAudit, turns: Turns) {
    const outcomes = new Outcomes<string>((...outcome) => audit.result(...outcome));
    this.#audit = audit;
    this.#turns = turns;
    this.#outcomes = outcomes;
    const reader = new StatementReader({
      onPart: (part) => audit.part(part),
      onStatement: (statement) => outcomes.sent(KINDS[statement.type], audit.statement(statement)),
    });
    this.#scanner = createScanner({
      side: 'frontend',
      ...reader,
      wanted: (tag) => reader.wanted(tag) ?? (FOLLOWED.has(tag) ? 0 : undefined),
      onMessage: (tag, bodyBytes, body) => (body ? reader.onMessage(tag, bodyBytes, body) : this.#follow(tag)),
    });
    const onMessage = answersTo(outcomes, () => answers);
    const answers = createScanner({ side: 'backend', wanted: outcomes.wanted, onMessage, refuseUnknown: false });
    this.follow = {
      push: (chunk) =>
        turns.do(() => {
          try {
            answers.push(chunk);
          } catch (error) {
            outcomes.lose(); // the relay follows no further
            throw error;
          }
        }),
      get bytesLeft() {
        return answers.bytesLeft;
      },
    };
  }

  /**
   * The chunk may go on when this returns and what it returns resolves.
   *
   * @throws TeleportError for what must not go on: a statement that cannot be recorded or is too long, bytes that are not messages
   */
  fromClient(chunk: Buffer): Promise<unknown> | undefined {
    // Before it is read: what is in it is answered only when it has gone on.
    const { room } = this.#outcomes;
    const end = room || this.#turns.waitMs > 0 ? 0 : this.#read(chunk, 0);
    return end < chunk.length ? this.#readOn(chunk, end, room) : this.#goOn();
  }

  /** Resolves when the answers may be seen. */
  fromServer(): Promise<unknown> | undefined {
    const { durable, fewResults } = this.#audit;
    const mustWait = fewResults || this.#turns.waitMs > 0;
    return mustWait ? Promise.all([durable, fewResults, this.#turns.next()]) : durable;
  }

  /** The session is over: what was not answered never will be. */
  end(): void {
    this.#isOver = true;
    this.#turns.do(() => this.#outcomes.end());
  }

  /** What does not fit into one turn: the chunk waits until all of it is recorded. */
  async #readOn(chunk: Buffer, from: number, room: Promise<void> | undefined): Promise<void> {
    await room;
    for (let at = from; at < chunk.length; at = this.#read(chunk, at)) {
      await this.#turns.next();
      if (this.#isOver) return;
    }
    await this.#goOn();
  }

  /** For a turn, at most. @returns how far it came; the records of all before that are written */
  #read(chunk: Buffer, from: number): number {
    return this.#turns.do(() => {
      const start = performance.now();
      let at = from;
      do {
        // What is left of a long message is one piece.
        const end = Math.min(chunk.length, at + Math.max(PIECE_BYTES, this.#scanner.bytesLeft));
        this.#readPiece(chunk.subarray(at, end));
        at = end;
      } while (at < chunk.length && performance.now() - start < TURN_MS);
      return at;
    });
  }

  #readPiece(piece: Buffer): void {
    const audit = this.#audit;
    try {
      this.#scanner.push(piece);
    } catch (error) {
      audit.violated(error);
      audit.write();
      throw error;
    }
    audit.write();
  }

  #goOn(): Promise<unknown> | undefined {
    const audit = this.#audit;
    const pause = audit.pause();
    const { fewResults } = audit;
    const mustWait = pause || fewResults || audit.undurable > MOST_UNDURABLE;
    return mustWait ? Promise.all([audit.durable, pause, fewResults]) : undefined;
  }

  #follow(tag: number): void {
    if (tag === DESCRIBE) this.#outcomes.sent('D');
    else if (tag === SYNC) this.#outcomes.sent('S');
    else {
      const { passedBytes } = this.#scanner;
      this.#outcomes.copied(passedBytes - this.#copied);
      this.#copied = passedBytes;
    }
  }
}
