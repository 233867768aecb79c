/**
 * Another user of this machine, whom the modes of files bind: root may read and write everything, so tests of refusals run
 * the programs as this one. It may be shut out of the checkout and of the folder that Node lies in, and gets its own.
 */
import { execFile, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, linkSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** The user and group, in numbers. */
export const NOBODY = 65_534;

export const isRoot = process.getuid?.() === 0;

/** A user to whom modes apply: nobody where the tests run as root, else who runs them. */
export class Nobody {
  /** A folder that everybody may read. */
  readonly folder = mkdtempSync(join(tmpdir(), 'nobody-'));
  readonly ids = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  private readonly node = join(this.folder, 'node');

  constructor() {
    chmodSync(this.folder, 0o755);
    cpSync('dist', join(this.folder, 'dist'), { recursive: true });
    try {
      linkSync(process.execPath, this.node);
    } catch {
      copyFileSync(process.execPath, this.node); // on another disk, or the link is not allowed
    }
  }

  /** Node with these arguments as that user, in `folder`; the programs are `dist/….js`. `env` is all that it gets. */
  run(args: readonly string[], env: Record<string, string | undefined> = {}): SpawnSyncReturns<string> {
    const ended = spawnSync(this.node, args, {
      ...this.ids,
      cwd: this.folder,
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    });
    if (ended.error) throw ended.error;
    return ended;
  }

  /** The same, beside what this process goes on doing; throws where the status is not 0. */
  async runBeside(args: readonly string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(this.node, args, { ...this.ids, cwd: this.folder, env: {} });
    return stdout;
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
