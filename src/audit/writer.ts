/**
 * The audit log of the Auth Service: JSON lines, one file a UTC day (`2026-11-21.log`, 0600 in a 0700 directory), all in
 * one chain (`chain.ts`). A record is acknowledged when it is durable; concurrent ones share one write and one sync. A
 * repeated record (same `uid`, as an agent sends after a lost answer) is acknowledged and not written twice.
 */
import { readdirSync } from 'node:fs';
import { TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { type Alarm, createAlarm, type Logger, silent } from '../log.js';
import { CHAIN_START, chained, type Link, unchained } from './chain.js';
import { DAY_FILE, type Damage, DayFile } from './day-file.js';
import { auditEvent } from './events.js';
import { auditFileError } from './line-file.js';
import { recordText } from './record-text.js';

export interface AuditLogOptions {
  dir: string;
  /** UUID of the Auth host, for what Auth itself records. */
  host?: string;
  clusterName?: string;
  now?: () => Date;
  /** Where an alarm goes when the disk takes no more. */
  log?: Logger;
  /** How many event ids are remembered to recognise repeats. Default 100 000. */
  maxRemembered?: number;
}

/** A record in its written form, and its `uid`. */
export interface WrittenRecord {
  uid: string;
  text: string;
}

interface Waiting {
  host: string;
  records: readonly string[];
  resolve(): void;
  reject(error: unknown): void;
}

/** Bytes of a file's end in which its last line is looked for; a line is shorter. */
const TAIL_BYTES = 2 ** 21;

/** @throws TeleportError when the folder or what is in it cannot be used */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  try {
    await makeFolders(options.dir, 0o700);
  } catch (cause) {
    throw auditFileError(options.dir, cause);
  }
  return new AuditLog(options);
}

