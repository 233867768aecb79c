import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { withLock } from '../src/lock.js';
import { useFolder } from './support/folder.js';

let folder: string;
useFolder('lock-', (path) => {
  folder = path;
});

test('work under one lock never overlaps, and the lock is gone afterwards', async () => {
  const path = join(folder, '.lock');
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, () =>
      withLock(path, async () => {
        most = Math.max(most, ++inside);
        await new Promise((done) => setImmediate(done));
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect(existsSync(path)).toBe(false);
});

test('a lock of a process that is gone is taken over at once, one that nobody touches after a while', async () => {
  const path = join(folder, '.lock');
  writeFileSync(path, `2147483646 ${hostname()} x\n`);
  expect(await withLock(path, async () => 'in', { timeoutMs: 0 })).toBe('in');
  writeFileSync(path, '1 another-host x\n');
  utimesSync(path, 1, 1);
  expect(await withLock(path, async () => 'in', { timeoutMs: 0 })).toBe('in');
});

test('a lock that is held is waited for, then named', async () => {
  const path = join(folder, '.lock');
  await withLock(path, async () => {
    await expect(withLock(path, async () => {}, { timeoutMs: 30 })).rejects.toMatchObject({ code: 'LimitExceeded' });
  });
});

test('a failing work gives the lock back', async () => {
  const path = join(folder, '.lock');
  await expect(withLock(path, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(path)).toBe(false);
});

test.each<[string, (path: string) => void]>([
  ['a folder', (path) => mkdirSync(path)],
  ['a link', (path) => symlinkSync(join(folder, 'elsewhere'), path)],
  ['a link to a file', (path) => symlinkSync(process.execPath, path)],
  ['a pipe', (path) => void execFileSync('mkfifo', [path])],
])('%s in the place of the lock is not waited for', async (_, plant) => {
  const path = join(folder, '.lock');
  plant(path);
  await expect(withLock(path, async () => 'in')).rejects.toMatchObject({
    message: `${path} is not a file, and tsh has no other lock than a file`,
    hint: `Move it away: mv ${path} ${path}.old`,
  });
  expect(existsSync(join(folder, 'elsewhere'))).toBe(false);
});

test('an abandoned lock that cannot be removed is named when the time is over', async () => {
  const path = join(folder, '.lock');
  writeFileSync(path, '1 another-host x\n');
  utimesSync(path, 1, 1);
  // Somebody else is at it, and stays.
  writeFileSync(`${path}.break`, '');
  await expect(withLock(path, async () => {}, { timeoutMs: 30 })).rejects.toMatchObject({
    code: 'LimitExceeded',
    hint: `Wait for it to end. If no other tsh is running: rm -f ${path} ${path}.break`,
  });
});
