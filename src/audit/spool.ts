/**
 * The audit spool of a Database Service. `write` puts records into the system's cache before it returns, so that they
 * survive the end of this process, and its promise says when they survive the end of the power: one fdatasync for all that
 * wait, without asking anybody. From there records are shipped to the Auth Service (`shipper.ts`), in order and as the same text.
 *
 *     write ──> NNNNNNNN.spool (active) ──> … ──> NNNNNNNN.spool (oldest) ── ship ──> deleted
 *               next.spool (room for the next one)      `shipped` says: segment, offset
 *
 * What cannot be written is not written in part, and whoever wanted it hears so at once. The spool is bounded, and a user's
 * part of it as well (`shares.ts`). On a full disk shipping goes on, and each segment that is shipped gives its room back.
 */

import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { type Alarm, createAlarm, type Logger } from '../log.js';
import { Durability } from './durability.js';
import { auditFileError, type LineFile, openLineFile } from './line-file.js';
import { RefusedRecords } from './refused.js';
import { leaveReserve } from './reserve.js';
import { Segment, type Sync } from './segment.js';
import { type RecordOwner, Shares } from './shares.js';
import { type Position, type Ship, Shipper } from './shipper.js';

export interface AuditSpoolOptions {
  dir: string;
  ship: Ship;
  log: Logger;
  now?: () => Date;
  /** Bound of what is kept unshipped, in bytes. Default 1 GiB. */
  maxBytes?: number;
  /** A segment that has grown beyond this is closed. Default 4 MiB. */
  segmentBytes?: number;
  /** Largest hand-over, in bytes of JSON; one longer event goes alone. Default 512 KiB. */
  batchBytes?: number;
  /** How long a first event waits for company before it is handed over. Default 200. */
  gatherMs?: number;
  /** First and longest pause between tries. Default 100 and 10 000. */
  retryMs?: { first: number; longest: number };
  /** How a segment is made durable. Default `fdatasync`. */
  sync?: Sync;
}

const DEFAULTS = {
  maxBytes: 2 ** 30,
  segmentBytes: 4 * 2 ** 20,
  batchBytes: 512 * 1024,
  gatherMs: 200,
  retryMs: { first: 100, longest: 10_000 },
};
/** Of a segment; the rest is for the ends of sessions where there is no room for another one. */
const PART_FOR_STATEMENTS = 0.95;
/** Of the refused records that are kept. */
const MOST_REFUSED_BYTES = 64 * 2 ** 20;

/** @throws TeleportError when the folder or what is in it cannot be used */
export async function openAuditSpool(options: AuditSpoolOptions): Promise<AuditSpool> {
  try {
    await makeFolders(options.dir, 0o700);
  } catch (cause) {
    throw auditFileError(options.dir, cause);
  }
  const spool = new AuditSpool(options);
  await spool.begin();
  return spool;
}

export class AuditSpool {
  readonly #dir: string;
  readonly #segmentBytes: number;
  readonly #sync: Sync | undefined;
  readonly #alarm: Alarm;
  readonly #shareAlarm: Alarm;
  readonly #durability = new Durability((error) => (error ? this.#failed(error) : this.#shipper.wake()));
  readonly #shares: Shares;
  readonly #shipper: Shipper;
  readonly #refused: RefusedRecords;
  /** By number, oldest first. */
  readonly #files = new Map<number, Segment | LineFile>();
  /** The segment that takes new records, under the newest number; none until one can be made. */
  #active: Segment | undefined;
  #newest: number;
  /** The one after it. */
  #next: Segment | undefined;
  #preparing: Promise<void> | undefined;
  #whyNotPrepared: unknown;
  /** Bytes that wait for Auth. */
  #waiting = 0;
  #isClosed = false;

