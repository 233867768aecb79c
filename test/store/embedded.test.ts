import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from '@jest/globals';
import { build } from 'esbuild';
import { openEmbeddedStore } from '../../src/store/embedded.js';
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
  const script = join(dir, 'writer.cjs');
  await build({
    stdin: {
      contents: `import { openEmbeddedStore } from './src/store/embedded.ts';
        openEmbeddedStore({ path: process.argv[2] }).then(async (store) => {
          for (let i = 0; ; i++) { await store.create('/n/' + String(i).padStart(8, '0'), String(i)); process.stdout.write(i + '\\n'); }
        });`,
      resolveDir: resolve('.'),
      loader: 'ts',
    },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['libsql'],
    supported: { 'dynamic-import': false },
    outfile: script,
  });
  const child = spawn(process.execPath, [script, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_PATH: resolve('node_modules') },
  });
  const exited = once(child, 'exit');
  let last = -1;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    if (last === 300) child.kill('SIGKILL');
  }
  await exited;
  expect(last).toBeGreaterThanOrEqual(300);
  const store = await openEmbeddedStore({ path });
  const rows = await store.range('/n/');
  expect(rows.length).toBeGreaterThan(last);
  expect(rows.every(({ value }, i) => Number(value) === i)).toBe(true);
  await store.close();
  rmSync(dir, { recursive: true });
});
