/**
 * The store of one machine: a single SQLite file (through libsql) in write-ahead mode that syncs at every commit, so that
 * an acknowledged write survives `kill -9` and loss of power. All statements run synchronously: a commit costs about a
 * quarter of a millisecond, and nothing can come between a comparison and its write. Knows keys and texts, not resources.
 *
 * This is the only door to libsql. Its traps are kept here: arguments always travel as one array, moments as integers,
 * never a boolean (a boolean aborts the process), and columns are read by name.
 */
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isDiskFull, isTeleportError, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { type Alarm, createAlarm, type Logger, silent } from '../log.js';
import { libsql } from './libsql.js';
import type { Change, Item, Key, Store, WriteOptions } from './store.js';
import { createWatchers } from './watchers.js';

const IN_MEMORY = ':memory:';

export interface EmbeddedStoreOptions {
  /** File to keep everything in, created 0600 in a 0700 directory; `:memory:` keeps nothing. */
  path: string;
  /** Clock that decides about expiry. Default: the system's. */
  now?: () => Date;
  /** How long to wait for another process that holds the file. Default 5 000. */
  busyTimeoutMs?: number;
  /** How often expired items are swept without any call. Default 1 000. */
  sweepIntervalMs?: number;
  /** Where an alarm goes when the disk takes no more. */
  log?: Logger;
}

/**
 * Make a new store whole, or not at all: what `fill` writes is there as soon as the file has its name.
 *
 * @throws TeleportError `AlreadyExists` when there is a file, `LimitExceeded` on a full disk, `ConnectionProblem`
 */
export async function createEmbeddedStore(
  options: EmbeddedStoreOptions,
  fill: (store: Store) => Promise<void> = async () => {},
): Promise<void> {
  const { path } = options;
  if (existsSync(path)) throw new TeleportError('AlreadyExists', `the store ${path} exists already`);
  const half = `${path}.new`;
  const removeHalf = () => {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(half + suffix, { force: true });
  };
  try {
    await makeFolders(dirname(path), 0o700);
    removeHalf();
    closeSync(openSync(half, 'wx', 0o600));
    const db = await openSqlite(half, options.busyTimeoutMs);
    db.exec(SCHEMA);
    db.close();
    const store = await openEmbeddedStore({ ...options, path: half });
    try {
      await fill(store);
    } finally {
      await store.close();
    }
    renameSync(half, path);
    syncDirectory(dirname(path));
  } catch (cause) {
    try {
      removeHalf();
    } catch {
      // Tried again at the next start.
    }
    throw storeError(path, cause);
  }
}

