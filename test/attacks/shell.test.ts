/**
 * Lines that a shell reads, and commands that a person copies: names in them are somebody else's choice (an administrator's,
 * another cluster's), and never become commands.
 * Tests: src/tsh/db/env.ts, src/tsh/db/config.ts, src/tsh/env.ts, src/tsh/proxy/db.ts
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { useFolder } from '../support/folder.js';

/** Each hides something in the quotes of the other where a line is redacted after it was quoted. */
const DB_USER = '$(touch made) password=z!';
const DB_NAME = 'password=a!b';

let cluster: TestCluster;
let folder: string;
useFolder('shell-', (path) => {
  folder = path;
});

beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: [DB_USER], db_names: [DB_NAME] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  expect((await cluster.tsh('alice', 'db', 'login', 'orders')).status).toBe(0);
});
afterAll(() => cluster?.stop());

/** @returns what the shell says, run in an empty folder */
const inShell = (script: string, ...args: string[]) =>
  execFileSync('sh', ['-c', script, 'sh', ...args], { cwd: folder, encoding: 'utf8', env: { PATH: process.env.PATH } });

test('R-B1 tsh db env: the shell has the values as they are, whatever is in them', async () => {
  const { status, stdout } = await cluster.tsh('alice', 'db', 'env', 'orders');
  expect(status).toBe(0);
  expect(inShell('eval "$1"; printf "%s\\n" "$PGUSER" "$PGDATABASE"', stdout)).toBe(`${DB_USER}\n${DB_NAME}\n`);
  expect(readdirSync(folder)).toEqual([]);
});

test('R-B1 tsh db config --format=cmd: the URI is whole', async () => {
  const { stdout } = await cluster.tsh('alice', 'db', 'config', '--format=cmd', 'orders');
  const uri = inShell('show() { printf "%s" "$2"; }; eval "show $1"', stdout);
  expect(new URL(uri).searchParams.get('sslrootcert')).toContain('.tsh');
  expect([decodeURIComponent(new URL(uri).username.replaceAll('+', '%20')), new URL(uri).pathname]).toEqual([
    DB_USER,
    `/${DB_NAME.replace('!', '%21')}`,
  ]);
  expect(readdirSync(folder)).toEqual([]);
});

test('R-B1 tsh env: the name of a cluster is one word', async () => {
  // As `tsh login CLUSTER` leaves it for a leaf that has this name.
  const name = 'leaf$(>made)';
  const file = join(cluster.envOf('alice').home, '.tsh', 'localhost.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, before.replace(/^cluster: .*$/m, `cluster: ${JSON.stringify(name)}`));
  const { stdout } = await cluster.tsh('alice', 'env');
  writeFileSync(file, before);
  expect(inShell('eval "$1"; printf "%s\\n" "$TELEPORT_CLUSTER"', stdout)).toBe(`${name}\n`);
  expect(readdirSync(folder)).toEqual([]);
});

test('R-B8 tsh proxy db --tunnel: the command that it prints is one of psql', async () => {
  const started = cluster.startTsh('alice', 'proxy', 'db', 'orders', '--tunnel', `--db-name=x;touch made;`);
  await started.env.untilOut(/\$ psql/);
  const { stdout } = await started.stop();
  const command = /^ {2}\$ (psql .*)$/m.exec(stdout)![1]!;
  expect(inShell('psql() { printf "%s" "$1"; }; eval "$1"', command)).toContain(';');
  expect(readdirSync(folder)).toEqual([]);
});