  constructor(options: AuditSpoolOptions) {
    const { dir, log, ship, segmentBytes, maxBytes, batchBytes, gatherMs, retryMs } = { ...DEFAULTS, ...options };
    this.#dir = dir;
    this.#segmentBytes = segmentBytes;
    this.#sync = options.sync;
    this.#shares = new Shares(maxBytes);
    this.#refused = new RefusedRecords(join(dir, 'refused'), MOST_REFUSED_BYTES, options.now ?? (() => new Date()));
    this.#alarm = createAlarm(log, {
      failing: 'Audit events cannot be recorded, their sessions are refused.',
      working: 'Audit events are recorded again.',
    });
    this.#shareAlarm = createAlarm(log, {
      failing: 'The audit spool takes no more of a user, whose statements are refused.',
      working: 'The audit spool takes records of every user again.',
    });
    this.#shipper = new Shipper({
      dir,
      ship,
      log,
      batchBytes,
      gatherMs,
      retryMs,
      refused: this.#refused,
      oldest: () => this.#oldest(),
      waiting: () => this.#waiting,
      shipped: (bytes) => {
        this.#waiting -= bytes;
        this.#dropShipped();
      },
    });
    this.#newest = this.#findOld(this.#shipper.position);
  }

  /** What Auth does not have yet, what it refused, and whether records can be written: for metrics. */
  get state(): { waitingBytes: number; refusedRecords: number; isFailing: boolean } {
    return { waitingBytes: this.#waiting, refusedRecords: this.#refused.count, isFailing: this.#alarm.isOn };
  }

  /** Make the first segment and begin to ship. Called once. */
  async begin(): Promise<void> {
    // Where the disk takes none, what is there can be shipped, which gives room; until then `write` refuses.
    await this.#prepare();
    this.#shipper.begin();
  }

  /**
   * Write records, whole lines. When this returns they are there whatever becomes of this process.
   *
   * @returns resolves when they are durable, rejects when the disk has failed them
   * @throws TeleportError `LimitExceeded` when the spool, the user's share of it or the disk is full, `ConnectionProblem`
   * when the disk fails: nothing was written then
   */
  write(lines: string, owner: RecordOwner): Promise<void> {
    if (this.#isClosed) throw new TeleportError('ConnectionProblem', 'the audit spool is closed');
    const bytes = Buffer.from(lines);
    try {
      this.#shares.check(owner, bytes.length, this.#waiting);
      this.#shareAlarm.worked();
    } catch (error) {
      this.#shareAlarm.failed(error);
      throw error;
    }
    const segment = this.#writeSomewhere(bytes, owner);
    this.#shares.add(this.#newest, owner, bytes.length);
    this.#waiting += bytes.length;
    this.#shipper.wake();
    return this.#durability.wrote(segment);
  }

  /** How long a user has to wait before the next statement: others want room too. */
  pauseMs(user: string): number {
    return this.#shares.pauseMs(user, this.#waiting);
  }

  /** Resolves when nothing is left to ship. */
  drained(): Promise<void> {
    return this.#shipper.drained();
  }

  /** Stops shipping after the call in flight; what is left is shipped at the next opening. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#durability.idle();
    await this.#shipper.close();
    await this.#preparing;
    for (const file of this.#files.values()) file.close();
    this.#next?.discard();
    this.#next = undefined;
  }

  #oldest(): { number: number; file: Segment | LineFile } | undefined {
    const [first] = this.#files;
    return first && { number: first[0], file: first[1] };
  }

  /** Segments of an earlier run. @returns the newest number */
  #findOld({ segment, offset }: Position): number {
    rmSync(join(this.#dir, NEXT), { force: true });
    for (const number of listSegments(this.#dir)) {
      if (number < segment) remove(this.#dir, number);
      else this.#files.set(number, openLineFile(pathOf(this.#dir, number)));
    }
    const isKept = this.#oldest()?.number === segment;
    this.#shipper.offset = isKept ? Math.min(offset, this.#files.get(segment)!.size) : 0;
    this.#waiting = [...this.#files.values()].reduce((sum, { size }) => sum + size, -this.#shipper.offset);
    const newest = [...this.#files.keys()].at(-1) ?? segment;
    this.#dropShipped();
    return newest;
  }

  #writeSomewhere(bytes: Buffer, { isEnd = false }: RecordOwner): Segment {
    for (let isLastTry = false; ; isLastTry = true) {
      try {
        const segment = this.#segmentFor(isEnd);
        const isGrowing = segment.size + bytes.length > segment.reservedBytes;
        if (isGrowing && !isEnd) leaveReserve(this.#dir, bytes.length);
        segment.write(bytes);
        this.#alarm.worked();
        return segment;
      } catch (error) {
        // A segment is deleted once it is shipped and not the one that is written: only that gives room back.
        if (this.#dropShipped() && !isLastTry) continue;
        this.#failed(error);
        this.#prepareAgain();
        throw error;
      }
    }
  }

  #segmentFor(isEnd: boolean): Segment {
    const active = this.#active;
    const next = this.#next;
    if (active && !active.isLost) {
      if (active.size < this.#segmentBytes * PART_FOR_STATEMENTS) return active;
      // It grows until its successor is there: a moment.
      if (!next && this.#preparing) return active;
      if (active.isReserved && !next?.isReserved) {
        if (isEnd) return active;
        throw this.#whyNotPrepared ?? auditFileError(this.#dir, { code: 'ENOSPC' });
      }
    }
    const number = this.#newest + 1;
    const path = pathOf(this.#dir, number);
    next?.rename(path);
    const segment = next ?? Segment.create(path, this.#sync);
    this.#next = undefined;
    this.#newest = number;
    this.#active = segment;
    this.#files.set(number, segment);
    void this.#prepare();
    return segment;
  }

  /** Room for the next segment. Never throws: a write says what is wrong. */
  #prepare(): Promise<void> {
    if (this.#next || this.#isClosed) return Promise.resolve();
    this.#preparing ??= Segment.prepare(join(this.#dir, NEXT), this.#segmentBytes, this.#sync)
      .then(
        (segment) => {
          this.#next = segment;
          this.#whyNotPrepared = undefined;
        },
        (error: unknown) => {
          this.#whyNotPrepared = error;
          this.#failed(error);
        },
      )
      .finally(() => {
        this.#preparing = undefined;
      });
    return this.#preparing;
  }

  /** There may be room by now. */
  #prepareAgain(): void {
    if (this.#next && !this.#next.isReserved) {
      this.#next.discard();
      this.#next = undefined;
    }
    void this.#prepare();
  }

  #failed(error: unknown): void {
    this.#alarm.failed(error);
    this.#shipper.wake();
  }

  /** Deletes segments that are done with. @returns whether there were any */
  #dropShipped(): boolean {
    let dropped = false;
    for (let oldest = this.#oldest(); oldest; oldest = this.#oldest()) {
      const { number, file } = oldest;
      if (this.#shipper.offset < file.size) break;
      if (file instanceof Segment && !this.#isDone(file)) break;
      if (file === this.#active) this.#active = undefined;
      file.close();
      this.#files.delete(number);
      this.#shares.clear(number);
      // Before the position is written: it may need the room. One that names a deleted segment does no harm.
      remove(this.#dir, number);
      dropped = true;
      this.#shipper.moveTo({ segment: this.#oldest()?.number ?? number + 1, offset: 0 });
    }
    return dropped;
  }

  /** Nothing more comes to it, and nobody waits for it. */
  #isDone(segment: Segment): boolean {
    if (this.#durability.concerns(segment)) return false;
    if (segment !== this.#active || segment.isLost) return true;
    // On a disk with little room a segment does not wait until it is large.
    return segment.size > 0 && (!segment.isReserved || segment.size >= this.#segmentBytes * PART_FOR_STATEMENTS);
  }
}

const NEXT = 'next.spool';

const pathOf = (dir: string, segment: number) => join(dir, `${String(segment).padStart(8, '0')}.spool`);

function listSegments(dir: string): number[] {
  return readdirSync(dir)
    .filter((name) => /^\d{8}\.spool$/.test(name))
    .map((name) => Number(name.slice(0, 8)))
    .sort((a, b) => a - b)
    .filter((number) => statSync(pathOf(dir, number)).size > 0 || remove(dir, number));
}

/** Deletes a segment; one that a failing disk keeps is met again at the next opening. @returns false, for filters */
function remove(dir: string, segment: number): false {
  try {
    rmSync(pathOf(dir, segment), { force: true });
  } catch {
    // Sent twice is recorded once.
  }
  return false;
}
