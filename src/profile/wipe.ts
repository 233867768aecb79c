/** Secrets removed from disk: the name first, then the bytes, three times over. Spec: login-and-profile.md 6.8. */
import { randomBytes } from 'node:crypto';
import { lstat, open, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, isTeleportError, nodeCodeOf } from '../errors.js';

const BLOCK_BYTES = 4096;
const PASSES = 3;
/** Larger files are only unlinked: no key is that long. */
const MOST_BYTES = 1024 * 1024;

/**
 * Remove a file or a folder with all it holds, and overwrite what the files held. What cannot be removed does not keep the
 * rest.
 *
 * @returns false when there was nothing
 */
export async function wipe(path: string): Promise<boolean> {
  try {
    const facts = await lstat(path);
    if (facts.isDirectory()) {
      await everyOne(await readdir(path), (name) => wipe(join(path, name)));
      await rmdir(path);
    } else if (facts.isFile() && facts.nlink === 1 && facts.size <= MOST_BYTES) {
      await wipeFile(path, facts.size);
    } else {
      await unlink(path);
    }
    return true;
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return false;
    if (isTeleportError(error)) throw error;
    throw fileError('remove', path, error);
  }
}

/** Do it for every item, whatever becomes of the others. @throws what the first failing one threw, in the end */
export async function everyOne<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

async function wipeFile(path: string, size: number): Promise<void> {
  const file = await open(path, 'r+').catch(() => undefined);
  try {
    await unlink(path);
    if (file === undefined) return;
    const length = Math.max(1, Math.ceil(size / BLOCK_BYTES)) * BLOCK_BYTES;
    for (let pass = 0; pass < PASSES; pass++) {
      await file.write(randomBytes(length), 0, length, 0);
      await file.datasync();
    }
  } finally {
    await file?.close();
  }
}
