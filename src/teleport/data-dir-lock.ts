/**
 * A data folder belongs to one process at a time: two would write the same identities, store and spool. The lock is the
 * kernel's and dies with its holder (`store/file-lock.ts`); a second file beside it says who that is.
 *
 *     teleport.lock        held, always empty
 *     teleport.lock.json   {"pid": 4711, "host": "db1", "since": "2026-11-21T10:00:00.000Z"}
 */

import { readdir, readlink, realpath, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { TeleportError } from '../errors.js';
import { isAlive } from '../lock.js';
import type { Logger } from '../log.js';
import { takeFileLock } from '../store/file-lock.js';
import { readStateFile, writeStateFile } from '../store/state-files.js';
import { rest } from '../wait.js';

interface Holder {
  pid: number;
  host: string;
  /** ISO 8601. */
  since: string;
}

export interface DataDirLock {
  /** Let go; also done by the end of the process, whatever ends it. */
  close(): Promise<void>;
}

/** A holder that has the lock says its name within this. */
const NAMED_WITHIN_MS = 500;
const LOOK_EVERY_MS = 20;

/** @throws TeleportError `AlreadyExists` when another process has the folder, with its id, its host and since when */
export async function lockDataDir(
  dataDir: string,
  { log, now }: { log: Logger; now: () => Date },
): Promise<DataDirLock> {
  const path = join(dataDir, 'teleport.lock');
  const lock = await takeFileLock(path);
  const file = join(dataDir, 'teleport.lock.json');
  if (lock === undefined) throw inUse(dataDir, await holderOf(file));
  const last = parseHolder(await readStateFile(file).catch(() => undefined));
  if (last && last.host === hostname() && (await holdsRemoved(last.pid, path))) {
    lock.release();
    throw inUse(dataDir, last);
  }
  const me: Holder = { pid: process.pid, host: hostname(), since: now().toISOString() };
  const forget = () => rm(file, { force: true }).catch(() => {});
  // On a full disk the lock holds without a name; a name of an earlier process would mislead.
  await writeStateFile(file, `${JSON.stringify(me)}\n`, 0o644).catch(async (error: unknown) => {
    await forget();
    log.warn('Cannot write who uses the data folder.', { error });
  });
  return {
    async close() {
      await forget();
      lock.release();
    },
  };
}

/** Who has the lock. A name that belongs to nobody alive is that of an earlier holder: the new one is about to write its own. */
async function holderOf(file: string): Promise<Holder | undefined> {
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    const holder = parseHolder(await readStateFile(file).catch(() => undefined));
    if (holder && (holder.host !== hostname() || isAlive(holder.pid))) return holder;
    if (waited >= NAMED_WITHIN_MS) return undefined;
    await rest(LOOK_EVERY_MS);
  }
}

/** Somebody may have removed the lock file by hand, as a stale one; its process holds it still. Linux tells. */
async function holdsRemoved(pid: number, path: string): Promise<boolean> {
  try {
    const removed = `${await realpath(path)} (deleted)`;
    const names = await readdir(`/proc/${pid}/fd`);
    const targets = names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => ''));
    return (await Promise.all(targets)).includes(removed);
  } catch {
    return false; // gone, of another user, or no Linux
  }
}

function parseHolder(text: string | undefined): Holder | undefined {
  try {
    const { pid, host, since } = JSON.parse(text ?? '') as Partial<Holder>;
    if (Number.isSafeInteger(pid) && typeof host === 'string' && typeof since === 'string')
      return { pid: pid!, host, since };
  } catch {
    // None yet.
  }
  return undefined;
}

function inUse(dataDir: string, holder: Holder | undefined): TeleportError {
  const who = holder
    ? `process ${holder.pid} on ${holder.host}, since ${holder.since}`
    : 'a process that could not write its name';
  return new TeleportError('AlreadyExists', `the data folder ${dataDir} is in use by another teleport: ${who}`, {
    hint: `Stop that process${holder ? ` (on ${holder.host}: kill ${holder.pid})` : ''}, or give this one a folder of its own: teleport start --data-dir=DIR (or "data_dir" in the configuration file).`,
  });
}
