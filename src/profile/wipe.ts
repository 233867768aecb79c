/** Secrets removed from disk: the name first, then the bytes, three times over. Spec: login-and-profile.md 6.8. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, isTeleportError, nodeCodeOf } from '../errors.js';
import { holdFolder } from './base-folder.js';
import type { HeldFolder } from './held-folder.js';
import { leftoverOf } from './whole-file.js';

const BLOCK_BYTES = 4096;
const PASSES = 3;
/** Larger files are only unlinked: no key is that long. */
const MOST_BYTES = 1024 * 1024;

/**
 * Remove a file or a folder with all it holds, and overwrite what the files held; with it goes what a process left that was killed
 * while it wrote that file. Of a link only the link goes. What cannot be removed does not keep the rest.
 *
 * @param base  the base folder; `path` is in it
 * @returns false when there was nothing
 */
export async function wipe(base: string, path: string): Promise<boolean> {
  try {
    await using folder = await holdFolder(base, dirname(path), { isRemoval: true });
    const name = basename(path);
    const isMeant = (entry: string) => entry === name || leftoverOf(entry) === name;
    const found = (await folder.names()).filter(isMeant);
    await everyOne(found, (entry) => wipeEntry(folder, entry));
    return found.length > 0;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(nodeCodeOf(error) ?? '')) return false;
    throw isTeleportError(error) ? error : fileError('remove', path, error);
  }
}

async function wipeEntry(folder: HeldFolder, name: string): Promise<void> {
  const at = folder.at(name);
  try {
    const facts = await lstat(at);
    if (facts.isDirectory()) {
      await wipeFolder(folder, name);
      await rmdir(at);
    } else if (facts.isFile()) {
      await wipeFile(at);
    } else {
      await unlink(at);
    }
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return;
    throw isTeleportError(error) ? error : fileError('remove', join(folder.path, name), error);
  }
}

async function wipeFolder(parent: HeldFolder, name: string): Promise<void> {
  await using folder = await parent.below(name);
  await everyOne(await folder.names(), (entry) => wipeEntry(folder, entry));
}

/** Do it for every item, whatever becomes of the others. @throws what the first failing one threw, in the end */
export async function everyOne<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  const failures: unknown[] = [];
  for (const item of items) await work(item).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** It may have become something else since it was looked at, and what has other names is not only ours. */
async function wipeFile(path: string): Promise<void> {
  const { O_RDWR, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  const file = await open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK).catch(() => undefined);
  try {
    const facts = await file?.stat();
    await unlink(path);
    if (file === undefined || !facts?.isFile() || facts.nlink !== 1 || facts.size > MOST_BYTES) return;
    const length = Math.max(1, Math.ceil(facts.size / BLOCK_BYTES)) * BLOCK_BYTES;
    for (let pass = 0; pass < PASSES; pass++) {
      await file.write(randomBytes(length), 0, length, 0);
      await file.datasync();
    }
  } finally {
    await file?.close();
  }
}