export class AuditLog {
  readonly #dir: string;
  readonly #host: string;
  readonly #clusterName: string;
  readonly #now: () => Date;
  readonly #log: Logger;
  readonly #alarm: Alarm;
  readonly #maxRemembered: number;
  /** Event ids, each with the moment at which it is durable. */
  readonly #recent: Map<string, Promise<void>>;
  #file: DayFile | undefined;
  /** The end of what is durable. */
  #link: Link;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: AuditLogOptions) {
    const { dir, host = '', clusterName = '', now = () => new Date(), log = silent, maxRemembered = 100_000 } = options;
    this.#dir = dir;
    this.#host = host;
    this.#clusterName = clusterName;
    this.#now = now;
    this.#log = log;
    this.#maxRemembered = maxRemembered;
    this.#alarm = createAlarm(log, {
      failing: 'Audit events cannot be recorded, what they are about is refused.',
      working: 'Audit events are recorded again.',
    });
    const { recent, link } = whatIsThere(dir, maxRemembered);
    this.#recent = recent;
    this.#link = link;
  }

  /**
   * What Auth itself has to say. Resolves when every one of the events is durable.
   *
   * @throws TeleportError `LimitExceeded` when the disk is full, `BadParameter` for an event without uid
   */
  async append(events: object[]): Promise<void> {
    const records = events.map((event) => {
      const { uid } = event as { uid?: unknown };
      if (typeof uid !== 'string' || uid === '') throw new TeleportError('BadParameter', 'audit event without uid');
      return { uid, text: recordText(event) };
    });
    await this.take(records, this.#host);
  }

  /** What another host has to say, as it said it. As `append`. */
  async take(records: readonly WrittenRecord[], host: string): Promise<void> {
    if (this.#isClosed) throw new TeleportError('ConnectionProblem', 'the audit log is closed');
    const fresh = new Map<string, string>();
    const others: Promise<void>[] = [];
    for (const { uid, text } of records) {
      const known = this.#recent.get(uid);
      if (known !== undefined) others.push(known);
      else if (!fresh.has(uid)) fresh.set(uid, text);
    }
    if (fresh.size > 0) others.push(this.#remembered([...fresh.keys()], this.#add([...fresh.values()], host)));
    await Promise.all(others);
  }

  /** Looks now whether the file is where it should be, and not only before the next record. */
  async check(): Promise<void> {
    if (!this.#isClosed) await this.#add([], this.#host);
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
    this.#file?.close();
    this.#file = undefined;
  }

  #remembered(uids: readonly string[], written: Promise<void>): Promise<void> {
    for (const uid of uids) this.#recent.set(uid, written);
    written.then(
      () => forgetOldest(this.#recent, this.#maxRemembered),
      () => {
        for (const uid of uids) this.#recent.delete(uid);
      },
    );
    return written;
  }

  /** While one batch is written, all that comes forms the next one. */
  #add(records: readonly string[], host: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ host, records, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch);
        this.#alarm.worked();
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#alarm.failed(error);
        for (const { reject } of batch) reject(error);
      }
    }
    this.#running = undefined;
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    const now = this.#now().toISOString();
    const file = await this.#fileOf(now.slice(0, 10));
    await this.#chain(
      file,
      now,
      batch.flatMap(({ host, records }) => records.map((record) => ({ host, record }))),
    );
  }

  /** The chain goes on only with what is durable: the next batch takes the numbers of one that failed. */
  async #chain(file: DayFile, received: string, records: readonly { host: string; record: string }[]): Promise<void> {
    if (records.length === 0) return;
    let end = this.#link;
    let text = '';
    for (const { host, record } of records) {
      const { line, link } = chained(record, { received, host }, end);
      text += `${line}\n`;
      end = link;
    }
    await file.write(text);
    this.#link = end;
  }

  /** The file of the day, in its place. */
  async #fileOf(day: string): Promise<DayFile> {
    const damage = this.#file?.damage();
    if (this.#file && damage) await this.#restore(this.#file, damage);
    if (this.#file?.day !== day) {
      this.#file?.close();
      this.#file = undefined;
      this.#file = new DayFile(this.#dir, day);
    }
    return this.#file;
  }

  async #restore(file: DayFile, damage: Damage): Promise<void> {
    const aside = await file.restore(damage);
    const message =
      damage === 'shortened'
        ? `${file.path} was shortened: what was cut off is lost`
        : `${file.path} was ${damage} and is written anew`;
    this.#log.error('Somebody has changed the audit log.', { error: message, ...(aside ? { kept_as: aside } : {}) });
    const event = auditEvent(
      'audit.log.changed',
      'failed',
      { success: false, message, kept_as: aside },
      { clusterName: this.#clusterName, now: this.#now },
    );
    await this.#chain(file, this.#now().toISOString(), [{ host: this.#host, record: recordText(event) }]);
  }
}

/** From the last two days' files, so that repeats are recognised and the chain goes on across a restart. */
function whatIsThere(dir: string, max: number): { recent: Map<string, Promise<void>>; link: Link } {
  const durable = Promise.resolve();
  const recent = new Map<string, Promise<void>>();
  let link = CHAIN_START;
  const days = readdirSync(dir)
    .filter((name) => DAY_FILE.test(name))
    .sort();
  for (const name of days.slice(-2)) {
    const file = new DayFile(dir, name.slice(0, 10));
    for (const line of file.tail(Math.max(TAIL_BYTES, max * 512)).split('\n')) {
      const stamped = unchained(line);
      if (stamped) link = { n: stamped.n, sum: stamped.sum };
      const uid = uidOf(line);
      if (uid !== undefined) recent.set(uid, durable);
    }
    file.close();
  }
  forgetOldest(recent, max);
  return { recent, link };
}

/** Undefined for the rest of a line whose beginning was not read. */
function uidOf(line: string): string | undefined {
  try {
    const { uid } = JSON.parse(line) as { uid?: unknown };
    return typeof uid === 'string' ? uid : undefined;
  } catch {
    return undefined;
  }
}

function forgetOldest(recent: Map<string, unknown>, max: number): void {
  for (const uid of recent.keys()) {
    if (recent.size <= max) return;
    recent.delete(uid);
  }
}
