/**
 * The base folder, `~/.tsh`, as its writers see it: one at a time, and never outside. The folder itself may be a link, to
 * wherever a person wants their logins. Below it nothing is written through a link, and no folder counts that somebody else could fill.
 */
import { lstat, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, relative, sep } from 'node:path';
import { fileError, isTeleportError, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';
import { withLock } from '../lock.js';
import { shellWord } from '../shell-word.js';
import { notAFile } from '../small-file.js';
import { HeldFolder, knowsNoModes } from './held-folder.js';
import { basePaths, FOLDER_MODE } from './paths.js';
import { putFile } from './whole-file.js';

/**
 * Run `work` while no other `tsh` writes in this base folder.
 *
 * @throws TeleportError `AccessDenied` with the way out when the folder cannot be written, or everybody can write it
 */
export async function withBase<T>(
  base: string,
  work: () => Promise<T>,
  options: { isRemoval?: boolean } = {},
): Promise<T> {
  const hint = `tsh keeps logins in ${base}. Make it a folder that you can write, or name another one with TELEPORT_HOME.`;
  await makeFolders(base, FOLDER_MODE).catch((error: unknown) => {
    throw fileError('write', base, error, { hint });
  });
  if (!options.isRemoval) await assertNotEverybodys(base);
  return await withLock(basePaths(base).lock, work, { ...options, hint });
}

/** Whether anything can be kept in the base folder; leaves no trace. @throws as `withBase` */
export async function tryBase(base: string): Promise<void> {
  const isThere = await stat(base).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
  await withBase(base, async () => {});
  if (!isThere) await rmdir(base).catch(() => {});
}

/**
 * A base folder in which everybody can put a login in the place of this person's. One of root's is a volume of a container, say.
 *
 * @throws TeleportError `AccessDenied`; nothing where there is no folder
 */
export async function assertNotEverybodys(base: string): Promise<void> {
  const facts = await stat(base).catch(() => undefined);
  const isSticky = facts !== undefined && (facts.mode & 0o1000) !== 0;
  if (facts !== undefined && !isSticky) await assertWriters(base, facts, 0o002);
}

/**
 * Put a whole file in its place below the base folder; folders between are made. A link, a pipe or the like in its place goes, and what it
 * leads to stays as it is. A mode that is stricter than `mode` stays.
 *
 * @throws TeleportError `AccessDenied` with the way out where it cannot be written, `BadParameter` for a folder in its place
 */
export async function writeWithin(base: string, path: string, content: string, mode: number): Promise<void> {
  await makeFolders(base, FOLDER_MODE).catch((error: unknown) => {
    throw fileError('write', base, error);
  });
  try {
    await using folder = await holdFolder(base, dirname(path), { isMade: true });
    const name = basename(path);
    const there = await lstat(folder.at(name)).catch(() => undefined);
    if (there?.isDirectory()) throw notAFile(path);
    const kept = there?.isFile() ? mode & (there.mode | 0o600) : mode;
    await putFile(folder.inside, name, content, kept);
  } catch (error) {
    throw isTeleportError(error) ? error : fileError('write', path, error);
  }
}

/**
 * A folder below the base folder, reached step by step.
 *
 * @param options.isMade  where it is missing
 * @param options.isRemoval  only to remove what is in it: it may be everybody's
 * @throws TeleportError `AccessDenied` for a link, and for a folder that others fill; what Node says otherwise
 */
export async function holdFolder(
  base: string,
  path: string,
  options: { isMade?: boolean; isRemoval?: boolean } = {},
): Promise<HeldFolder> {
  let held = await HeldFolder.open(base);
  const owners = [0, process.geteuid?.(), (await held.facts()).uid];
  for (const name of relative(base, path).split(sep)) {
    if (name === '') continue;
    try {
      const next = await held.below(name, options.isMade ? FOLDER_MODE : undefined);
      await held.close();
      held = next;
      if (!options.isRemoval) await assertOwners(held, owners);
    } catch (error) {
      await held.close();
      throw error;
    }
  }
  return held;
}

async function assertOwners(folder: HeldFolder, owners: readonly (number | undefined)[]): Promise<void> {
  const facts = await folder.facts();
  if (process.geteuid === undefined || (await knowsNoModes(folder.inside))) return;
  if (!owners.includes(facts.uid)) {
    throw new TeleportError('AccessDenied', `${folder.path} belongs to another user (number ${facts.uid})`, {
      hint: `Find out who made it, then move it away: mv ${shellWord(folder.path)} ${shellWord(`${folder.path}.old`)}`,
    });
  }
  await assertWriters(folder.path, facts, 0o022);
}

async function assertWriters(
  path: string,
  { uid, mode }: { uid: number; mode: number },
  others: number,
): Promise<void> {
  // Another's folder nobody here can put right.
  if (uid !== process.geteuid?.() || (mode & others) === 0 || (await knowsNoModes(path))) return;
  const octal = (mode & 0o7777).toString(8).padStart(4, '0');
  throw new TeleportError('AccessDenied', `others can write the folder ${path} (mode ${octal})`, {
    hint: `They could put another login in the place of yours. chmod go-w ${shellWord(path)}`,
  });
}
