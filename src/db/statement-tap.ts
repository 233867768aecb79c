/**
 * Looks at what passes between client and database. Of the client's messages: which statements they are, whose records are
 * written before the chunk that completes them goes on. Of the database's: what the statements came to.
 */
import { StatementReader } from '../pg/audit-text.js';
import { tagByte } from '../pg/messages.js';
import { answersTo, Outcomes } from '../pg/outcomes.js';
import { createScanner, type Scanner } from '../pg/scan.js';
import { rest } from '../wait.js';
import type { SessionAudit } from './session-audit.js';
import { TURN_MS, type UserTurns } from './turns.js';

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
const PIECE_BYTES = 4096;

/** Whose statements they are, and how that user's turns stand. */
export interface TapOwner {
  user: string;
  turns: UserTurns;
}

export class StatementTap {
  /** Of the database's messages: to be pushed what goes to the client. */
  readonly follow: Pick<Scanner, 'push' | 'bytesLeft'>;
  readonly #owner: TapOwner;
  readonly #audit: SessionAudit;
  readonly #outcomes: Outcomes<string>;
  readonly #scanner: Scanner;
  /** Bytes of CopyData up to the last end of a COPY. */
  #copied = 0;
  #isOver = false;

  constructor(audit: SessionAudit, owner: TapOwner) {
    const outcomes = new Outcomes<string>((uid, outcome) => audit.result(uid, outcome));
    this.#audit = audit;
    this.#owner = owner;
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
      push: (chunk) => {
        const start = performance.now();
        try {
          answers.push(chunk);
        } catch (error) {
          outcomes.lose(); // the relay follows no further
          throw error;
        } finally {
          this.#took(start);
        }
      },
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
    const end = this.#waitMs > 0 ? 0 : this.#read(chunk, 0);
    return end < chunk.length ? this.#readOn(chunk, end) : this.#goOn();
  }

  /** Resolves when the answers may be seen. */
  fromServer(): Promise<unknown> | undefined {
    const { durable } = this.#audit;
    return this.#waitMs > 0 ? Promise.all([durable, this.#turn()]) : durable;
  }

  /** The session is over: what was not answered never will be. */
  end(): void {
    this.#isOver = true;
    this.#outcomes.end();
  }

  /** What does not fit into one turn: the chunk waits until all of it is recorded. */
  async #readOn(chunk: Buffer, from: number): Promise<void> {
    for (let at = from; at < chunk.length; at = this.#read(chunk, at)) {
      await this.#turn();
      if (this.#isOver) return;
    }
    await this.#goOn();
  }

  /** Resolves when the user may use the thread again; others were asked before. */
  async #turn(): Promise<void> {
    await new Promise(setImmediate);
    // Other sessions of the user may have been quicker.
    for (let ms = this.#waitMs; ms > 0 && !this.#isOver; ms = this.#waitMs) await rest(ms);
  }

  get #waitMs(): number {
    return this.#owner.turns.waitMs(this.#owner.user);
  }

  /** For a turn, at most. @returns how far it came; the records of all before that are written */
  #read(chunk: Buffer, from: number): number {
    const audit = this.#audit;
    const start = performance.now();
    let at = from;
    try {
      do {
        const end = Math.min(chunk.length, at + PIECE_BYTES);
        this.#scanner.push(chunk.subarray(at, end));
        at = end;
      } while (at < chunk.length && performance.now() - start < TURN_MS);
    } catch (error) {
      audit.violated(error);
      audit.write();
      throw error;
    }
    audit.write();
    this.#took(start);
    return at;
  }

  #took(start: number): void {
    this.#owner.turns.took(this.#owner.user, performance.now() - start);
  }

  #goOn(): Promise<unknown> | undefined {
    const audit = this.#audit;
    const pause = audit.pause();
    if (pause) return Promise.all([audit.durable, pause]);
    return audit.undurable > MOST_UNDURABLE ? audit.durable : this.#outcomes.room;
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
