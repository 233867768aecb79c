/** Tests: src/store/store.ts, src/store/watchers.ts. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import { runScript } from '../support/script.js';
import { describeStore } from './suite.js';

const temp = () => mkdtempSync(join(tmpdir(), 'store-'));

describeStore('one file', () => {
  const dir = temp();
  return {
    open: (now) => openEmbeddedStore({ path: join(dir, 'backend', 'auth.db'), now }),
    remove: async () => rmSync(dir, { recursive: true }),
    durable: true,
  };
});

describeStore('in memory', () => ({
  open: (now) => openEmbeddedStore({ path: ':memory:', now }),
  remove: async () => {},
  durable: false,
}));

test('the file is for its owner only, and so is its directory', async () => {
  const dir = temp();
  const path = join(dir, 'backend', 'auth.db');
  const store = await openEmbeddedStore({ path });
  await store.create('/a', '1');
  expect(statSync(join(dir, 'backend')).mode & 0o777).toBe(0o700);
  for (const suffix of ['', '-wal', '-shm']) expect(statSync(path + suffix).mode & 0o777).toBe(0o600);
  await store.close();
  rmSync(dir, { recursive: true });
});

test('a file that is no store is refused with its name', async () => {
  const dir = temp();
  const path = join(dir, 'auth.db');
  writeFileSync(path, 'this is not a database, and it is long enough to be looked at'.repeat(20));
  await expect(openEmbeddedStore({ path })).rejects.toMatchObject({ code: 'ConnectionProblem' });
  rmSync(dir, { recursive: true });
});

test('every acknowledged write survives kill -9 of the writer', async () => {
  const dir = temp();
  const path = join(dir, 'auth.db');
  const { child, lines, ended } = await runScript(
    dir,
    `import { openEmbeddedStore } from './src/store/embedded.ts';
     openEmbeddedStore({ path: process.argv[2] }).then(async (store) => {
       for (let i = 0; ; i++) { await store.create('/n/' + String(i).padStart(8, '0'), String(i)); process.stdout.write(i + '\\n'); }
     });`,
    [path],
  );
  let last = -1;
  for await (const line of lines) {
    last = Number(line);
    if (last === 300) child.kill('SIGKILL');
  }
  await ended;
  expect(last).toBeGreaterThanOrEqual(300);
  const store = await openEmbeddedStore({ path });
  const rows = await store.range('/n/');
  expect(rows.length).toBeGreaterThan(last);
  expect(rows.every(({ value }, i) => Number(value) === i)).toBe(true);
  await store.close();
  rmSync(dir, { recursive: true });
});
