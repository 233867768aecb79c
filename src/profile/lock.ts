/**
 * Two `tsh` at once: one writer at a time, and nobody ever sees half a file. Node has no `flock`, so the lock is a file
 * made with O_EXCL that names its holder; it is touched while held, and one whose holder is gone is taken over.
 * Readers need no lock: files are written beside their place and renamed into it.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, realpath, rename, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { nodeCodeOf, TeleportError } from '../errors.js';
import { FOLDER_MODE } from './paths.js';

export interface LockOptions {
  /** How long to wait for another holder. Default 10 s: writers hold the lock for milliseconds. */
  timeoutMs?: number;
  /** A lock that nobody touched for this long has no holder any more. Default 10 s. */
  staleMs?: number;
}

const RETRY_MS = 25;

/**
 * Run `work` while no other process runs work under the same path. Not reentrant.
 *
 * @param path  the lock file; its folder is created when missing
 * @throws TeleportError `LimitExceeded` when another process holds it for too long
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const { timeoutMs = 10_000, staleMs = 10_000 } = options;
  const mine = `${process.pid} ${hostname()} ${randomUUID()}\n`;
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const deadline = Date.now() + timeoutMs;
  while (!(await take(path, mine))) {
    if (await isAbandoned(path, staleMs)) await breakLock(path, staleMs);
    else if (Date.now() >= deadline) {
      throw new TeleportError('LimitExceeded', `another tsh is busy writing (${path})`, {
        hint: 'Wait for it to end. If no other tsh is running, remove that file.',
      });
    } else await wait(RETRY_MS);
  }
  const beat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), staleMs / 4);
  beat.unref();
  try {
    return await work();
  } finally {
    clearInterval(beat);
    if ((await holderOf(path)) === mine) await unlink(path).catch(() => {});
  }
}

/**
 * Put a whole file in its place: readers see the old content or the new one. The umask is applied to `mode`; a symbolic
 * link stays a link and its target is replaced.
 *
 * @param options.keepMode  an existing file keeps the mode it has
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  mode: number,
  options: { keepMode?: boolean } = {},
): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  const target = await realpath(path).catch(() => path);
  const before = options.keepMode ? await stat(target).catch(() => undefined) : undefined;
  const beside = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  const file = await open(beside, 'wx', mode);
  try {
    await file.writeFile(content);
    if (before) await file.chmod(before.mode & 0o7777);
    await file.sync();
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw error;
  } finally {
    await file.close();
  }
  await rename(beside, target);
}

/** The content of a text file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT' || nodeCodeOf(error) === 'ENOTDIR') return undefined;
    throw new TeleportError('AccessDenied', `cannot read ${path}: ${nodeCodeOf(error) ?? 'unknown error'}`, {
      cause: error,
    });
  }
}

async function take(path: string, mine: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600);
    await file.writeFile(mine).finally(() => file.close());
    return true;
  } catch (error) {
    if (nodeCodeOf(error) === 'EEXIST') return false;
    throw new TeleportError('AccessDenied', `cannot write ${path}: ${nodeCodeOf(error) ?? 'unknown error'}`, {
      cause: error,
    });
  }
}

async function holderOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}

async function isAbandoned(path: string, staleMs: number): Promise<boolean> {
  const [holder, facts] = await Promise.all([holderOf(path), stat(path).catch(() => undefined)]);
  if (holder === undefined || facts === undefined) return false;
  if (Date.now() - facts.mtimeMs > staleMs) return true;
  const [pid, host] = holder.trim().split(' ');
  return host === hostname() && pid !== undefined && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return nodeCodeOf(error) !== 'ESRCH';
  }
}

/**
 * Remove a lock without holder. Of several that found it, one may do so at a time, and looks again first: else the
 * second would remove the lock that the first has meanwhile taken.
 */
async function breakLock(path: string, staleMs: number): Promise<void> {
  const guard = `${path}.break`;
  if (!(await take(guard, `${process.pid}\n`))) {
    const facts = await stat(guard).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > staleMs) await unlink(guard).catch(() => {});
    await wait(RETRY_MS);
    return;
  }
  try {
    if (await isAbandoned(path, staleMs)) await unlink(path).catch(() => {});
  } finally {
    await unlink(guard).catch(() => {});
  }
}
