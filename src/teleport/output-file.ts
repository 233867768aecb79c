/**
 * Where a generated configuration goes: `--output` of `teleport configure`, `db configure create` and
 * `install systemd`. A file is never overwritten. Source: cli.md 7.3, 7.4.
 */
import { rm, writeFile } from 'node:fs/promises';
import { dirname, isAbsolute } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import { makeFolders } from '../folder.js';

/** Absolute path of the file, or undefined for standard output. @throws BadParameter for a path that is not absolute */
export function outputPath(output: string, defaultFile: string): string | undefined {
  if (output === '' || output === 'stdout' || output === 'stdout://') return undefined;
  if (output === 'file') return defaultFile;
  const path = output.startsWith('file://') ? output.slice('file://'.length) : output;
  if (path === '') return defaultFile;
  if (!isAbsolute(path)) throw new TeleportError('BadParameter', `please use absolute path for file ${path}`);
  return path;
}

/** Write a new file, its folders 0755. @throws AlreadyExists, AccessDenied */
export async function writeNewFile(path: string, text: string, mode: number): Promise<void> {
  try {
    await makeFolders(dirname(path), 0o755);
    await writeFile(path, text, { mode, flag: 'wx' });
  } catch (cause) {
    const code = nodeCodeOf(cause);
    if (code === 'EEXIST') {
      throw new TeleportError(
        'AlreadyExists',
        `will not overwrite existing file ${path}, rm -f ${path} and try again`,
        { cause },
      );
    }
    // A part of it, on a full disk, is nothing that anybody wants.
    if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') await rm(path, { force: true });
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new TeleportError('AccessDenied', 'could not write to config file, missing sudo?', {
        cause: fileError('write', path, cause),
      });
    }
    throw fileError('write', path, cause);
  }
}
