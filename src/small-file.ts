/** Text files that somebody may have put something else in the place of: a pipe would be waited for, a device would never end. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { fileError, isTeleportError, nodeCodeOf, TeleportError } from './errors.js';
import { shellWord } from './shell-word.js';

/** As much as people write. Our own limit. */
const MOST_BYTES = 4 * 1024 * 1024;

/** What the system says of a socket, of a device without a driver, and of a link that leads to itself. */
const NO_FILE = new Set(['ENXIO', 'EOPNOTSUPP', 'ELOOP']);

/**
 * The content of a text file, or undefined when there is none. A link is followed.
 *
 * @throws TeleportError `BadParameter` for what is not a file or longer than 4 MiB, `AccessDenied` when it cannot be read
 */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const facts = await file.stat();
      if (!facts.isFile()) throw notAFile(path);
      if (facts.size > MOST_BYTES) {
        throw new TeleportError('BadParameter', `${path} is longer than ${MOST_BYTES / 1024 / 1024} MiB`, {
          hint: `Look at what it is, then remove it: rm ${shellWord(path)}`,
        });
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = nodeCodeOf(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    if (NO_FILE.has(code ?? '')) throw notAFile(path);
    throw isTeleportError(error) ? error : fileError('read', path, error);
  }
}

/** What stands in the place of a file and is a folder, a pipe, a socket or a device. */
export function notAFile(path: string): TeleportError {
  return new TeleportError('BadParameter', `${path} is not a file`, {
    hint: `Move it away: mv ${shellWord(path)} ${shellWord(`${path}.old`)}`,
  });
}