/**
 * Open the store, and look whether it is whole; a file that is not there is created.
 *
 * @throws TeleportError `ConnectionProblem` when the file cannot be opened, is empty, cut, damaged or not a store;
 *   `LimitExceeded` on a full disk. The same of every call of the store.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  const { path } = options;
  if (path !== IN_MEMORY && !existsSync(path)) await createEmbeddedStore(options);
  return new EmbeddedStore(await openDatabase(path, options.busyTimeoutMs), options);
}

class EmbeddedStore implements Store {
  readonly #path: string;
  readonly #db: Sqlite;
  readonly #sql: ReturnType<typeof statements>;
  readonly #now: () => Date;
  readonly #log: Logger;
  readonly #alarm: Alarm;
  readonly #watchers = createWatchers();
  readonly #timer: NodeJS.Timeout;
  #nextExpiry: number;
  #isClosed = false;

  constructor(db: Sqlite, options: EmbeddedStoreOptions) {
    const { path, now = () => new Date(), sweepIntervalMs = 1_000, log = silent } = options;
    this.#path = path;
    this.#db = db;
    this.#now = now;
    this.#log = log;
    this.#alarm = createAlarm(log, {
      failing: 'The store of the Auth Service cannot be written.',
      working: 'The store of the Auth Service is written again.',
    });
    this.#sql = statements(db);
    this.#nextExpiry = this.#readNextExpiry();
    this.#timer = setInterval(() => this.#isClosed || this.#sweep(), sweepIntervalMs).unref();
  }

  async create(key: Key, value: string, options: WriteOptions = {}): Promise<Item> {
    return this.#atomically(() => {
      if (this.#read(key)) throw new TeleportError('AlreadyExists', `key "${key}" already exists`);
      return this.#write(key, value, options.expires);
    });
  }

  async put(key: Key, value: string, options: WriteOptions & { expectedRevision?: string } = {}): Promise<Item> {
    return this.#atomically(() => {
      expect(options.expectedRevision, this.#read(key));
      return this.#write(key, value, options.expires);
    });
  }

  async get(key: Key): Promise<Item | undefined> {
    this.#enter();
    return this.#asking(() => this.#read(key));
  }

  async range(prefix: Key, { limit, after }: { limit?: number; after?: Key } = {}): Promise<Item[]> {
    this.#enter();
    const args = [prefix, `${prefix}\u{10FFFF}`, after ?? '', this.#now().getTime(), limit ?? -1];
    return (this.#asking(() => this.#sql.range.all(args)) as Row[]).map(itemOf);
  }

  async delete(key: Key, options: { expectedRevision?: string } = {}): Promise<boolean> {
    return this.#atomically(() => {
      const item = this.#read(key);
      expect(options.expectedRevision, item);
      if (item === undefined) return false;
      this.#sql.delete.run([key]);
      this.#watchers.tell({ type: 'delete', key });
      return true;
    });
  }

  watch(prefix: Key, signal: AbortSignal): AsyncIterable<Change> {
    return this.#watchers.watch(prefix, signal);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#watchers.close();
    try {
      if (this.#path !== IN_MEMORY) foldIn(this.#db);
    } catch (cause) {
      this.#log.error('What was written last stays beside the store, in its -wal file.', {
        error: storeError(this.#path, cause),
      });
    }
    this.#db.close();
  }

  /** Every call: the store is open, and what has expired is gone and told. */
  #enter(): void {
    if (this.#isClosed) throw new TeleportError('ConnectionProblem', 'the store is closed');
    this.#sweep();
  }

  /** What could not be swept, on a full disk, is swept later; nobody reads it meanwhile. */
  #sweep(): void {
    const now = this.#now().getTime();
    if (now < this.#nextExpiry) return;
    try {
      const gone = this.#asking(() => this.#sql.sweep.all([now])) as { key: string }[];
      this.#nextExpiry = this.#readNextExpiry();
      this.#alarm.worked();
      for (const { key } of gone) this.#watchers.tell({ type: 'delete', key });
      this.#watchers.flush();
    } catch (error) {
      this.#alarm.failed(error);
    }
  }

  #readNextExpiry(): number {
    return (this.#sql.next.get([]) as { next: number | null } | undefined)?.next ?? Number.POSITIVE_INFINITY;
  }

  #read(key: Key): Item | undefined {
    const row = this.#sql.get.get([key]) as Row | undefined;
    if (row === undefined || (row.expires !== null && row.expires <= this.#now().getTime())) return undefined;
    return itemOf(row);
  }

  #write(key: Key, value: string, expires: Date | undefined): Item {
    const item: Item = { key, value, revision: randomUUID(), ...(expires ? { expires } : {}) };
    this.#sql.put.run([key, value, item.revision, expires ? expires.getTime() : null]);
    if (expires) this.#nextExpiry = Math.min(this.#nextExpiry, expires.getTime());
    this.#watchers.tell({ type: 'put', key, item });
    return item;
  }

  /** Run against the database, and tell its errors as ours. */
  #asking<T>(body: () => T): T {
    try {
      return body();
    } catch (cause) {
      throw storeError(this.#path, cause);
    }
  }

  /** Run the comparison and its write as one transaction, also against another process on the same file. */
  #atomically<T>(body: () => T): T {
    this.#enter();
    try {
      this.#db.exec('BEGIN IMMEDIATE');
      const result = body();
      this.#db.exec('COMMIT');
      this.#alarm.worked();
      this.#watchers.flush();
      return result;
    } catch (cause) {
      this.#watchers.discard();
      try {
        this.#db.exec('ROLLBACK');
      } catch {
        // SQLite has done so itself, as after a full disk, or there was no beginning.
      }
      const error = storeError(this.#path, cause);
      if (error !== cause) this.#alarm.failed(error);
      throw error;
    }
  }
}

