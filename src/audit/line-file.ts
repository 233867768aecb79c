/**
 * A file of lines that grows durably: one write and one fdatasync for everything that is waiting, then the next batch.
 * After a failed write the file is cut back to its last durable line, so that a reader never meets half an event.
 * Knows bytes, not events.
 */
import { closeSync, fdatasync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';

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
  let fd: number;
  let size: number;
  try {
    fd = openSync(path, 'a+', 0o600);
    size = wholeLines(fd);
    if (size < fstatSync(fd).size) ftruncateSync(fd, size);
    syncDirectory(dirname(path));
  } catch (cause) {
    throw failure(path, cause);
  }
  return {
    get size() {
      return size;
    },
    async write(text) {
      const bytes = Buffer.from(text);
      try {
        // The write only reaches the page cache and is not worth a thread; the sync is what takes time.
        for (let sent = 0; sent < bytes.length; ) sent += writeSync(fd, bytes, sent);
        await sync(fd);
        size += bytes.length;
      } catch (cause) {
        ftruncateSync(fd, size);
        throw failure(path, cause);
      }
    },
    read(offset, length) {
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
    },
    close: () => closeSync(fd),
  };
}

/**
 * Gather texts into batches: while one batch is written, all that comes forms the next one. Each caller hears of the fate
 * of its own batch.
 */
export function createBatcher(write: (text: string) => Promise<void>): {
  add(text: string): Promise<void>;
  idle(): Promise<void>;
} {
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

const sync = (fd: number) =>
  new Promise<void>((resolve, reject) => fdatasync(fd, (error) => (error ? reject(error) : resolve())));

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function failure(path: string, cause: unknown): TeleportError {
  const code = nodeCodeOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new TeleportError('LimitExceeded', `the disk is full, the audit event cannot be recorded in ${path}`, {
      hint: 'Free space on the disk of the data directory.',
      cause,
    });
  }
  return new TeleportError('ConnectionProblem', `cannot write the audit file ${path}: ${messageOf(cause)}`, { cause });
}
