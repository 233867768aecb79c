/**
 * The audit log of the Auth Service: JSON lines, one file a UTC day (`2026-11-21.log`, 0600 in a 0700 directory), all in
 * one chain (`chain.ts`) that is signed every minute (`seal.ts`). A record is acknowledged when it is durable; concurrent
 * ones share one write and one sync. A repeated record (same host, same text, as an agent sends after a lost answer) is acknowledged
 * and not written twice. Whole days that are old are deleted, and what stays of them is a signature over their last record.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { type Alarm, createAlarm, type Logger, silent } from '../log.js';
import { chained, keyOfRecord, type Link, REMEMBERED_RECORDS } from './chain.js';
import { type Damage, DayFile, daysOf, HEAD_FILE } from './day-file.js';
import { type AuditEventName, type AuditOutcome, auditEvent } from './events.js';
import { auditFileError } from './line-file.js';
import { endOfLog, type LogEnd } from './log-end.js';
import { lookAtOldDays, type OldDays } from './old-days.js';
import { recordText } from './record-text.js';
import { headText, type Sealed, type SealOptions, sealed } from './seal.js';

export interface AuditLogOptions {
  dir: string;
  /** UUID of the Auth host, for what Auth itself records. */
  host?: string;
  clusterName?: string;
  now?: () => Date;
  /** Where an alarm goes when the disk takes no more. */
  log?: Logger;
  /** With it the chain is signed, as it goes on and at its end. */
  seal?: SealOptions;
  /** Time between two checkpoints of a log in which something comes. Default one minute. */
  checkpointMs?: number;
  /** Whole days that stay besides today; all of them without it. */
  keepDays?: number | undefined;
  /** How many records are remembered to recognise repeats. Default 100 000. */
  maxRemembered?: number;
}

/** A record in its written form, and its `uid`. */
export interface WrittenRecord {
  uid: string;
  text: string;
}

/** A text, or one that is made when the end of the chain before it is known. */
type Pending = string | ((end: Link) => string);

interface Waiting {
  host: string;
  records: readonly Pending[];
  resolve(): void;
  reject(error: unknown): void;
}

const CHECKPOINT_MS = 60_000;
/** After so much there is a checkpoint also before its time: at its start Auth looks back to the last one. */
const CHECKPOINT_BYTES = 2 ** 24;
const DAY_MS = 86_400_000;

/** @throws TeleportError when the folder or what is in it cannot be used */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  try {
    await makeFolders(options.dir, 0o700);
  } catch (cause) {
    throw auditFileError(options.dir, cause);
  }
  const log = new AuditLog(options);
  await log.begin();
  return log;
}

