/**
 * One process at a time. Node has no `flock`, so the lock is a file made with O_EXCL that names its holder; it is touched
 * while held, and one whose holder is gone is taken over.
 */

import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, lutimes, open, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from './errors.js';
import { makeFolders } from './folder.js';
import { shellWord } from './shell-word.js';
import { readIfThere } from './small-file.js';
import { rest } from './wait.js';

export interface LockOptions {
  /** How long to wait for another holder. Default 10 s: writers hold the lock for milliseconds. */
  timeoutMs?: number;
  /** A lock that nobody touched for this long has no holder any more. Default 10 s. */
  staleMs?: number;
  /** What to do where the lock cannot be made. Default: by the system's reason. */
  hint?: string;
  /** For work that only removes: a full disk does not keep it from making room. */
  isRemoval?: boolean;
}

const RETRY_MS = 25;

/**
 * Run `work` while no other process runs work under the same path. Not reentrant.
 *
 * @param path  the lock file; its folder is created when missing
 * @throws TeleportError `LimitExceeded` when another process holds it for too long, `BadParameter` for something else in its place
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const { timeoutMs = 10_000, staleMs = 10_000 } = options;
  const mine = `${process.pid} ${hostname()} ${randomUUID()}\n`;
  await makeFolders(dirname(path), 0o700).catch((error: unknown) => {
    throw fileError('write', path, error, options);
  });
  const deadline = Date.now() + timeoutMs;
  while (!(await take(path, mine, options))) {
    if ((await isAbandoned(path, staleMs)) && (await breakLock(path, staleMs))) continue;
    if (Date.now() >= deadline) {
      throw new TeleportError('LimitExceeded', `another tsh is busy writing (${path})`, {
        hint: `Wait for it to end. If no other tsh is running: rm -f ${shellWord(path)} ${shellWord(guardOf(path))}`,
      });
    }
    await rest(RETRY_MS);
  }
  const beat = setInterval(() => void lutimes(path, new Date(), new Date()).catch(() => {}), staleMs / 4);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    const holder = await holderOf(path);
    // Empty where the disk was full when it was made.
    if (holder === mine || (options.isRemoval && holder === '')) await unlink(path).catch(() => {});
  }
}

/** The system's codes for a disk that takes no more, or no more of this person. */
const FULL: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT'];

async function take(path: string, mine: string, options: LockOptions = {}): Promise<boolean> {
  let isMade = false;
  try {
    const file = await open(path, 'wx', 0o600);
    isMade = true;
    await file.writeFile(mine).finally(() => file.close());
    return true;
  } catch (error) {
    if (nodeCodeOf(error) === 'EEXIST') return false;
    const isFull = FULL.includes(nodeCodeOf(error));
    // Held without a name; where there is not even room for the file, nobody else can write either.
    if (isFull && options.isRemoval) return true;
    // On a full disk: an empty lock would hold up whoever comes next.
    if (isMade) await unlink(path).catch(() => {});
    // There the system's reason knows a better way out.
    throw fileError('write', path, error, isFull ? {} : options);
  }
}

async function holderOf(path: string): Promise<string | undefined> {
  return await readIfThere(path).catch(() => undefined);
}

/** @throws TeleportError `BadParameter` for what is not a lock of ours: it would never be given back */
async function factsOf(path: string): Promise<Stats | undefined> {
  const facts = await lstat(path).catch(() => undefined);
  if (facts === undefined || facts.isFile()) return facts;
  throw new TeleportError('BadParameter', `${path} is not a file, and tsh has no other lock than a file`, {
    hint: `Move it away: mv ${shellWord(path)} ${shellWord(`${path}.old`)}`,
  });
}

async function isAbandoned(path: string, staleMs: number): Promise<boolean> {
  const facts = await factsOf(path);
  if (facts === undefined) return false;
  // Also of one that we may not read: root's, of a `sudo tsh` that was killed.
  if (Date.now() - facts.mtimeMs > staleMs) return true;
  const [pid, host] = (await holderOf(path))?.trim().split(' ') ?? [];
  return host === hostname() && pid !== undefined && !isAlive(Number(pid));
}

/** Whether a process of this machine has this id, also one of somebody else. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return nodeCodeOf(error) !== 'ESRCH';
  }
}

const guardOf = (path: string) => `${path}.break`;

/**
 * Remove a lock without holder. Of several that found it, one at a time does so, and looks again first: else the
 * second would remove the lock that the first has meanwhile taken.
 *
 * @returns whether it may be free now
 */
async function breakLock(path: string, staleMs: number): Promise<boolean> {
  const guard = guardOf(path);
  if (!(await take(guard, `${process.pid}\n`))) {
    const facts = await factsOf(guard);
    if (facts && Date.now() - facts.mtimeMs > staleMs) await unlink(guard).catch(() => {});
    return false;
  }
  try {
    return !(await isAbandoned(path, staleMs)) || (await isUnlinked(path));
  } finally {
    await unlink(guard).catch(() => {});
  }
}

/** False where the system says no: of somebody else's file in a folder that is not ours. */
async function isUnlinked(path: string): Promise<boolean> {
  return await unlink(path).then(
    () => true,
    (error: unknown) => nodeCodeOf(error) === 'ENOENT',
  );
}
