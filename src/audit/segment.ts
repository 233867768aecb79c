/**
 * One file of an agent's spool while records are written to it. A write is synchronous and goes into the system's cache:
 * what it has taken survives the end of the process. What survives the end of the power is said by `sync`.
 *
 * The room of a segment is filled with zeros before it is needed. A write into blocks that exist changes nothing in the file
 * system's own records: it is faster, and it does not fail on a disk that has become full. The records end where the zeros
 * begin.
 */
import {
  closeSync,
  constants,
  fdatasync,
  fsync,
  ftruncate,
  ftruncateSync,
  open,
  openSync,
  renameSync,
  rmSync,
  statfs,
  write,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { isDiskFailure, TeleportError } from '../errors.js';
import { auditFileError, readFrom } from './line-file.js';
import { roomOf } from './reserve.js';

const freeOf = promisify(statfs);
const openLater = promisify(open);
const writeLater = promisify(write);
const truncateLater = promisify(ftruncate);
const syncLater = promisify(fsync);
const syncDataLater = promisify(fdatasync);

const FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC;
/** Zeros of one write. */
const STEP_BYTES = 256 * 1024;

/** Makes what was written to an open file durable. */
export type Sync = (fd: number) => Promise<void>;

export class Segment {
  /** Its room that was made ahead; 0 where there was none. */
  readonly reservedBytes: number;
  readonly #fd: number;
  readonly #sync: Sync;
  #path: string;
  #size = 0;
  /** Part of a record may stand behind the last one, because it could not be cut off either. */
  #isTorn = false;
  /** The folder does not know the file's name for good yet. */
  #isNew = true;
  #isLost = false;

  private constructor(path: string, fd: number, reservedBytes: number, sync: Sync) {
    this.#path = path;
    this.#fd = fd;
    this.reservedBytes = reservedBytes;
    this.#sync = sync;
  }

  /** Make a file with room, without holding anybody up; without room where the disk has none. @throws TeleportError */
  static async prepare(path: string, reservedBytes: number, sync: Sync = syncDataLater): Promise<Segment> {
    try {
      const fd = await openLater(path, FLAGS, 0o600);
      return new Segment(path, fd, (await hasRoom(path, fd, reservedBytes)) ? reservedBytes : 0, sync);
    } catch (cause) {
      throw auditFileError(path, cause);
    }
  }

  /** Make an empty file now. @throws TeleportError */
  static create(path: string, sync: Sync = syncDataLater): Segment {
    try {
      return new Segment(path, openSync(path, FLAGS, 0o600), 0, sync);
    } catch (cause) {
      throw auditFileError(path, cause);
    }
  }

  get isReserved(): boolean {
    return this.reservedBytes > 0;
  }

  /** Bytes of whole records. */
  get size(): number {
    return this.#size;
  }

  /** True once its disk has failed to keep something: nothing more may be written here. */
  get isLost(): boolean {
    return this.#isLost;
  }

  rename(path: string): void {
    try {
      renameSync(this.#path, path);
      this.#path = path;
    } catch (cause) {
      throw auditFileError(path, cause);
    }
  }

  /** Whole lines. They are all written, or none is. @throws TeleportError `LimitExceeded` for a full disk, `ConnectionProblem` */
  write(lines: Buffer): void {
    try {
      if (this.#isTorn) this.#cutBack();
      for (let sent = 0; sent < lines.length; ) {
        sent += writeSync(this.#fd, lines, sent, lines.length - sent, this.#size + sent);
      }
      this.#size += lines.length;
    } catch (cause) {
      this.#isTorn = true;
      try {
        this.#cutBack();
      } catch {
        // Again before the next write.
      }
      throw auditFileError(this.#path, cause);
    }
  }

  /** Resolves when all that was written is durable. A failure is for good. @throws TeleportError */
  async sync(): Promise<void> {
    try {
      if (this.#isLost) throw new TeleportError('ConnectionProblem', 'its disk has failed before');
      await this.#sync(this.#fd);
      if (this.#isNew) await syncFolder(dirname(this.#path));
      this.#isNew = false;
    } catch (cause) {
      this.#isLost = true;
      throw auditFileError(this.#path, cause);
    }
  }

  read(offset: number, length: number): Buffer {
    return readFrom(this.#fd, this.#path, offset, Math.min(length, this.#size - offset));
  }

  close(): void {
    try {
      closeSync(this.#fd);
    } catch {
      // The descriptor is gone in any case.
    }
  }

  /** Close it and take the file away. */
  discard(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }

  #cutBack(): void {
    ftruncateSync(this.#fd, this.#size);
    this.#isTorn = false;
  }
}

/** @returns false when there is no room */
async function hasRoom(path: string, fd: number, bytes: number): Promise<boolean> {
  try {
    // Filling up what is left would take it from the records of this moment.
    if (roomOf(await freeOf(dirname(path))) < 2 * bytes) return false;
    const zeros = Buffer.alloc(Math.min(bytes, STEP_BYTES));
    for (let at = 0; at < bytes; ) {
      at += (await writeLater(fd, zeros, 0, Math.min(zeros.length, bytes - at), at)).bytesWritten;
    }
    await syncLater(fd);
    return true;
  } catch (error) {
    if (!isDiskFailure(error)) throw error;
    // The records themselves need the room that is left.
    await truncateLater(fd, 0);
    return false;
  }
}

async function syncFolder(path: string): Promise<void> {
  const fd = await openLater(path, 'r');
  try {
    await syncLater(fd);
  } finally {
    closeSync(fd);
  }
}
