/** Disks that are soon full: a file system of a few pages in memory (root, Linux), and a limit on what a process may write. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from '@jest/globals';

export interface SmallDisk {
  dir: string;
  /** Another program takes all that is left. */
  fill(): void;
  /** And gives it back. */
  free(): void;
  unmount(): void;
}

export function mountSmallDisk(kib: number): SmallDisk {
  const dir = mkdtempSync(join(tmpdir(), 'small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k,mode=700`, 'tmpfs', dir], { stdio: 'pipe' });
  const filler = join(dir, 'filler');
  return {
    dir,
    fill() {
      for (let size = 65_536; size > 0; size = size === 1 ? 0 : size >> 1) {
        try {
          for (;;) writeFileSync(filler, Buffer.alloc(size, 'x'), { flag: 'a', flush: true });
        } catch {
          // In smaller pieces.
        }
      }
    },
    free: () => rmSync(filler, { force: true }),
    unmount() {
      execFileSync('umount', ['-l', dir], { stdio: 'pipe' });
      rmdirSync(dir);
    },
  };
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    mountSmallDisk(64).unmount();
    return true;
  } catch {
    return false;
  }
}

/** A test that needs a real full disk; skipped, and listed as such, where nobody may mount one. */
export const testOnSmallDisk = canMount() ? test : test.skip;

/** A test that limits its own process with `prlimit` (util-linux). */
export const testWithLimit = statSync('/usr/bin/prlimit', { throwIfNoEntry: false }) ? test : test.skip;
