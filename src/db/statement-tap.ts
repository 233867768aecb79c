/**
 * Looks at what passes between client and database. Of the client's messages: which statements they are, whose records are
 * written before the chunk that completes them goes on. Of the database's: what the statements came to.
 */
import { StatementReader } from '../pg/audit-text.js';
import { tagByte } from '../pg/messages.js';
import { answersTo, Outcomes } from '../pg/outcomes.js';
import { createScanner, type Scanner } from '../pg/scan.js';
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

export class StatementTap {
  /** Of the database's messages: to be pushed what goes to the client. */
  readonly follow: Pick<Scanner, 'push' | 'bytesLeft'>;
  readonly #audit: SessionAudit;
  readonly #outcomes: Outcomes<string>;
  readonly #scanner: Scanner;
  /** Bytes of CopyData up to the last end of a COPY. */
  #copied = 0;

  constructor(audit: SessionAudit) {
    const outcomes = new Outcomes<string>((uid, outcome) => audit.result(uid, outcome));
    this.#audit = audit;
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
      push(chunk) {
        try {
          answers.push(chunk);
        } catch (error) {
          outcomes.lose(); // the relay follows no further
          throw error;
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
    const audit = this.#audit;
    try {
      this.#scanner.push(chunk);
    } catch (error) {
      audit.violated(error);
      audit.write();
      throw error;
    }
    audit.write();
    const pause = audit.pause();
    if (pause) return Promise.all([audit.durable, pause]);
    return audit.undurable > MOST_UNDURABLE ? audit.durable : this.#outcomes.room;
  }

  /** Resolves when the answers may be seen. */
  fromServer(): Promise<unknown> | undefined {
    return this.#audit.durable;
  }

  /** The session is over: what was not answered never will be. */
  end(): void {
    this.#outcomes.end();
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
