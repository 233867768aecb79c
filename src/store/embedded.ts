/**
 * The store of one machine: a single SQLite file (through libsql) in write-ahead mode that syncs at every commit, so that
 * an acknowledged write survives `kill -9` and loss of power. All statements run synchronously: a commit costs about a
 * quarter of a millisecond, and nothing can come between a comparison and its write. Knows keys and texts, not resources.
 *
 * This is the only door to libsql. Its traps are kept here: arguments always travel as one array, moments as integers,
 * never a boolean (a boolean aborts the process), and columns are read by name.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, TeleportError } from '../errors.js';
import type { Item, Key, Store } from './store.js';
import { createWatchers } from './watchers.js';

export interface EmbeddedStoreOptions {
  /** File to keep everything in, created 0600 in a 0700 directory; `:memory:` keeps nothing. */
  path: string;
  /** Clock that decides about expiry. Default: the system's. */
  now?: () => Date;
  /** How long to wait for another process that holds the file. Default 5 000. */
  busyTimeoutMs?: number;
  /** How often expired items are swept without any call. Default 1 000. */
  sweepIntervalMs?: number;
}

/**
 * Open or create the store.
 *
 * @throws TeleportError `ConnectionProblem` when the file cannot be opened or is not a store
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { path, now = () => new Date(), busyTimeoutMs = 5_000, sweepIntervalMs = 1_000 } = options;
  const db = await openDatabase(path, busyTimeoutMs);
  const watchers = createWatchers();
  const sql = {
    get: db.prepare('SELECT key, value, revision, expires FROM items WHERE key = ?'),
    put: db.prepare(
      'INSERT INTO items (key, value, revision, expires) VALUES (?, ?, ?, ?) ' +
        'ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision, expires = excluded.expires',
    ),
    range: db.prepare(
      'SELECT key, value, revision, expires FROM items ' +
        'WHERE key >= ? AND key < ? AND key > ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?',
    ),
    delete: db.prepare('DELETE FROM items WHERE key = ?'),
    sweep: db.prepare('DELETE FROM items WHERE expires IS NOT NULL AND expires <= ? RETURNING key'),
    next: db.prepare('SELECT MIN(expires) AS next FROM items WHERE expires IS NOT NULL'),
  };
  let nextExpiry = readNextExpiry();
  let closed = false;
  const timer = setInterval(() => closed || sweep(), sweepIntervalMs);
  timer.unref();

  function readNextExpiry(): number {
    return (sql.next.get([]) as { next: number | null } | undefined)?.next ?? Number.POSITIVE_INFINITY;
  }

  function sweep(): void {
    if (now().getTime() < nextExpiry) return;
    const gone = sql.sweep.all([now().getTime()]) as { key: string }[];
    nextExpiry = readNextExpiry();
    for (const { key } of gone) watchers.tell({ type: 'delete', key });
    watchers.flush();
  }

  /** Every call: the store is open, and what has expired is gone and told. */
  function enter(): void {
    if (closed) throw new TeleportError('ConnectionProblem', 'the store is closed');
    sweep();
  }

  function read(key: Key): Item | undefined {
    const row = sql.get.get([key]) as Row | undefined;
    return row === undefined ? undefined : itemOf(row);
  }

  function write(key: Key, value: string, expires: Date | undefined): Item {
    const item: Item = { key, value, revision: randomUUID(), ...(expires ? { expires } : {}) };
    sql.put.run([key, value, item.revision, expires ? expires.getTime() : null]);
    if (expires) nextExpiry = Math.min(nextExpiry, expires.getTime());
    watchers.tell({ type: 'put', key, item });
    return item;
  }

  /** Run the comparison and its write as one transaction, also against another process on the same file. */
  const atomically = <T>(body: () => T): T => {
    enter();
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      db.exec('COMMIT');
      watchers.flush();
      return result;
    } catch (error) {
      watchers.discard();
      db.exec('ROLLBACK');
      throw error;
    }
  };

  return {
    create: async (key, value, options = {}) =>
      atomically(() => {
        if (read(key)) throw new TeleportError('AlreadyExists', `key "${key}" already exists`);
        return write(key, value, options.expires);
      }),
    put: async (key, value, options = {}) =>
      atomically(() => {
        expect(options.expectedRevision, read(key));
        return write(key, value, options.expires);
      }),
    get: async (key) => {
      enter();
      return read(key);
    },
    range: async (prefix, { limit, after } = {}) => {
      enter();
      const rows = sql.range.all([prefix, `${prefix}\u{10FFFF}`, after ?? '', now().getTime(), limit ?? -1]) as Row[];
      return rows.map(itemOf);
    },
    delete: async (key, options = {}) =>
      atomically(() => {
        const item = read(key);
        expect(options.expectedRevision, item);
        if (item === undefined) return false;
        sql.delete.run([key]);
        watchers.tell({ type: 'delete', key });
        return true;
      }),
    watch: (prefix, signal) => watchers.watch(prefix, signal),
    close: async () => {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      watchers.close();
      db.close();
    },
  };
}

interface Row {
  key: string;
  value: string;
  revision: string;
  expires: number | null;
}

interface Statement {
  run(args: unknown[]): unknown;
  get(args: unknown[]): unknown;
  all(args: unknown[]): unknown[];
}
interface Sqlite {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

function itemOf({ key, value, revision, expires }: Row): Item {
  return { key, value, revision, ...(expires === null ? {} : { expires: new Date(expires) }) };
}

function expect(revision: string | undefined, item: Item | undefined): void {
  if (revision === undefined || item?.revision === revision) return;
  throw new TeleportError('CompareFailed', 'the item has changed in the meantime, read it again and repeat the change');
}

async function openDatabase(path: string, busyTimeoutMs: number): Promise<Sqlite> {
  try {
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, 'a', 0o600));
      chmodSync(path, 0o600);
    }
    const { default: Database } = await import('libsql');
    const db = new Database(path, { timeout: busyTimeoutMs }) as unknown as Sqlite;
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    db.exec(
      'CREATE TABLE IF NOT EXISTS items ' +
        '(key TEXT PRIMARY KEY, value TEXT NOT NULL, revision TEXT NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID',
    );
    db.exec('CREATE INDEX IF NOT EXISTS items_expires ON items (expires) WHERE expires IS NOT NULL');
    return db;
  } catch (cause) {
    throw new TeleportError('ConnectionProblem', `cannot open the store ${path}: ${messageOf(cause)}`, { cause });
  }
}
