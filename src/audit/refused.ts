/**
 * Records that Auth does not take: they are set aside, one line a record with the reason, so that those behind them travel
 * on. An administrator finds out why and removes the files. The folder is bounded, and so is each user's part of it; of a
 * record that does not fit, uid, reason and SHA-256 are kept, while there is room for that. Nothing here holds up the others.
 */
import { appendFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { sha256 } from '../sha256.js';
import { auditFileError } from './line-file.js';
import { recordText } from './record-text.js';

const PART_OF_A_USER = 1 / 4;
/** For what is kept of records that did not fit. */
const PART_FOR_SHORT = 1 / 8;
const MOST_SHORT_CHARACTERS = 200;

/** The files of a user, by kind: so the room each has taken is known after a restart too. */
const endOfName = (user: string, isShort: boolean) => `-${sha256(user).slice(0, 16)}${isShort ? '.short' : ''}.log`;
const isShortFile = (name: string) => name.endsWith('.short.log');

export class RefusedRecords {
  readonly dir: string;
  readonly #maxBytes: number;
  readonly #now: () => Date;
  /** Since the start. */
  count = 0;

  constructor(dir: string, maxBytes: number, now: () => Date) {
    this.dir = dir;
    this.#maxBytes = maxBytes;
    this.#now = now;
  }

  /**
   * @returns why nothing of it is kept, if nothing is: there is no room
   * @throws TeleportError when the disk fails
   */
  async add(record: string, why: unknown): Promise<TeleportError | undefined> {
    const whyNotKept = await this.#add(record, why);
    this.count += 1;
    return whyNotKept;
  }

  async #add(record: string, why: unknown): Promise<TeleportError | undefined> {
    const time = this.#now().toISOString();
    const reason = messageOf(why);
    const { uid, user } = namesIn(record);
    const short = {
      time,
      reason: reason.slice(0, MOST_SHORT_CHARACTERS),
      uid,
      user: user.slice(0, MOST_SHORT_CHARACTERS),
    };
    try {
      await makeFolders(this.dir, 0o700);
      if (this.#put(user, false, { time, reason, record })) return undefined;
      if (this.#put(user, true, { ...short, bytes: Buffer.byteLength(record), sha256: sha256(record) }))
        return undefined;
      const hint = `Find out why Auth refused the records in ${this.dir}, then remove its files.`;
      return new TeleportError('LimitExceeded', `${this.dir} is full: record ${uid} is not kept (${reason})`, { hint });
    } catch (cause) {
      const error = cause instanceof TeleportError ? cause : auditFileError(this.dir, cause);
      // The spool gives its room back when it is shipped, and only then.
      if (isTeleportError(error, 'LimitExceeded')) return error;
      throw error;
    }
  }

  /** @returns whether it fits */
  #put(user: string, isShort: boolean, fields: { time: string; [name: string]: unknown }): boolean {
    const line = Buffer.from(`${recordText(fields)}\n`);
    const end = endOfName(user, isShort);
    const room = this.#maxBytes * (isShort ? PART_FOR_SHORT : 1 - PART_FOR_SHORT);
    let [all, own] = [line.length, line.length];
    for (const name of readdirSync(this.dir)) {
      if (isShortFile(name) !== isShort) continue;
      const size = statSync(join(this.dir, name), { throwIfNoEntry: false })?.size ?? 0;
      all += size;
      if (name.endsWith(end)) own += size;
    }
    if (all > room || own > room * PART_OF_A_USER) return false;
    appendFileSync(join(this.dir, `${fields.time.slice(0, 10)}${end}`), line, { mode: 0o600, flush: true });
    return true;
  }
}

/** As far as the record can be read. */
function namesIn(record: string): { uid: string; user: string } {
  try {
    const { uid, user } = JSON.parse(record) as { uid?: unknown; user?: unknown };
    return { uid: typeof uid === 'string' ? uid.slice(0, 100) : '', user: typeof user === 'string' ? user : '' };
  } catch {
    return { uid: '', user: '' };
  }
}
