/**
 * A file of lines that grows durably: one synchronous write for everything that is waiting, then the next batch.
 * After a failed write the file is cut back to its last durable line, so that a reader never meets half an event.
 * Knows bytes, not events.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, write } from 'node:fs';
import { dirname } from 'node:path';
import { isDiskFull, messageOf, TeleportError } from '../errors.js';
import { openPlainFile } from './plain-file.js';

export interface LineFile {
  /** Bytes of whole, durable lines. */
  readonly size: number;
  /**
   * Write the text (whole lines, each ending in a newline) and resolve when it is durable. One call at a time.
   *
   * @throws TeleportError `LimitExceeded` when the disk is full, `ConnectionProblem` for other failures
   */
  write(text: string): Promise<void>;
  /** Bytes from `offset`, at most `length`. */
  read(offset: number, length: number): Buffer;
  close(): void;
}

/**
 * Open or create a file of lines, mode 0600. A last line without newline was never acknowledged and is cut off.
 *
 * @throws TeleportError `ConnectionProblem` when it cannot be opened
 */
export function openLineFile(path: string): LineFile {
  let fd: number | undefined;
  try {
    // With O_DSYNC a write has returned when it is durable: one trip to a thread and back instead of two.
    fd = openPlainFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC, 0o600);
    const size = wholeLines(fd);
    if (!isZeroAfter(fd, size)) ftruncateSync(fd, size);
    syncDirectory(dirname(path));
    return lineFileOf(path, fd, size);
  } catch (cause) {
    if (fd !== undefined) closeQuietly(fd);
    throw auditFileError(path, cause);
  }
}

function lineFileOf(path: string, fd: number, durable: number): LineFile {
  let size = durable;
  /** Half a line may stand behind the last one, because it could not be cut off either. */
  let torn = false;
  const cutBack = () => {
    torn = true;
    ftruncateSync(fd, size);
    torn = false;
  };
  return {
    get size() {
      return size;
    },
    async write(text) {
      const bytes = Buffer.from(text);
      try {
        if (torn) cutBack();
        for (let sent = 0; sent < bytes.length; ) sent += await writeAt(fd, bytes, sent, size + sent);
        size += bytes.length;
      } catch (cause) {
        try {
          cutBack();
        } catch {
          // Again before the next write.
        }
        throw auditFileError(path, cause);
      }
    },
    read: (offset, length) => readFrom(fd, path, offset, Math.min(length, size - offset)),
    close: () => closeQuietly(fd),
  };
}

/** Bytes of an open audit file. @throws TeleportError `ConnectionProblem` */
export function readFrom(fd: number, path: string, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.max(0, length));
  try {
    return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
  } catch (cause) {
    throw new TeleportError('ConnectionProblem', `cannot read the audit file ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Every line was durable before: what a failing disk says at the end changes nothing. */
function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // The descriptor is gone in any case.
  }
}

/** What is behind the last line: nothing, or the zeros of a segment's room, but never half a line. */
function isZeroAfter(fd: number, size: number): boolean {
  const next = Buffer.alloc(1);
  return readSync(fd, next, 0, 1, size) === 0 || next[0] === 0;
}

export interface Batcher {
  add(text: string): Promise<void>;
  idle(): Promise<void>;
}

/**
 * Gather texts into batches: while one batch is written, all that comes forms the next one. Each caller hears of the fate
 * of its own batch.
 */
export function createBatcher(write: (text: string) => Promise<void>): Batcher {
  interface Waiting {
    text: string;
    done: { resolve(): void; reject(error: unknown): void };
  }
  let waiting: Waiting[] = [];
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await write(batch.length === 1 ? batch[0]!.text : batch.map(({ text }) => text).join(''));
        for (const { done } of batch) done.resolve();
      } catch (error) {
        for (const { done } of batch) done.reject(error);
      }
    }
    running = undefined;
  }

  return {
    add: (text) =>
      new Promise((resolve, reject) => {
        waiting.push({ text, done: { resolve, reject } });
        running ??= run();
      }),
    idle: async () => running,
  };
}

/** Length of the whole lines at the start of the file. */
function wholeLines(fd: number): number {
  const chunk = Buffer.alloc(65_536);
  for (let end = fstatSync(fd).size; end > 0; ) {
    const start = Math.max(0, end - chunk.length);
    const newline = chunk.subarray(0, readSync(fd, chunk, 0, end - start, start)).lastIndexOf(0x0a);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}

const writeAt = (fd: number, bytes: Buffer, sent: number, position: number) =>
  new Promise<number>((resolve, reject) =>
    write(fd, bytes, sent, bytes.length - sent, position, (error, count) => (error ? reject(error) : resolve(count))),
  );

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** What to tell when a file or folder of audit records cannot be made or written. */
export function auditFileError(path: string, cause: unknown): TeleportError {
  if (cause instanceof TeleportError) return cause;
  if (isDiskFull(cause)) {
    return new TeleportError('LimitExceeded', `the disk is full, the audit event cannot be recorded in ${path}`, {
      hint: 'Free space on the disk of the data directory.',
      cause,
    });
  }
  return new TeleportError('ConnectionProblem', `cannot write the audit file ${path}: ${messageOf(cause)}`, { cause });
}
