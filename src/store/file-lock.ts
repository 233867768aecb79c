/**
 * A lock that dies with its holder. Node has no `flock`; SQLite holds its files by the kernel's record locks, which
 * `kill -9` ends like any other exit, which no reused process id can fool, and which need no room on a full disk. The
 * file stays empty and stays in its place. Nobody else may open it: closing any descriptor of a file drops the process's
 * record locks on it.
 *
 * Source: fcntl(2), "advisory record locking"; SQLite, "File Locking And Concurrency".
 */
import { chmodSync } from 'node:fs';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { libsql } from './libsql.js';

export interface FileLock {
  release(): void;
}

/**
 * Take the lock at once or not at all.
 *
 * @param path  made 0600 when missing; its folder must exist
 * @returns undefined when another process, or another lock of this one, holds it
 * @throws TeleportError `BadParameter` when the file cannot be used
 */
export async function takeFileLock(path: string): Promise<FileLock | undefined> {
  const Database = await libsql();
  let db: { exec(sql: string): void; close(): void } | undefined;
  try {
    db = new Database(path, { timeout: 0 });
    // No journal: that would be a second file, for a transaction that changes nothing.
    db.exec('PRAGMA journal_mode = OFF');
    db.exec('BEGIN EXCLUSIVE');
    chmodSync(path, 0o600);
  } catch (cause) {
    db?.close();
    if (nodeCodeOf(cause)?.startsWith('SQLITE_BUSY')) return undefined;
    throw new TeleportError('BadParameter', `cannot lock ${path}: ${messageOf(cause)}`, { cause });
  }
  const held = db;
  return { release: () => held.close() };
}
