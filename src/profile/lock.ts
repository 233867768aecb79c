/**
 * Two `tsh` at once: one writer at a time, and nobody ever sees half a file. Node has no `flock`, so the lock is a file
 * made with O_EXCL that names its holder; it is touched while held, and one whose holder is gone is taken over.
 * Readers need no lock: files are written beside their place and renamed into it.
 */

import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, open, readFile, readlink, realpath, rename, rmdir, stat, unlink, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { rest } from '../wait.js';
import { basePaths, FOLDER_MODE } from './paths.js';

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
/** As Linux follows them. Source: path_resolution(7). */
const MOST_LINKS = 40;

/**
 * Run `work` while no other process runs work under the same path. Not reentrant.
 *
 * @param path  the lock file; its folder is created when missing
 * @throws TeleportError `LimitExceeded` when another process holds it for too long
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  const { timeoutMs = 10_000, staleMs = 10_000 } = options;
  const mine = `${process.pid} ${hostname()} ${randomUUID()}\n`;
  await makeFolder(dirname(path), options);
  const deadline = Date.now() + timeoutMs;
  while (!(await take(path, mine, options))) {
    if (await isAbandoned(path, staleMs)) await breakLock(path, staleMs);
    else if (Date.now() >= deadline) {
      throw new TeleportError('LimitExceeded', `another tsh is busy writing (${path})`, {
        hint: 'Wait for it to end. If no other tsh is running, remove that file.',
      });
    } else await rest(RETRY_MS);
  }
  const beat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), staleMs / 4);
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

/**
 * The same for all that `tsh` keeps in its base folder.
 *
 * @throws TeleportError `AccessDenied` with the way out when the folder cannot be written
 */
export async function withBase<T>(
  base: string,
  work: () => Promise<T>,
  options: { isRemoval?: boolean } = {},
): Promise<T> {
  const hint = `tsh keeps logins in ${base}. Make it a folder that you can write, or name another one with TELEPORT_HOME.`;
  await makeFolder(base, { hint });
  return await withLock(basePaths(base).lock, work, { ...options, hint });
}

/** Whether anything can be kept in the base folder; leaves no trace. @throws as `withBase` */
export async function tryBase(base: string): Promise<void> {
  const isThere = await isFolder(base);
  await withBase(base, async () => {});
  if (!isThere) await rmdir(base).catch(() => {});
}

/**
 * Put a whole file in its place: readers see the old content or the new one. The umask is applied to `mode`; a symbolic
 * link stays a link, and what it leads to is replaced, or made.
 *
 * @param options.keepMode  an existing file keeps the mode and the owner that it has
 * @throws TeleportError `BadParameter` for a device or a folder, `AccessDenied` with the reason when it cannot be written
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  mode: number,
  options: { keepMode?: boolean } = {},
): Promise<void> {
  const target = await throughLinks(path);
  await makeFolder(dirname(target));
  const there = await stat(target).catch(() => undefined);
  if (there && !there.isFile()) throw new TeleportError('BadParameter', `${target} is not a file`);
  const before = options.keepMode ? there : undefined;
  const beside = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    // Nobody else reads it before it has the mode of the file whose content it holds.
    const file = await open(beside, 'wx', before ? 0o600 : mode);
    try {
      await file.writeFile(content);
      if (before) {
        const isOurs = before.uid === process.getuid?.() && before.gid === process.getgid?.();
        if (!isOurs) await file.chown(before.uid, before.gid).catch(() => {}); // only root may
        await file.chmod(before.mode & 0o7777);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, target);
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw fileError('write', path, error);
  }
}

/**
 * Whether `writeWhole` may write there, before a person is asked for anything. Makes nothing; a full disk shows later.
 *
 * @throws as `writeWhole`
 */
export async function assertCanWrite(path: string): Promise<void> {
  const target = await throughLinks(path);
  const there = await stat(target).catch(() => undefined);
  if (there && !there.isFile()) throw new TeleportError('BadParameter', `${target} is not a file`);
  let folder = dirname(target);
  while (dirname(folder) !== folder && (await stat(folder).catch(nodeCodeOf)) === 'ENOENT') folder = dirname(folder);
  try {
    // With the point a file in place of a folder is refused as well.
    await access(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError('write', path, error);
  }
}

async function makeFolder(path: string, options: { hint?: string } = {}): Promise<void> {
  try {
    await makeFolders(path, FOLDER_MODE);
  } catch (error) {
    throw fileError('write', path, error, options);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

/**
 * Where a path leads in the end, also when nothing is there yet: of a link, what it points to.
 *
 * @throws TeleportError `BadParameter` for links that lead in a circle
 */
export async function throughLinks(path: string): Promise<string> {
  let at = path;
  for (let left = MOST_LINKS; left > 0; left--) {
    try {
      return await realpath(at);
    } catch (error) {
      if (nodeCodeOf(error) === 'ELOOP') break;
      const to = await readlink(at).catch(() => undefined);
      if (to === undefined) return at;
      at = resolve(await realpath(dirname(at)).catch(() => dirname(at)), to);
    }
  }
  throw new TeleportError('BadParameter', `${path} is a link that leads in a circle`);
}

/** The content of a text file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT' || nodeCodeOf(error) === 'ENOTDIR') return undefined;
    throw fileError('read', path, error);
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
 * Remove a lock without holder. Of several that found it, one at a time does so, and looks again first: else the
 * second would remove the lock that the first has meanwhile taken.
 */
async function breakLock(path: string, staleMs: number): Promise<void> {
  const guard = `${path}.break`;
  if (!(await take(guard, `${process.pid}\n`))) {
    const facts = await stat(guard).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > staleMs) await unlink(guard).catch(() => {});
    await rest(RETRY_MS);
    return;
  }
  try {
    if (await isAbandoned(path, staleMs)) await unlink(path).catch(() => {});
  } finally {
    await unlink(guard).catch(() => {});
  }
}
