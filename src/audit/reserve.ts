/**
 * Room on a disk that the records of statements may not take: whoever fills a disk with them can still be locked out. What
 * Auth records itself, its store and the ends of sessions go on there.
 */
import { type StatsFs, statfsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { TeleportError } from '../errors.js';
import { type Alarm, createAlarm, type Logger } from '../log.js';
import { auditFileError } from './line-file.js';

const MOST_KEPT_BYTES = 256 * 2 ** 20;
/** Of a disk for which that is much. */
const PART_KEPT = 1 / 20;
/** How long what the system says counts: others use the disk too. */
const KNOWN_FOR_MS = 1000;
/** What Auth puts behind a record, at most. */
const MOST_ADDED_BYTES = 512;

/** Bytes that records of statements may still take. Some file systems do not say. */
export function roomOf({ bavail, bsize, blocks }: Pick<StatsFs, 'bavail' | 'bsize' | 'blocks'>): number {
  return blocks === 0 ? Infinity : bavail * bsize - Math.min(MOST_KEPT_BYTES, blocks * bsize * PART_KEPT);
}

/** @throws TeleportError `LimitExceeded` where so many bytes would not leave the reserve */
export function leaveReserve(dir: string, bytes: number): void {
  let room: number;
  try {
    room = roomOf(statfsSync(dir));
  } catch (cause) {
    throw auditFileError(dir, cause);
  }
  if (room < bytes) throw auditFileError(dir, { code: 'ENOSPC' });
}

/** The disk of Auth's log, before records of agents are written to it. */
export class Reserve {
  readonly #dir: string;
  readonly #alarm: Alarm;
  #room = 0;
  /** Of what was refused last: nothing smaller goes before it. */
  #refusedBytes = 0;
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(dir: string, log: Logger) {
    this.#dir = dir;
    this.#alarm = createAlarm(log, {
      failing: 'The disk of the audit log is almost full: the records of agents stay with them.',
      working: 'The records of agents are taken again.',
    });
  }

  /**
   * May these records of an agent be written?
   *
   * @throws TeleportError `LimitExceeded`: later
   */
  async take(records: readonly { text: string }[]): Promise<void> {
    if (records.length === 0) return;
    const bytes = records.reduce((sum, { text }) => sum + Buffer.byteLength(text) + MOST_ADDED_BYTES, 0);
    const needed = Math.max(bytes, this.#refusedBytes);
    if (this.#room < needed || performance.now() - this.#askedAt > KNOWN_FOR_MS) {
      this.#room = roomOf(await statfs(this.#dir));
      this.#askedAt = performance.now();
    }
    if (this.#room < needed) {
      this.#refusedBytes = needed;
      const error = new TeleportError('LimitExceeded', `the disk of ${this.#dir} is almost full`, {
        hint: 'Free space on it: what is left is for what Auth itself records, such as a lock.',
      });
      this.#alarm.failed(error);
      throw error;
    }
    this.#refusedBytes = 0;
    this.#room -= bytes;
    this.#alarm.worked();
  }
}