export class AuditLog {
  /** Its folder. */
  readonly dir: string;
  readonly #host: string;
  readonly #clusterName: string;
  readonly #now: () => Date;
  readonly #log: Logger;
  readonly #alarm: Alarm;
  readonly #sealAlarm: Alarm;
  readonly #seal: SealOptions | undefined;
  readonly #keepDays: number | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #maxRemembered: number;
  /** Known by `keyOfRecord`, each with the moment at which it is durable. */
  readonly #recent: Map<string, Promise<void>>;
  #file: DayFile | undefined;
  /** Of the newest file. A clock that is put back does not lead back: the order of the files is that of the records. */
  #day: string;
  /** The end of what is durable. */
  #link: Link;
  /** When the last one came. */
  #received: string;
  /** Number of the last checkpoint. */
  #checkpoint: number;
  /** As it was found at the start. */
  readonly #found: LogEnd;
  /** The last checkpoint, as it was kept. */
  #head: Sealed | undefined;
  /** Bytes that came since it. */
  #bytes = 0;
  #expiring: Promise<void> = Promise.resolve();
  /** The first day that would have stayed, the last time that old days were not deleted because somebody had changed them. */
  #saidKept = '';
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: AuditLogOptions) {
    const {
      dir,
      host = '',
      clusterName = '',
      now = () => new Date(),
      log = silent,
      maxRemembered = REMEMBERED_RECORDS,
    } = options;
    this.dir = dir;
    this.#host = host;
    this.#clusterName = clusterName;
    this.#now = now;
    this.#log = log;
    this.#maxRemembered = maxRemembered;
    this.#alarm = createAlarm(log, {
      failing: 'Audit events cannot be recorded, what they are about is refused.',
      working: 'Audit events are recorded again.',
    });
    this.#sealAlarm = createAlarm(log, {
      failing: 'The audit log cannot be signed.',
      working: 'The audit log is signed again.',
    });
    this.#seal = options.seal;
    this.#keepDays = options.keepDays;
    this.#found = endOfLog(dir, maxRemembered, options.seal);
    const durable = Promise.resolve();
    this.#recent = new Map(this.#found.keys.map((key) => [key, durable]));
    this.#link = this.#found.link;
    this.#day = this.#found.day;
    this.#received = this.#found.received;
    this.#head = options.seal?.head;
    this.#checkpoint = this.#head ? this.#head.last_n + 1 : 0;
    if (this.#seal) {
      this.#timer = setInterval(() => void this.checkpoint().catch(() => {}), options.checkpointMs ?? CHECKPOINT_MS);
      this.#timer.unref();
    }
  }

  /** Called once, first: what has come to the log while nobody was here, and which of its days are old. Never rejects. */
  async begin(): Promise<void> {
    // First of all: from now on there may be records behind the last checkpoint.
    if (this.#seal?.isEnded && this.#head) await this.#keepHead(this.#seal, this.#head);
    await this.#sayWhatCame().catch(() => {});
    this.#expiring = this.#expire(this.#found.received);
    await this.#expiring;
  }

  async #sayWhatCame(): Promise<void> {
    const { isSigned, unsigned: first, link } = this.#found;
    const last = link.n;
    const head = this.#seal?.head;
    const wrong = isSigned ? undefined : head && lost(head.last_n, last);
    if (head && wrong) await this.#goOnFrom(head, wrong);
    else if (first === undefined) return;
    else if (head && this.#seal?.isEnded) {
      await this.#goOnFrom(
        head,
        `Auth had ended with record ${first - 1}, and somebody has written ${between(first, last)}`,
      );
    } else {
      const message = `no signature covered ${between(first, last)} when Auth started`;
      this.#log.warn('Auth did not end in order; the end of the audit log was not signed.', { first, last });
      const fields = { success: false, message, first_n: first, last_n: last };
      await this.#add([this.#own('audit.log.unsigned', 'failed', fields)], this.#host);
    }
  }

  /**
   * The chain goes on from what was signed, so that what is missing stays missing, and no signature ever covers what
   * somebody wrote in its place.
   */
  async #goOnFrom({ last_n, last_sum }: Sealed, message: string): Promise<void> {
    this.#link = { n: Math.max(last_n, this.#link.n), sum: last_sum };
    await this.#sayChanged(message);
  }

  /** Signs what has come since the last time, if anything has. */
  async checkpoint(): Promise<void> {
    if (!this.#seal || this.#checkpoint === this.#link.n) return;
    const { record, head } = this.#sealing(this.#seal);
    await this.#add([record], this.#host);
    await this.#keepHead(this.#seal, head());
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
    for (const { text } of records) {
      const key = keyOfRecord(host, text);
      const known = this.#recent.get(key);
      if (known !== undefined) others.push(known);
      else if (!fresh.has(key)) fresh.set(key, text);
    }
    if (fresh.size > 0) others.push(this.#remembered([...fresh.keys()], this.#add([...fresh.values()], host)));
    await Promise.all(others);
  }

  /** Looks now whether the file is where it should be, and not only before the next record. */
  async check(): Promise<void> {
    if (!this.#isClosed) await this.#add([], this.#host);
  }

  /** Waits for what is being written, and signs it. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#running;
    await this.#expiring;
    // The alarm of the disk has said what is wrong.
    await this.checkpoint().catch(() => {});
    await this.#running;
    if (this.#seal && this.#head && this.#checkpoint === this.#link.n) {
      await this.#keepHead(this.#seal, this.#head, true);
    }
    this.#file?.close();
    this.#file = undefined;
  }

  #remembered(keys: readonly string[], written: Promise<void>): Promise<void> {
    for (const key of keys) this.#recent.set(key, written);
    written.then(
      () => forgetOldest(this.#recent, this.#maxRemembered),
      () => {
        for (const key of keys) this.#recent.delete(key);
      },
    );
    return written;
  }

  /** While one batch is written, all that comes forms the next one. */
  #add(records: readonly Pending[], host: string): Promise<void> {
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
    const today = now.slice(0, 10);
    const file = await this.#fileOf(today > this.#day ? today : this.#day, now);
    await this.#chain(
      file,
      now,
      batch.flatMap(({ host, records }) => records.map((record) => ({ host, record }))),
    );
    if (this.#bytes >= CHECKPOINT_BYTES) await this.#sign(file);
  }

  /** The chain goes on only with what is durable: the next batch takes the numbers of one that failed. */
  async #chain(file: DayFile, received: string, records: readonly { host: string; record: Pending }[]): Promise<void> {
    if (records.length === 0) return;
    let end = this.#link;
    let text = '';
    for (const { host, record } of records) {
      const { line, link } = chained(typeof record === 'string' ? record : record(end), { received, host }, end);
      text += `${line}\n`;
      end = link;
    }
    await file.write(text);
    this.#link = end;
    this.#received = received;
    this.#bytes += text.length;
  }

  /** The file of the day, in its place. */
  async #fileOf(day: string, now: string): Promise<DayFile> {
    const received = this.#received;
    const damage = this.#file?.damage();
    const changed = this.#file && damage && (await this.#restore(this.#file, damage));
    if (this.#file && this.#file.day !== day) {
      await this.#sign(this.#file);
      this.#file.close();
      this.#file = undefined;
    }
    if (day !== this.#day) this.#expiring = this.#expiring.then(() => this.#expire(received));
    this.#file ??= new DayFile(this.dir, day);
    this.#day = day;
    if (changed) await this.#chain(this.#file, now, [{ host: this.#host, record: changed }]);
    return this.#file;
  }

  /** A checkpoint between two batches; the last record of a day is one. */
  async #sign(file: DayFile): Promise<void> {
    if (!this.#seal || this.#checkpoint === this.#link.n) return;
    const { record, head } = this.#sealing(this.#seal);
    await this.#chain(file, this.#now().toISOString(), [{ host: this.#host, record }]);
    await this.#keepHead(this.#seal, head());
  }

  /** A record that is signed when the end of the chain before it is known; `head` gives it once it is written. */
  #sealing(seal: SealOptions): { record: Pending; head: () => Sealed } {
    const facts = { cluster_name: this.#clusterName, time: this.#now().toISOString() };
    let made: Sealed | undefined;
    const record = (end: Link) => {
      made = sealed('checkpoint', seal.key, end, facts);
      return this.#own('audit.checkpoint', 'ok', { ...made });
    };
    return { record, head: () => made! };
  }

  async #keepHead(seal: SealOptions, head: Sealed, isEnded = false): Promise<void> {
    // Of two that were made in one batch the older one comes later.
    if (this.#head && head.last_n < this.#head.last_n) return;
    this.#head = head;
    this.#checkpoint = head.last_n + 1;
    this.#bytes = 0;
    try {
      await seal.write(seal.headFile, headText(head, isEnded));
      this.#sealAlarm.worked();
    } catch (error) {
      this.#sealAlarm.failed(error);
    }
  }

  /** An event of the log itself. */
  #own(name: AuditEventName, outcome: AuditOutcome, fields: Record<string, unknown>): string {
    return recordText(auditEvent(name, outcome, fields, { clusterName: this.#clusterName, now: this.#now }));
  }

  /**
   * Deletes whole days that are old: recorded first, then their last record signed, then the files. Never rejects.
   *
   * @param received  when Auth had the last record until now. A clock that jumps ahead makes everything old: what is deleted
   *   after a longer pause is deleted a day later.
   */
  async #expire(received: string): Promise<void> {
    if (this.#keepDays === undefined || this.#now().getTime() - Date.parse(received) > DAY_MS) return;
    const firstKept = new Date(this.#now().getTime() - this.#keepDays * DAY_MS).toISOString().slice(0, 10);
    if (firstKept === this.#saidKept) return;
    try {
      // Before the files are read: what comes later stands in one of them.
      const end = this.#link;
      const days = daysOf(this.dir);
      const old = days.filter((day) => day < firstKept);
      const [first, last] = [old[0], old.at(-1)];
      if (first === undefined || last === undefined) return;
      const kept = days.slice(old.length);
      const farewell = this.#seal && (await this.#farewellTo({ old, kept, firstKept, end }, this.#seal));
      if (farewell === 'changed') return;
      const text = this.#own('audit.log.expired', 'ok', { first_day: first, last_day: last, ...farewell });
      await this.#add([text], this.#host);
      if (this.#seal && farewell) await this.#seal.write(join(this.dir, HEAD_FILE), `${text}\n`);
      for (const day of old) await rm(join(this.dir, `${day}.log`), { force: true });
      // The last record that was signed must be one that is there.
      await this.checkpoint();
    } catch (error) {
      this.#log.error('Old days of the audit log cannot be deleted.', { error });
    }
  }

  /** Nothing is signed, and nothing deleted, where somebody has laid hands on these days or on what follows them. */
  async #farewellTo(days: Omit<OldDays, 'dir' | 'key'>, { key }: SealOptions): Promise<Sealed | 'changed' | undefined> {
    const found = await lookAtOldDays({ ...days, dir: this.dir, key });
    if ('wrong' in found) {
      this.#saidKept = days.firstKept;
      await this.#sayChanged(`the days before ${days.firstKept} are old and are not deleted: ${found.wrong}`);
      return 'changed';
    }
    const facts = { cluster_name: this.#clusterName, time: this.#now().toISOString() };
    return found.end && sealed('farewell', key, found.end, facts);
  }

  async #sayChanged(message: string): Promise<void> {
    this.#log.error('Somebody has changed the audit log.', { error: message });
    await this.#add([this.#own('audit.log.changed', 'failed', { success: false, message })], this.#host);
  }

  /** @returns the record of it */
  async #restore(file: DayFile, damage: Damage): Promise<string> {
    const aside = await file.restore(damage);
    const message =
      damage === 'shortened'
        ? `${file.path} was shortened: what was cut off is lost`
        : `${file.path} was ${damage} and is written anew`;
    this.#log.error('Somebody has changed the audit log.', { error: message, ...(aside ? { kept_as: aside } : {}) });
    return this.#own('audit.log.changed', 'failed', { success: false, message, kept_as: aside });
  }
}

const lost = (signed: number, last: number) =>
  signed > last
    ? `the audit log ends with record ${last}, and record ${signed} was signed: what is between is lost`
    : `record ${signed} of the audit log is not the one that was signed`;

const between = (from: number, to: number) => (from === to ? `record ${to}` : `records ${from} to ${to}`);

function forgetOldest(recent: Map<string, unknown>, max: number): void {
  for (const uid of recent.keys()) {
    if (recent.size <= max) return;
    recent.delete(uid);
  }
}
