/**
 * A leaf whose Auth Service has lost the line to its root, and a root whose Proxy has lost the line to its Auth Service: what goes
 * on with what was known last, and what ends because its locking mode is `strict`.
 *
 *     person ── Proxy of the root ══ tunnel ══ Proxy of the leaf ── database
 *                  │  `toAuth`                    │
 *               Auth of the root ── `toRoot` ── Auth of the leaf
 *
 * Tests: src/auth/roots.ts, src/auth/rights-feed.ts, src/auth/who.ts, src/proxy/reception.ts, src/rights/rights-watch.ts
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { silent } from '../../src/log.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { type Relay, startRelay } from '../support/relay.js';
import { makeLeaf } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';

let dir: string;
let root: TestCluster;
/** Another Proxy of the root, on a host of its own. */
let far: RunningTeleport;
let leaf: TestCluster;
let toAuth: Relay;
let toRoot: Relay;

const everything = { db_users: ['analyst'], db_names: ['*'] };
const STRICT = { lock: 'strict' };
/** Whose role is strict where. */
const PEOPLE = [
  { name: 'gina', role: 'plain', local: 'leaf-strict' },
  { name: 'ruth', role: 'root-strict', local: 'leaf-dev' },
  { name: 'nora', role: 'other', local: 'leaf-dev' },
];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cut-off-'));
  const trusted = join(dir, 'web.pem');
  root = await startTestCluster({
    name: ROOT,
    vars: { SSL_CERT_FILE: trusted },
    roles: [
      roleResource('plain', everything),
      roleResource('root-strict', everything, STRICT),
      roleResource('other', everything),
    ],
    users: PEOPLE.map(({ name, role }) => ({ name, roles: [role] })),
  });
  toAuth = await startRelay(root.teleport.auth!.port);
  far = await startFarProxy();
  const shown = [root.webCaFile, join(dir, 'far', 'webproxy_cert.pem')];
  await writeFile(trusted, (await Promise.all(shown.map((file) => readFile(file, 'utf8')))).join(''));
  toRoot = await startRelay(far.proxy!.port);
  leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: trusted },
    roles: [roleResource('leaf-dev', everything), roleResource('leaf-strict', everything, STRICT)],
  });
  await makeLeaf(leaf, root, {
    roleMap: PEOPLE.map(({ role, local }) => ({ remote: role, local: [local] })),
    webProxyAddr: `localhost:${toRoot.port}`,
    tunnelAddr: farAddr(),
  });
  for (const { name } of PEOPLE) {
    await root.login(name, name);
    await root.tsh(name, 'logout');
    const answers = [root.people[name]!.password];
    expect(await root.typeLogin(name, answers, `--proxy=${farAddr()}`, `--user=${name}`)).toMatchObject({ status: 0 });
  }
});

afterAll(async () => {
  await leaf?.stop();
  await toRoot?.stop();
  await far?.close({ drainMs: 0 });
  await toAuth?.stop();
  await root?.stop();
  await rm(dir, { recursive: true, force: true });
});

const farAddr = () => `localhost:${far.proxy!.port}`;

async function startFarProxy(): Promise<RunningTeleport> {
  const token = (await root.tctl('tokens', 'add', '--type=proxy', '--format=text')).stdout.trim();
  const pins = (await root.tctl('status')).stdout.match(/sha256:[0-9a-f]{64}/g)!;
  const at = join(dir, 'far');
  await mkdir(at);
  const config = {
    teleport: {
      nodename: 'localhost',
      data_dir: at,
      auth_server: `127.0.0.1:${toAuth.port}`,
      join_params: { method: 'token' as const, token_name: token },
      ca_pin: pins,
    },
    auth_service: { enabled: false },
    proxy_service: { enabled: true, web_listen_addr: '127.0.0.1:0' },
    db_service: { enabled: false },
  };
  return await startTeleport(teleportConfig({}, 'teleport.yaml', config), { log: silent, vars: {} });
}

interface Session {
  client: pg.Client;
  ended: Promise<string>;
}

async function sessionOf(name: string): Promise<Session> {
  const client = await (await root.tunnel(name, 'orders', { cluster: LEAF })).connect();
  return { client, ended: new Promise((resolve) => client.once('error', ({ message }) => resolve(message))) };
}

const isAlive = async ({ client }: Session) => (await client.query('select 7 as n')).rows[0].n === 7;

const execAs = (name: string) => {
  const where = [`--cluster=${LEAF}`, '--dbs=orders', '--db-user=analyst', '--db-name=dev'];
  return root.tsh(name, 'db', 'exec', 'select 40 + 2', ...where);
};

async function cutOff(line: Relay): Promise<void> {
  line.isDown = true;
  line.cut();
}

test('the leaf does not hear its root: strict at the leaf ends, and begins nothing; the rest goes on', async () => {
  const [gina, ruth, nora] = (await Promise.all(PEOPLE.map(({ name }) => sessionOf(name)))) as [
    Session,
    Session,
    Session,
  ];
  await cutOff(toRoot);
  const why = `nothing is heard of the cluster "${ROOT}", and the locking mode is strict`;
  expect(await gina.ended).toBe(`terminating connection: ${why}`);
  const refused = await execAs('gina');
  expect([refused.status, refused.stdout + refused.stderr]).toEqual([1, expect.stringContaining(why)]);
  expect(await Promise.all([ruth, nora].map(isAlive))).toEqual([true, true]);
  expect((await execAs('nora')).stdout).toContain('42');
  toRoot.isDown = false;
  await until('she gets in again', async () => (await execAs('gina')).stdout.includes('42') || undefined);
  await Promise.all([ruth, nora].map(({ client }) => client.end()));
});

test('a Proxy of the root does not hear its Auth Service: strict on either side ends; the rest goes on', async () => {
  const [gina, ruth, nora] = (await Promise.all(PEOPLE.map(({ name }) => sessionOf(name)))) as [
    Session,
    Session,
    Session,
  ];
  await cutOff(toAuth);
  expect(await ruth.ended).toBe(
    'terminating connection: the Auth Service has said nothing for 15 s, and the locking mode is strict',
  );
  expect(await gina.ended).toContain('the locking mode is strict');
  expect(await isAlive(nora)).toBe(true);
  toAuth.isDown = false;
  await until('they get in again', async () => {
    const all = await Promise.all(PEOPLE.map(({ name }) => execAs(name)));
    return all.every(({ stdout }) => stdout.includes('42')) || undefined;
  });
  await nora.client.end();
});
