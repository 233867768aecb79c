/** Folders are made by one function: Node's own never comes back from where a folder exists and takes none. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isOpen, makeFolders, openToOthers, safestFirst } from '../src/folder.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'folders-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test('those above are made as well, with the mode, and one that is there stays as it is', async () => {
  await makeFolders(join(dir, 'a', 'b', 'c'), 0o700);
  for (const path of ['a', 'a/b', 'a/b/c']) expect(statSync(join(dir, path)).mode & 0o777).toBe(0o700);
  await makeFolders(join(dir, 'a', 'b'), 0o755);
  expect(statSync(join(dir, 'a', 'b')).mode & 0o777).toBe(0o700);
});

test('many at once make one', async () => {
  await Promise.all(Array.from({ length: 20 }, () => makeFolders(join(dir, 'x', 'y'), 0o700)));
  expect(readdirSync(dir)).toEqual(['x']);
});

test('a file in the way is an error', async () => {
  writeFileSync(join(dir, 'file'), '');
  await expect(makeFolders(join(dir, 'file', 'a'), 0o700)).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(makeFolders(join(dir, 'file'), 0o700)).rejects.toMatchObject({ code: 'EEXIST' });
});

const onLinux = process.platform === 'linux' ? test : test.skip;
onLinux.each(['/proc/teleshift', '/proc/teleshift/a/b'])('%s, where none can be made, ends', async (path) => {
  await expect(makeFolders(path, 0o700)).rejects.toMatchObject({ code: 'ENOENT' });
});

test('nobody makes folders in another way', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  const wrong = files.filter((file) =>
    /\bmkdir(Sync)?\([^;]*recursive/.test(readFileSync(resolve('src', file), 'utf8')),
  );
  expect(wrong).toEqual([]);
});

test('X13 places of a moment: those in which nobody else can replace it come first', async () => {
  const [open, sticky, own] = ['open', 'sticky', 'own'].map((name) => join(dir, name)) as [string, string, string];
  for (const [path, mode] of [[open, 0o777] as const, [sticky, 0o1777] as const, [own, 0o755] as const]) {
    mkdirSync(path);
    chmodSync(path, mode);
  }
  expect(await safestFirst([open, sticky, join(open, 'gone'), own])).toEqual([sticky, own, open, join(open, 'gone')]);
  expect(await isOpen(own)).toBe(false);
  expect(await openToOthers(join(open, 'a', 'b'))).toBe(open);
});
