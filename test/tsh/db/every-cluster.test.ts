/** What `tsh db ls --all` shows while a cluster hangs. Tests: src/cli/progress.ts, src/tsh/db/ls.ts */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { everyDatabase, type Listing } from '../../../src/tsh/db/every-cluster.js';
import { runTsh } from '../../../src/tsh/main.js';
import { type MemoryEnv, type MemoryEnvOptions, memoryEnv } from '../../support/env.js';
import { type FakeCluster, startFakeCluster } from '../../support/fake-cluster/cluster.js';
import { until } from '../../support/until.js';

let home: string;
let cluster: FakeCluster;
/** Lets the leaf answer. */
let release = () => {};

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'every-'));
  cluster = await startFakeCluster({ now: () => new Date() });
  const env = envWith({ tty: { stdin: true } });
  env.type('correct\n');
  env.type('123456\n');
  expect(await runTsh(['login', `--proxy=localhost:${cluster.port}`, '--user=alice'], env)).toBe(0);
  cluster.isLeafOnline = true;
});
beforeEach(() => {
  cluster.leafHeld = new Promise<void>((resolve) => {
    release = resolve;
  });
});
afterEach(() => release());
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

function envWith(options: MemoryEnvOptions = {}): MemoryEnv {
  const vars = { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none') };
  return memoryEnv({ home, cwd: home, vars, ...options });
}

const namesOf = ({ databases }: Listing) =>
  databases.map(({ cluster: place, database }) => [place, database.metadata.name]);

test('on a terminal the others are shown while a leaf hangs, then the leaf is named', async () => {
  const env = envWith({ tty: { stdout: true, stderr: true } });
  let status: number | undefined;
  const running = runTsh(['db', 'ls', '--all'], env).then((ended) => (status = ended));
  await until('the list is there', () => env.out().includes('root-db') || undefined);
  expect(status).toBeUndefined();
  expect(await running).toBe(1);
  expect(env.out().match(/root-db/g)).toHaveLength(1);
  expect(env.err()).toMatch(/^Waiting for leaf\.local \.\.\.\r\u001b\[K.*ERROR: .*failed to .*cluster leaf\.local/s);
});

test('Ctrl-C ends the wait for a leaf, and the list stays', async () => {
  const env = envWith({ tty: { stdout: true, stderr: true } });
  const running = runTsh(['db', 'ls', '--all'], env);
  await until('the leaf is waited for', () => env.err().includes('Waiting for leaf.local') || undefined);
  env.interrupt('SIGINT');
  expect(await running).toBe(130);
  expect([env.out().match(/root-db/g)?.length, env.err()]).toEqual([1, expect.not.stringContaining('ERROR')]);
});

test('what a leaf says later comes later', async () => {
  const { late, ...early } = await everyDatabase(envWith(), {}, {}, { isEarly: true, deadlineMs: 300_000 });
  expect([namesOf(early), early.failures, late!.clusters]).toEqual([[['peer.local', 'root-db']], [], ['leaf.local']]);
  release();
  const rest = await late!.listing;
  expect([namesOf(rest), rest.failures]).toEqual([[['leaf.local', 'leaf.local-db']], []]);
});

test('a login that cannot be opened is named, and takes nothing from the others', async () => {
  const folder = join(home, '.tsh');
  const profile = readFileSync(join(folder, 'localhost.yaml'), 'utf8');
  cpSync(join(folder, 'keys/localhost'), join(folder, 'keys/moved.example.com'), { recursive: true });
  // Not under the name of its address: who looks for that finds nothing.
  writeFileSync(join(folder, 'moved.example.com.yaml'), profile.replaceAll('localhost:', 'gone.example.com:'));
  release();
  const { databases, failures } = await everyDatabase(envWith(), {}, {}, { deadlineMs: 300_000 });
  expect(databases.map(({ database }) => database.metadata.name).sort()).toEqual(['leaf.local-db', 'root-db']);
  expect(failures.map(({ message }) => message)).toEqual([expect.stringContaining('peer.local')]);
  rmSync(join(folder, 'moved.example.com.yaml'));
});

test('a program gets one list, and waits for it', async () => {
  cluster.calls.length = 0;
  const listing = everyDatabase(envWith(), {}, {}, { deadlineMs: 300_000 });
  await until('the root has answered', () => cluster.calls.includes('ListResources') || undefined);
  release();
  const { late, ...all } = await listing;
  expect([namesOf(all), late]).toEqual([
    [
      ['leaf.local', 'leaf.local-db'],
      ['peer.local', 'root-db'],
    ],
    undefined,
  ]);
});
