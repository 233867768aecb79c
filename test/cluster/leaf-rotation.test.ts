/**
 * An authority of a root or of a leaf gets new keys: the other side hears of each phase, connections go on, and the old key is
 * out in the end.
 *
 * Tests: src/auth/roots.ts, src/auth/trust-link.ts, src/proxy/leafs.ts, src/proxy/roots.ts
 */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { dialTls } from '../../src/net/dial.js';
import { isSignedBy } from '../../src/pki/certificate.js';
import { publicKeyOf, readCertificate } from '../../src/pki/x509.js';
import { TUNNEL_ALPN } from '../../src/tunnel/protocol.js';
import { joinCluster } from '../../src/webapi/join.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { makeLeaf, untilLeafIs } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';

let root: TestCluster;
let leaf: TestCluster;

beforeAll(async () => {
  root = await startTestCluster({
    name: ROOT,
    roles: [roleResource('root-dev', { db_users: ['analyst'], db_names: ['*'] })],
    users: [{ name: 'gina', roles: ['root-dev'] }],
  });
  leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: root.webCaFile },
    roles: [roleResource('leaf-dev', { db_users: ['analyst'], db_names: ['*'] })],
  });
  await makeLeaf(leaf, root, { roleMap: [{ remote: 'root-dev', local: ['leaf-dev'] }] });
});

afterAll(async () => {
  await leaf?.stop();
  await root?.stop();
});

async function rotate(cluster: TestCluster, type: string, phase: string): Promise<void> {
  const { status, stderr } = await cluster.tctl('auth', 'rotate', '--manual', `--type=${type}`, `--phase=${phase}`);
  expect([phase, stderr, status]).toEqual([phase, expect.any(String), 0]);
}

type Keys = { tls?: { cert: string }[] } | undefined;

/** Certificates of an authority as a cluster has it: those that sign, and those that are believed besides. */
async function keysOf(of: string, type: string, at: TestCluster): Promise<string[][]> {
  const { stdout } = await at.tctl('get', `cert_authority/${type}`, '--format=json');
  const all = JSON.parse(stdout) as {
    metadata: { name: string };
    spec: { active_keys: Keys; additional_trusted_keys: Keys };
  }[];
  const { active_keys: active, additional_trusted_keys: others } = all.find(
    ({ metadata }) => metadata.name === of,
  )!.spec;
  return [active, others].map((keys) => keys?.tls?.map(({ cert }) => cert) ?? []);
}

const untilHeard = (of: TestCluster, by: TestCluster, type: string) =>
  until(`${by.name} has the ${type} authority of ${of.name}`, async () => {
    const [one, other] = await Promise.all([of, by].map((at) => keysOf(of.name, type, at)));
    return isDeepStrictEqual(one, other) || undefined;
  });

/** Its Proxy shows a certificate of the key that signs now: hosts follow in their own time. */
const untilFollowed = (cluster: TestCluster) =>
  until(`the Proxy of ${cluster.name} has a certificate of the new key`, async () => {
    const [[active]] = (await keysOf(cluster.name, 'host', cluster)) as [[string]];
    const socket = await dialTls({ ...tunnelPort(cluster), rejectUnauthorized: false, vars: {} });
    const { raw } = socket.getPeerCertificate();
    socket.destroy();
    return isSignedBy(readCertificate(raw), publicKeyOf(Buffer.from(active, 'base64').toString())) || undefined;
  });

const tunnelPort = ({ teleport }: TestCluster) => {
  const { port } = teleport.proxy!;
  return { host: '127.0.0.1', port, servername: 'localhost', alpn: [TUNNEL_ALPN], timeoutMs: 60_000 };
};

const PHASES = ['init', 'update_clients', 'update_servers', 'standby'] as const;

const tryLeaf = async () => {
  const where = [`--cluster=${LEAF}`, '--dbs=orders', '--db-user=analyst', '--db-name=dev'];
  return (await root.tsh('gina', 'db', 'exec', 'select 40 + 2', ...where)).stdout.includes('42');
};
const untilIn = () => until('she gets in', async () => (await tryLeaf()) || undefined);

