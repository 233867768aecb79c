/** Folders that are made where they are missing. */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
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
