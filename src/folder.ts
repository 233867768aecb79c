/** Folders that are made where they are missing, and those in which somebody else could put another thing in the place of ours. */
import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { nodeCodeOf } from './errors.js';

/**
 * Make a folder and those above it. Not Node's `recursive`, which tries for ever where a folder exists and takes none
 * (`/proc`, an automounter's).
 *
 * @param mode  of folders that are made
 * @throws what Node says
 */
export async function makeFolders(path: string, mode: number): Promise<void> {
  if (await isFolder(path)) return;
  try {
    await mkdir(path, { mode });
  } catch (error) {
    // Somebody else may have been quicker.
    if (await isFolder(path)) return;
    if (nodeCodeOf(error) !== 'ENOENT' || (await isFolder(dirname(path)))) throw error;
    await makeFolders(dirname(path), mode);
    await mkdir(path, { mode }).catch(async (again: unknown) => {
      if (!(await isFolder(path))) throw again;
    });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (facts) => facts.isDirectory(),
    () => false,
  );
}

/**
 * Where on the way to a file or folder another user could put another one in its place: a folder that they own or can write, but
 * for one from which nobody removes what is not theirs (`/tmp`), when the next step is not theirs. Root can always.
 *
 * @param path  it need not be there
 * @returns undefined where nobody can, and on systems without user numbers
 */
export async function openToOthers(path: string): Promise<string | undefined> {
  // The way by the links in it, and the way that they lead.
  const real = await realpath(path).catch(() => resolve(path));
  return (await openStep(resolve(path))) ?? (await openStep(real));
}

async function openStep(path: string): Promise<string | undefined> {
  const isOurs = (uid: number) => uid === 0 || uid === process.geteuid?.();
  if (process.geteuid === undefined) return undefined;
  for (let step = path; dirname(step) !== step; step = dirname(step)) {
    const folder = dirname(step);
    const facts = await stat(folder).catch(() => undefined);
    if (facts === undefined) continue;
    const isSticky = (facts.mode & 0o1000) !== 0;
    // A group of the owner's own number is the owner alone, as most Linux systems make people.
    const others = facts.gid === facts.uid ? 0o002 : 0o022;
    if (!isOurs(facts.uid) || ((facts.mode & others) !== 0 && !isSticky)) return folder;
    const entry = await lstat(step).catch(() => undefined);
    if (isSticky && entry !== undefined && !isOurs(entry.uid)) return step;
  }
  return undefined;
}

/**
 * Places for something of a moment: those in which nobody can replace it come first. The others are left for machines
 * that have nothing else, such as a container whose `/tmp` is a volume.
 */
export async function safestFirst(folders: readonly string[]): Promise<string[]> {
  const open = await Promise.all(folders.map(async (folder) => await isOpen(folder)));
  return [...folders.filter((_, i) => !open[i]), ...folders.filter((_, i) => open[i])];
}

/** Whether another user could replace what this one makes in it. */
export async function isOpen(folder: string): Promise<boolean> {
  return (await openToOthers(resolve(folder, 'x'))) !== undefined;
}