/** A session that was there before. */
async function sessionAtLeaf(): Promise<{ client: pg.Client; ended: Promise<string> }> {
  await root.login('gina', 'gina');
  const client = await (await root.tunnel('gina', 'orders', { cluster: LEAF })).connect();
  const ended = new Promise<string>((resolve) => client.on('error', ({ message }) => resolve(message)));
  return { client, ended };
}

async function isAlive({ client }: { client: pg.Client }): Promise<boolean> {
  return (await client.query('select 7 as n')).rows[0].n === 7;
}

/** Whether a cluster takes a tunnel of that host: it answers a hello with a ping. */
async function takesTunnel(at: TestCluster, { hostId, certPem: cert, keyPem: key }: HostIdentity): Promise<boolean> {
  const socket = await dialTls({ ...tunnelPort(at), cert, key, rejectUnauthorized: false, vars: {} });
  const hello = { hostId, hostname: 'old', version: '18.3.0', databases: [] };
  socket.write(`${JSON.stringify({ hello })}\n`);
  return await new Promise((resolve) => {
    socket.on('error', () => resolve(false)).on('close', () => resolve(false));
    socket.once('data', (line) => {
      resolve(line.includes('ping'));
      socket.destroy();
    });
  });
}

test('users of the root: who is in with the old key is out in the end, and a new login comes in', async () => {
  const session = await sessionAtLeaf();
  for (const phase of PHASES.slice(0, 3)) {
    await rotate(root, 'user', phase);
    await untilHeard(root, leaf, 'user');
    expect(await isAlive(session)).toBe(true);
  }
  expect(await tryLeaf()).toBe(true);
  await rotate(root, 'user', 'standby');
  expect(await session.ended).toContain('rotated');
  await untilHeard(root, leaf, 'user');
  await root.tsh('gina', 'logout');
  await root.login('gina', 'gina');
  expect(await tryLeaf()).toBe(true);
});

test('hosts of the root: the leaf believes the new key, the tunnel comes again, and sessions go on', async () => {
  const session = await sessionAtLeaf();
  const [[before]] = (await keysOf(ROOT, 'host', leaf)) as [[string]];
  for (const phase of PHASES) {
    await rotate(root, 'host', phase);
    await untilHeard(root, leaf, 'host');
    if (phase === 'update_servers') await untilFollowed(root);
    expect(await isAlive(session)).toBe(true);
  }
  const [active, others] = await keysOf(ROOT, 'host', leaf);
  expect([active!.length, active!.includes(before), others]).toEqual([1, false, []]);
  await root.login('gina', 'gina');
  await untilIn();
  await untilLeafIs('online', LEAF, root);
  expect(await isAlive(session)).toBe(true);
});

test('hosts of the leaf: the root believes the new key and no tunnel of the old one, and sessions go on', async () => {
  const session = await sessionAtLeaf();
  const token = (await leaf.tctl('tokens', 'add', '--type=proxy', '--format=text')).stdout.trim();
  const [host, port] = leaf.proxyAddr.split(':') as [string, string];
  const old = await joinCluster({
    route: { kind: 'proxy', host, port: Number(port), vars: { SSL_CERT_FILE: leaf.webCaFile } },
    ...{ token, role: 'Proxy', hostId: randomUUID(), nodename: 'old', version: '18.3.0' },
  });
  expect(await takesTunnel(root, old)).toBe(true);
  await untilIn();
  for (const phase of PHASES) {
    await rotate(leaf, 'host', phase);
    await untilHeard(leaf, root, 'host');
    if (phase === 'update_servers') await untilFollowed(leaf);
    expect(await isAlive(session)).toBe(true);
  }
  await untilIn();
  await untilLeafIs('online', LEAF, root);
  expect(await takesTunnel(root, old)).toBe(false);
  expect(await isAlive(session)).toBe(true);
});

test('users of the leaf: nothing to hear for the root, and nobody of it notices', async () => {
  const session = await sessionAtLeaf();
  for (const phase of PHASES) {
    await rotate(leaf, 'user', phase);
    expect(await isAlive(session)).toBe(true);
    expect(await tryLeaf()).toBe(true);
  }
  await untilLeafIs('online', LEAF, root);
  const { stdout } = await root.tctl('get', 'cert_authority/user', '--format=json');
  expect(stdout).not.toContain(LEAF);
});
