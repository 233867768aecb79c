/**
 * The store's file: whole after a clean stop, refused when it is not, usable again after a full disk.
 * Tests: src/store/embedded.ts, src/store/libsql.ts
 */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { createLogger } from '../../src/log.js';
import { createEmbeddedStore, openEmbeddedStore } from '../../src/store/embedded.js';
import { useFolder } from '../support/folder.js';
import { mountSmallDisk, type SmallDisk, testOnSmallDisk } from '../support/small-disk.js';

let dir: string;
let path: string;
useFolder('store-', (made) => {
  dir = made;
  path = join(dir, 'auth.db');
});

const VALUE = JSON.stringify('v'.repeat(3000));

async function filled(count = 40): Promise<void> {
  const store = await openEmbeddedStore({ path });
  for (let n = 0; n < count; n++) await store.create(`/n/${n}`, VALUE);
  await store.close();
}

describe('F10 after a clean stop', () => {
  test('the store is one whole file, and a copy of it alone is the store', async () => {
    await filled();
    expect(readdirSync(dir)).toEqual(['auth.db']);
    const copy = join(dir, 'copy.db');
    copyFileSync(path, copy);
    const store = await openEmbeddedStore({ path: copy });
    expect(await store.range('/n/')).toHaveLength(40);
    await store.close();
  });

  test('a new store has its name only once it is filled', async () => {
    await expect(
      createEmbeddedStore({ path }, async (store) => {
        await store.create('/a', '1');
        expect(existsSync(path)).toBe(false);
        throw new Error('stopped');
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('stopped') });
    expect(readdirSync(dir)).toEqual([]);
    await createEmbeddedStore({ path }, async (store) => void (await store.create('/a', '1')));
    expect(readdirSync(dir)).toEqual(['auth.db']);
    await expect(createEmbeddedStore({ path })).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

describe('F11 a store that is not whole is refused with its path and what to do', () => {
  const put = (bytes: Buffer) => writeFileSync(path, bytes);
  const DAMAGE: [string, () => void][] = [
    ['empty', () => truncateSync(path, 0)],
    ['one byte', () => truncateSync(path, 1)],
    ['half a page', () => truncateSync(path, 2048)],
    ['only its first page', () => truncateSync(path, 4096)],
    ['cut in the middle', () => truncateSync(path, statSync(path).size >> 1)],
    ['without its last byte', () => truncateSync(path, statSync(path).size - 1)],
    ['zeros', () => put(Buffer.alloc(statSync(path).size))],
    ['text', () => put(Buffer.from('this is a text, and not a database at all\n'.repeat(1000)))],
    ['its header overwritten', () => put(Buffer.concat([Buffer.alloc(100), readFileSync(path).subarray(100)]))],
    [
      'a page of zeros',
      () => {
        const bytes = readFileSync(path);
        put(Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(4096), bytes.subarray(12_288)]));
      },
    ],
    [
      'a page of noise',
      () => {
        const bytes = readFileSync(path);
        put(Buffer.concat([bytes.subarray(0, 8192), Buffer.alloc(4096, 0xa5), bytes.subarray(12_288)]));
      },
    ],
  ];

  test.each(DAMAGE)('%s', async (_, harm) => {
    await filled();
    harm();
    const before = readFileSync(path);
    await expect(openEmbeddedStore({ path })).rejects.toMatchObject({
      code: 'ConnectionProblem',
      message: expect.stringContaining(`the store ${path} is damaged: `),
      hint: expect.stringContaining('backup'),
    });
    await expect(openEmbeddedStore({ path })).rejects.not.toThrow(/\n/);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test('a folder of its name', async () => {
    mkdirSync(path);
    await expect(openEmbeddedStore({ path })).rejects.toMatchObject({
      message: `the store ${path} is damaged: it is not a file`,
      hint: expect.stringContaining('backup'),
    });
  });

  test('a database without what is in the -wal file of a running Auth', async () => {
    const store = await openEmbeddedStore({ path });
    await store.create('/a', '1');
    const copy = join(dir, 'copy.db');
    copyFileSync(path, copy);
    await store.close();
    // The copy is a store, as old as the file was; whether it holds a cluster is for Auth to say.
    const old = await openEmbeddedStore({ path: copy });
    expect(await old.get('/a')).toBeUndefined();
    await old.close();
  });

  test('damage that shows only later names the path too', async () => {
    await filled();
    const store = await openEmbeddedStore({ path });
    await store.close();
    await expect(store.get('/n/1')).rejects.toMatchObject({ code: 'ConnectionProblem' });
  });
});

describe('F1 the store on a full disk', () => {
  let disk: SmallDisk | undefined;
  afterEach(() => {
    disk?.unmount();
    disk = undefined;
  });

  testOnSmallDisk('refuses to write, goes on reading, forgets in time, and writes when there is room', async () => {
    disk = mountSmallDisk(512);
    path = join(disk.dir, 'backend', 'auth.db');
    let clock = 1_000_000;
    let logged = '';
    const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
    let looks = 0;
    let enough = () => {};
    const now = () => {
      if (++looks === 20) enough();
      return new Date(clock);
    };
    const options = { path, now, sweepIntervalMs: 1, log };
    const store = await openEmbeddedStore(options);
    await store.create('/kept', '1');
    await store.create('/short', '1', { expires: new Date(clock + 1000) });
    disk.fill();
    let refused: unknown;
    for (let n = 0; n < 1000 && !refused; n++)
      refused = await store.put(`/n/${n}`, VALUE).then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(refused).toMatchObject({
      code: 'LimitExceeded',
      message: expect.stringContaining(path),
      hint: expect.stringContaining('Free space'),
    });
    clock += 2000;
    // The sweep's timer comes by many times; none of them may end the process.
    await new Promise<void>((resolve) => {
      [looks, enough] = [0, resolve];
    });
    expect((await store.get('/kept'))?.value).toBe('1');
    expect(await store.get('/short')).toBeUndefined();
    expect(await store.range('/short')).toEqual([]);
    expect(logged.match(/ ERRO/g)).toHaveLength(1);
    disk.free();
    await store.create('/short', '2');
    expect(logged).toContain('The store of the Auth Service is written again.');
    await store.close();
    const again = await openEmbeddedStore(options);
    expect((await again.get('/short'))?.value).toBe('2');
    await again.close();
  });

  testOnSmallDisk('that is full from the beginning is named, and leaves nothing half made', async () => {
    disk = mountSmallDisk(64);
    disk.fill();
    path = join(disk.dir, 'auth.db');
    await expect(openEmbeddedStore({ path })).rejects.toMatchObject({ code: 'LimitExceeded' });
    expect(readdirSync(disk.dir)).toEqual(['filler']);
  });
});
