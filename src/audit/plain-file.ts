/**
 * Files of the log are plain files. Who can write into its folder could put a link there, and Auth would write somewhere else, or a
 * pipe, and Auth would wait for somebody to read it.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { nodeCodeOf, TeleportError } from '../errors.js';

/** @throws TeleportError `BadParameter` for what is not a plain file; the system's error where it cannot be opened */
export function openPlainFile(path: string, flags: number, mode?: number): number {
  let fd: number;
  try {
    fd = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, mode);
  } catch (error) {
    // What they say of a link, and of a pipe or socket that nobody reads.
    if (['ELOOP', 'EMLINK', 'ENXIO'].includes(nodeCodeOf(error) ?? '')) throw notPlain(path);
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw notPlain(path);
}

/** The text of a small file; undefined where there is none. @throws as `openPlainFile` */
export function readPlainFile(path: string): string | undefined {
  let fd: number;
  try {
    fd = openPlainFile(path, constants.O_RDONLY);
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

const notPlain = (path: string) =>
  new TeleportError('BadParameter', `${path} is a link, a pipe or the like, and not a plain file`, {
    hint: 'Find out who put it there, then move it away. The files of the audit log are plain files.',
  });