function statements(db: Sqlite) {
  return {
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
}

/** All into the one file, and no other file beside it. */
function foldIn(db: Sqlite): void {
  const [{ busy } = { busy: 1 }] = db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all([]) as { busy: number }[];
  if (busy === 0) db.exec('PRAGMA journal_mode = DELETE');
}

const SCHEMA =
  'CREATE TABLE items ' +
  '(key TEXT PRIMARY KEY, value TEXT NOT NULL, revision TEXT NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID; ' +
  'CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL';

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

async function openSqlite(path: string, busyTimeoutMs = 5_000): Promise<Sqlite> {
  const Database = await libsql();
  return new Database(path, { timeout: busyTimeoutMs }) as unknown as Sqlite;
}

/** Never opened by another descriptor than SQLite's own: closing that one would let go of SQLite's locks. */
async function openDatabase(path: string, busyTimeoutMs?: number): Promise<Sqlite> {
  const inMemory = path === IN_MEMORY;
  let db: Sqlite | undefined;
  try {
    if (!inMemory) {
      const facts = statSync(path);
      if (!facts.isFile()) throw damaged(path, 'it is not a file');
      if (facts.size === 0) throw damaged(path, 'it is empty');
      chmodSync(path, 0o600);
    }
    db = await openSqlite(path, busyTimeoutMs);
    if (inMemory) db.exec(SCHEMA);
    else check(path, db);
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    return db;
  } catch (cause) {
    db?.close();
    throw storeError(path, cause);
  }
}

function check(path: string, db: Sqlite): void {
  const tables = db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'items'").get([]) as { n: number };
  if (tables.n === 0) throw damaged(path, 'it holds nothing of a cluster, as a copy without its -wal file');
  const { page_size } = db.prepare('PRAGMA page_size').get([]) as { page_size: number };
  // What a crash has left half written stands in the -wal file as well.
  if (statSync(path).size % page_size !== 0 && !existsSync(`${path}-wal`)) throw damaged(path, 'it is cut');
  const [first] = db.prepare('PRAGMA integrity_check(1)').all([]) as { integrity_check: string }[];
  if (first?.integrity_check !== 'ok') throw damaged(path, first?.integrity_check.replace(/\s+/g, ' ') ?? 'no answer');
}

/** The refusal of a store that is not whole. */
export function damaged(path: string, why: string, cause?: unknown): TeleportError {
  return new TeleportError('ConnectionProblem', `the store ${path} is damaged: ${why}`, {
    cause,
    hint: `Stop this process and put a backup in its place: auth.db, without auth.db-wal and auth.db-shm. To begin a new cluster instead, use an empty data_dir.`,
  });
}

function storeError(path: string, cause: unknown): TeleportError {
  if (isTeleportError(cause)) return cause;
  const code = nodeCodeOf(cause) ?? '';
  if (isDiskFull(cause) || code === 'SQLITE_FULL' || (code.startsWith('SQLITE_IOERR') && hasNoRoom(path))) {
    return new TeleportError('LimitExceeded', `the disk is full, the store ${path} cannot be written`, {
      hint: 'Free space on the disk of the data directory.',
      cause,
    });
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') return damaged(path, messageOf(cause), cause);
  return new TeleportError('ConnectionProblem', `cannot use the store ${path}: ${messageOf(cause)}`, { cause });
}

/** SQLite tells a full disk in several ways; its smallest need is the 32 KiB of a -shm file. */
function hasNoRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < 32_768;
  } catch {
    return false;
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
