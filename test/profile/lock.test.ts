import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { withLock, writeWhole } from '../../src/profile/lock.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

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

test('a file is replaced whole, through a link, keeping its mode when asked', async () => {
  const target = join(folder, 'target');
  writeFileSync(target, 'old');
  chmodSync(target, 0o640);
  symlinkSync(target, join(folder, 'link'));
  await writeWhole(join(folder, 'link'), 'new', 0o666, { keepMode: true });
  expect(readFileSync(target, 'utf8')).toBe('new');
  expect(statSync(target).mode & 0o777).toBe(0o640);
});
