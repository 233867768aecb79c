/**
 * The file of one UTC day of the audit log, held to its place. Whoever deletes it, renames it or puts another one in its
 * place changes nothing for long: the file is still open here, and before the next record it is written anew, whole.
 */
import { lstatSync, readdirSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { nodeCodeOf } from '../errors.js';
import { auditFileError, type LineFile, openLineFile } from './line-file.js';

const COPIED_AT_ONCE = 2 ** 20;

/** The files of a log's folder. */
export const HEAD_FILE = 'head.log';
export const DAY_FILE = /^\d{4}-\d{2}-\d{2}\.log$/;

/** Days that have a file, in order. */
export const daysOf = (dir: string): string[] =>
  readdirSync(dir)
    .filter((name) => DAY_FILE.test(name))
    .map((name) => name.slice(0, 10))
    .sort();

/**
 * Days in whose files there may be something that Auth received since then. No file has a record that was received on a later
 * day than its own but the checkpoint at its end; a clock that was ahead, or somebody who renamed one, may have put earlier
 * ones into it, without end.
 */
export function daysSince(dir: string, from: Date): string[] {
  const first = new Date(Math.min(from.getTime(), LAST_MOMENT)).toISOString().slice(0, 10);
  return daysOf(dir).filter((day) => day >= first);
}

/** Of the years with four digits. */
const LAST_MOMENT = Date.parse('9999-12-31T23:59:59Z');

/** What somebody did to the file, in words for people. */
export type Damage = 'deleted or renamed' | 'replaced by another file' | 'shortened';

export class DayFile {
  readonly path: string;
  readonly day: string;
  #file: LineFile;
  #inode: number;

  /** @throws TeleportError when it cannot be opened */
  constructor(dir: string, day: string) {
    this.day = day;
    this.path = join(dir, `${day}.log`);
    this.#file = openLineFile(this.path);
    this.#inode = lstatSync(this.path).ino;
  }

  /** Whole lines. @throws TeleportError when they are not durable */
  async write(text: string): Promise<void> {
    await this.#file.write(text);
  }

  damage(): Damage | undefined {
    try {
      const { ino, size } = lstatSync(this.path);
      if (ino !== this.#inode) return 'replaced by another file';
      return size < this.#file.size ? 'shortened' : undefined;
    } catch (error) {
      if (nodeCodeOf(error) === 'ENOENT') return 'deleted or renamed';
      throw auditFileError(this.path, error);
    }
  }

  /**
   * Puts the file back from what is open here, and goes on in it. What was cut off a file in its place is lost.
   *
   * @returns where the file that had taken its place is now
   */
  async restore(damage: Damage): Promise<string | undefined> {
    let aside: string | undefined;
    try {
      if (damage !== 'shortened') {
        const whole = await this.#copy();
        if (damage === 'replaced by another file') {
          aside = `${this.path}.${lstatSync(this.path).ino}.replaced`;
          await rename(this.path, aside);
        }
        await rename(whole, this.path);
      }
    } catch (cause) {
      throw auditFileError(this.path, cause);
    }
    const again = openLineFile(this.path);
    this.#file.close();
    this.#file = again;
    this.#inode = lstatSync(this.path).ino;
    return aside;
  }

  close(): void {
    this.#file.close();
  }

  /** @returns the path of the copy */
  async #copy(): Promise<string> {
    const path = join(dirname(this.path), `.${this.day}.tmp`);
    await rm(path, { force: true, recursive: true });
    const copy = await open(path, 'wx', 0o600);
    try {
      for (let at = 0; at < this.#file.size; at += COPIED_AT_ONCE) {
        await copy.writeFile(this.#file.read(at, COPIED_AT_ONCE));
      }
      await copy.sync();
    } finally {
      await copy.close();
    }
    return path;
  }
}
