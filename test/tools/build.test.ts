/** What is shipped follows from the sources alone: two builds have the same bytes, so that anybody can check one. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from '@jest/globals';

function bytesOf(dir: string): Map<string, string> {
  const names = (readdirSync(dir, { recursive: true, encoding: 'utf8' }) as string[]).sort();
  return new Map(
    names
      .filter((name) => statSync(join(dir, name)).isFile())
      .map((name) => [name, readFileSync(join(dir, name)).toString('latin1')]),
  );
}

function build(): Map<string, string> {
  const dir = mkdtempSync(join(tmpdir(), 'build-'));
  try {
    for (const name of ['src', 'bin', 'test/tools', 'package.json', 'package-lock.json', 'tsconfig.json', 'LICENSE'])
      cpSync(name, join(dir, name), { recursive: true });
    // But for the cache, in which a build leaves what other tests read.
    mkdirSync(join(dir, 'node_modules'));
    for (const name of readdirSync('node_modules').filter((one) => one !== '.cache'))
      symlinkSync(resolve('node_modules', name), join(dir, 'node_modules', name));
    execFileSync(process.execPath, ['test/tools/build.mjs'], { cwd: dir });
    return bytesOf(join(dir, 'dist'));
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('builds in two folders have the same bytes', () => {
  const [one, other] = [build(), build()];
  expect([...one.keys()]).toEqual([...other.keys()]);
  expect([...one].filter(([name, bytes]) => other.get(name) !== bytes).map(([name]) => name)).toEqual([]);
});
