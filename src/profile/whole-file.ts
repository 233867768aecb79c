/**
 * A file put in its place whole: written beside it and renamed into it, so that readers see the old content or the new one, and
 * need no lock.
 */
import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { access, lstat, open, readdir, readlink, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { shellWord } from '../shell-word.js';
import { notAFile } from '../small-file.js';
import { FOLDER_MODE } from './paths.js';

/** As Linux follows them. Source: path_resolution(7). */
const MOST_LINKS = 40;
/** What a process left that was killed while it wrote; a younger one may be of one that writes. */
const LEFTOVER_MS = 60_000;

/**
 * Write a file that a person named. The umask is applied to `mode`; a symbolic link stays a link, and what it leads to is
 * replaced, or made.
 *
 * @param options.keepMode  an existing file keeps the mode and the owner that it has
 * @throws TeleportError `BadParameter` for a device or a folder, `AccessDenied` with the reason when it cannot be written, or
 *   when the link is somebody else's
 */
export async function writeWhole(
  path: string,
  content: string | Uint8Array,
  mode: number,
  options: { keepMode?: boolean } = {},
): Promise<void> {
  const target = await throughLinks(path);
  const folder = dirname(target);
  await makeFolders(folder, FOLDER_MODE).catch((error: unknown) => {
    throw fileError('write', folder, error);
  });
  const there = await fileAt(target);
  try {
    await putFile(folder, basename(target), content, mode, options.keepMode ? there : undefined);
  } catch (error) {
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
  await fileAt(target);
  let folder = dirname(target);
  while (dirname(folder) !== folder && (await stat(folder).catch(nodeCodeOf)) === 'ENOENT') folder = dirname(folder);
  try {
    // With the point a file in place of a folder is refused as well.
    await access(`${folder}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError('write', path, error);
  }
}

async function fileAt(path: string): Promise<Stats | undefined> {
  const facts = await stat(path).catch(() => undefined);
  if (facts && !facts.isFile()) throw notAFile(path);
  return facts;
}

/**
 * Write beside the place, then into it. What stands there goes, unless it is a folder; what a link leads to stays as it is.
 *
 * @param before  whose mode and owner it gets
 * @throws what Node says
 */
export async function putFile(
  folder: string,
  name: string,
  content: string | Uint8Array,
  mode: number,
  before?: Stats,
): Promise<void> {
  await removeLeftovers(folder, name);
  const beside = join(folder, `.${name}.${randomUUID()}.tmp`);
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
    await rename(beside, join(folder, name));
  } catch (error) {
    await unlink(beside).catch(() => {});
    throw error;
  }
}

const LEFTOVER = /^\.(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** The name of the file that was being written beside its place; undefined for what has another name. */
export function leftoverOf(entry: string): string | undefined {
  return LEFTOVER.exec(entry)?.[1];
}

async function removeLeftovers(folder: string, name: string): Promise<void> {
  for (const entry of await readdir(folder).catch(() => [])) {
    if (leftoverOf(entry) !== name) continue;
    const path = join(folder, entry);
    const facts = await lstat(path).catch(() => undefined);
    if (facts?.isFile() && Date.now() - facts.mtimeMs > LEFTOVER_MS) await unlink(path).catch(() => {});
  }
}

/**
 * Where a path leads in the end, also when nothing is there yet: of a link, what it points to.
 *
 * @throws TeleportError `BadParameter` for links that lead in a circle, `AccessDenied` for one of another user
 */
export async function throughLinks(path: string): Promise<string> {
  let at = path;
  for (let left = MOST_LINKS; left > 0; left--) {
    const facts = await lstat(at).catch(() => undefined);
    if (!facts?.isSymbolicLink()) return await realpath(at).catch(() => at);
    await assertOwnLink(at, facts);
    at = resolve(await realpath(dirname(at)).catch(() => dirname(at)), await readlink(at));
  }
  throw new TeleportError('BadParameter', `${path} is a link that leads in a circle`);
}

/**
 * A link of somebody else's leads where they want, to a file that they could not write themselves. One of the owner of a folder
 * that nobody else can write is taken, since some network file systems show all that we make as theirs; not by root.
 */
async function assertOwnLink(path: string, { uid }: Stats): Promise<void> {
  const me = process.geteuid?.();
  if (me === undefined || uid === me || uid === 0) return;
  const folder = await stat(dirname(path));
  if (me !== 0 && uid === folder.uid && (folder.mode & 0o002) === 0) return;
  throw new TeleportError('AccessDenied', `${path} is a link of another user (number ${uid}), and is not followed`, {
    hint: `Name another place, or remove it: rm ${shellWord(path)}`,
  });
}
