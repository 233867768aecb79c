/**
 * A folder that is held open: what is done in it is done there, wherever its name leads meanwhile. Linux finds names in an open folder by
 * `/proc/self/fd`; elsewhere they are found by the folder's name, which was looked at before.
 */
import { constants, existsSync, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeCodeOf, TeleportError } from '../errors.js';
import { shellWord } from '../shell-word.js';

const BY_DESCRIPTOR = '/proc/self/fd';
/** File systems whose modes say nothing: 9P (Windows' disks in WSL), FAT, exFAT, CIFS, SMB 2, vboxsf. Source: statfs(2). */
const WITHOUT_MODES = new Set([0x01021997, 0x4d44, 0x2011bab0, 0xff534d42, 0xfe534d42, 0x786f4256]);

export class HeldFolder implements AsyncDisposable {
  /** As a person calls it. */
  readonly path: string;
  /** A path of the same folder that leads nowhere else while it is held. */
  readonly inside: string;
  readonly #handle: FileHandle | undefined;

  private constructor(path: string, handle: FileHandle | undefined) {
    this.path = path;
    this.#handle = handle;
    this.inside = handle && existsSync(BY_DESCRIPTOR) ? `${BY_DESCRIPTOR}/${handle.fd}` : path;
  }

  /** Links are followed. @throws what Node says */
  static async open(path: string): Promise<HeldFolder> {
    return new HeldFolder(path, await openFolder(path, 0));
  }

  at(name: string): string {
    return join(this.inside, name);
  }

  async names(): Promise<string[]> {
    return await readdir(this.inside);
  }

  async facts(): Promise<Stats> {
    return await (this.#handle?.stat() ?? stat(this.path));
  }

  /**
   * A folder in this one.
   *
   * @param mode  to make it where it is missing
   * @throws TeleportError `AccessDenied` for a link; what Node says otherwise
   */
  async below(name: string, mode?: number): Promise<HeldFolder> {
    const path = join(this.path, name);
    try {
      if (mode !== undefined) {
        await mkdir(this.at(name), { mode }).catch((error: unknown) => {
          if (nodeCodeOf(error) !== 'EEXIST') throw error;
        });
      }
      if ((await lstat(this.at(name))).isSymbolicLink()) throw isLink(path);
      return new HeldFolder(path, await openFolder(this.at(name), constants.O_NOFOLLOW ?? 0));
    } catch (error) {
      // It has become one since.
      throw nodeCodeOf(error) === 'ELOOP' ? isLink(path) : error;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Undefined where the system opens no folders (Windows). */
async function openFolder(path: string, flags: number): Promise<FileHandle | undefined> {
  if (constants.O_DIRECTORY !== undefined) return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | flags);
  await readdir(path);
  return undefined;
}

function isLink(path: string): TeleportError {
  return new TeleportError('AccessDenied', `${path} is a link, and logins are not written through links`, {
    hint: `Remove it: rm ${shellWord(path)}. To keep all logins elsewhere, make the whole folder a link, or name another one with TELEPORT_HOME.`,
  });
}

/** Whether each file of that file system seems to be everybody's. */
export async function knowsNoModes(path: string): Promise<boolean> {
  return await statfs(path).then(
    ({ type }) => WITHOUT_MODES.has(type),
    () => false,
  );
}
