/**
 * Small files of state in a data directory: host id, identities, pid files. Nothing half written ever replaces what was
 * good, and what a full disk refuses is an error with the file's name.
 */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDiskFull, messageOf, nodeCodeOf, TeleportError } from '../errors.js';

/** @throws TeleportError `LimitExceeded` on a full disk, `BadParameter` when it cannot be written for another reason */
export async function writeStateFile(file: string, text: string, mode = 0o600): Promise<void> {
  const half = join(dirname(file), `.${randomUUID()}.tmp`);
  try {
    const handle = await open(half, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(half, file);
  } catch (cause) {
    await rm(half, { force: true }).catch(() => {});
    if (isDiskFull(cause)) {
      throw new TeleportError('LimitExceeded', `the disk is full, ${file} cannot be written`, {
        cause,
        hint: `Free space on the disk of ${dirname(file)}.`,
      });
    }
    throw new TeleportError('BadParameter', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** The text of the file, or undefined when there is none. @throws TeleportError `BadParameter` when it cannot be read */
export async function readStateFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return undefined;
    throw new TeleportError('BadParameter', `cannot read ${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** The UUID of this host: made once, then always the same. */
export async function hostId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'host_uuid');
  const known = (await readStateFile(file))?.trim();
  if (known) return known;
  const id = randomUUID();
  await writeStateFile(file, `${id}\n`);
  return id;
}
