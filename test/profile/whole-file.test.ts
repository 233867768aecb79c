import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '../../src/profile/whole-file.js';
import { useFolder } from '../support/folder.js';

let folder: string;
useFolder('whole-', (path) => {
  folder = path;
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

test('what a killed process left beside the file goes with the next write, that of one that writes stays', async () => {
  const leftover = (name: string, n: number) => join(folder, `.${name}.0000000${n}-0000-4000-8000-000000000000.tmp`);
  const [old, young, others] = [leftover('a', 1), leftover('a', 2), leftover('b', 3)];
  for (const path of [old, young, others]) writeFileSync(path, 'half');
  for (const path of [old, others]) utimesSync(path, 1, 1);
  await writeWhole(join(folder, 'a'), 'new', 0o600);
  expect([old, young, others].map((path) => existsSync(path))).toEqual([false, true, true]);
});
