/**
 * A root and leafs of ours: trust, ways through the tunnel, what a root's user may do, and how all of it ends.
 *
 * Tests: src/auth/trusted-clusters.ts, src/auth/remote-clusters.ts, src/auth/roots.ts, src/auth/trust-link.ts
 * Tests: src/auth/trust.ts, src/auth/grpc/trusted-clusters.ts, src/auth/grpc/trust-link.ts
 * Tests: src/proxy/leafs.ts, src/proxy/roots.ts, src/proxy/web/trust.ts, src/webapi/trust.ts
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { loginAuthClient } from '../../src/access/cluster/open.js';
import { timestampFromDate } from '../../src/api/protobuf.js';
import { authoritiesByCluster } from '../../src/pki/cluster-name.js';
import { generateKey, publicKeyPem } from '../../src/pki/keys.js';
import { splitPem } from '../../src/pki/x509.js';
import { hostId } from '../../src/store/state-files.js';
import { documents, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { makeLeaf, tokenForLeaf, trustedCluster, untilLeafIs } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';
const FAR = 'far.example.com';

let root: TestCluster;
let leaf: TestCluster;
/** A second leaf, in a process of its own. */
let far: TestCluster;

const everything = { db_labels: { '*': '*' }, db_names: ['*'] };
const mapped = { remote: 'root-dev', local: ['leaf-dev'] };

const trust = (more: object = {}, name = ROOT) =>
  documents([
    trustedCluster({ name, proxyAddr: root.proxyAddr }, { token: 'not-a-token', role_map: [mapped], ...more }),
  ]);

const tokenOfRoot = () => tokenForLeaf(root);
const untilStatus = (status: string) => untilLeafIs(status, LEAF, root);

/** That of the trust that there is. */
async function tokenInUse(): Promise<string> {
  const [known] = JSON.parse((await leaf.tctl('get', 'trusted_cluster', '--format=json')).stdout);
  return known.spec.token;
}

const execAt = async (home: string, ...more: string[]) =>
  await root.tsh(
    home,
    'db',
    'exec',
    'select current_user',
    '--dbs=orders',
    `--cluster=${LEAF}`,
    '--db-user=analyst',
    '--db-name=dev',
    ...more,
  );

/** Cluster and name of each database in a list. */
async function listedBy(home: string, ...args: string[]): Promise<string[][]> {
  const { stdout, stderr } = await root.tsh(home, 'db', 'ls', '--format=json', ...args);
  if (stdout === '') throw new Error(stderr);
  const rows = JSON.parse(stdout) as { cluster: string; database: { metadata: { name: string } } }[];
  return rows.map(({ cluster, database }) => [cluster, database.metadata.name]);
}

/** A client in a database of the leaf; `ended` is what it hears at its end. */
async function sessionAt(home: string): Promise<{ ended: Promise<string>; stop: () => void }> {
  const flags = [`--cluster=${LEAF}`, '--tunnel', '--db-user=analyst', '--db-name=dev'];
  const started = root.startTsh(home, 'proxy', 'db', 'orders', ...flags);
  const port = await until('the tunnel listens', async () => /127\.0\.0\.1:(\d+)/.exec(started.env.out())?.[1]);
  const client = new pg.Client({ host: '127.0.0.1', port: Number(port), user: 'analyst', database: 'dev' });
  const ended = new Promise<string>((resolve) => client.on('error', (error) => resolve(error.message)));
  await client.connect();
  const all = ended.then(async (text) => {
    await started.stop();
    return text;
  });
  return { ended: all, stop: () => void client.end().then(() => started.stop()) };
}

beforeAll(async () => {
  root = await startTestCluster({
    name: ROOT,
    postgres: true,
    roles: [roleResource('root-dev', { ...everything, db_users: ['analyst'] }), roleResource('unmapped', everything)],
    users: [
      { name: 'gina', roles: ['root-dev'] },
      { name: 'nora', roles: ['unmapped'] },
    ],
  });
  leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: root.webCaFile },
    roles: [roleResource('leaf-dev', { ...everything, db_users: ['analyst'] })],
  });
  far = await startTestCluster({
    name: FAR,
    process: { vars: { SSL_CERT_FILE: root.webCaFile } },
    roles: [roleResource('leaf-dev', everything)],
  });
  await makeLeaf(far, root, { roleMap: [mapped] });
}, 600_000);

afterAll(async () => {
  await far?.stop();
  await leaf?.stop();
  await root?.stop();
});

test('a trust that cannot begin is refused with what is wrong, and nothing is made on either side', async () => {
  const create = async (text: string) => await leaf.tctlWith(text, 'create');
  const refused = async (text: string) => (await create(text)).stderr;
  expect(await refused(trust())).toContain('invalid cluster token');
  const token = await tokenOfRoot();
  expect(await refused(trust({ token, role_map: [{ remote: 'root-dev', local: ['nosuch'] }] }))).toContain(
    'a role "nosuch" referenced in a mapping root-dev:[nosuch] is not defined',
  );
  expect(await refused(trust({ token }, 'rootx'))).toContain(
    `trusted cluster resource name must be the same as the remote cluster name: got "rootx", want "${ROOT}"`,
  );
  const { stdout: other } = await root.tctl('tokens', 'add', '--type=db', '--format=text');
  expect(await refused(trust({ token: other.trim() }))).toContain('role does not match');
  expect((await leaf.tctl('get', 'trusted_cluster', '--format=json')).stdout.trim()).toBe('[]');
  expect((await root.tctl('get', 'rc', '--format=json')).stdout).not.toContain(LEAF);
});

test('a trust begins: the leaf has the root, the root has the leaf, and it comes online', async () => {
  const created = await leaf.tctlWith(trust({ token: await tokenOfRoot() }), 'create');
  expect(created).toEqual({ status: 0, stdout: `trusted cluster "${ROOT}" has been created\n`, stderr: '' });
  const again = await leaf.tctlWith(trust({ token: await tokenOfRoot() }), 'create');
  expect(again.stderr).toContain(`trusted cluster "${ROOT}" already exists`);
  const known = JSON.parse((await leaf.tctl('get', 'trusted_cluster', '--format=json')).stdout);
  expect(known).toMatchObject([{ metadata: { name: ROOT }, spec: { enabled: true, tunnel_addr: root.proxyAddr } }]);
  await untilStatus('online');
  await leaf.auditEvents((events) => events.some(({ event }) => event === 'trusted_cluster.create'));
  await root.auditEvents((events) => events.some(({ event }) => event === 'remote_cluster.create'));
}, 600_000);

test('a role that the role map gives cannot be removed, and the log says why', async () => {
  const { status, stderr } = await leaf.tctl('rm', 'role/leaf-dev');
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('failed to delete a role that is still in use by a certificate authority'),
  ]);
  expect(leaf.log()).toMatch(new RegExp(`A role was not deleted, because it is in use.*leaf-dev.*${ROOT}`));
});

test('R-A-L4 a cluster hands on its own authorities only: export, sign and status name none of its leafs', async () => {
  const lines = (text: string) => text.split('\n').filter((line) => line !== '');
  for (const type of ['host', 'user']) {
    const { stdout } = await root.tctl('auth', 'export', `--type=${type}`);
    expect(lines(stdout)).toHaveLength(1);
  }
  const out = join(root.dir, 'gina-tls');
  expect((await root.tctl('auth', 'sign', '--user=gina', '--format=tls', `--out=${out}`)).status).toBe(0);
  expect(authoritiesByCluster(splitPem(readFileSync(`${out}.cas`, 'utf8')))).toEqual(
    new Map([[ROOT, [expect.any(String)]]]),
  );
  const { stdout } = await root.tctl('status');
  expect(stdout.match(/sha256:/g)).toHaveLength(1);
  expect(stdout.match(/^host /gm)).toHaveLength(1);
}, 600_000);

test('a second cluster of the name of the leaf is refused, and so is one of the name of the root', async () => {
  const token = await tokenOfRoot();
  const own = { token, web_proxy_addr: leaf.proxyAddr };
  expect((await leaf.tctlWith(trust(own, LEAF), 'create')).stderr).toContain(
    `remote cluster name can not be the same as local cluster name "${LEAF}"`,
  );
}, 600_000);

test('a person of the root sees the leaf and its databases, and enters them with the login of the root', async () => {
  await root.login('gina', 'gina');
  const clusters = JSON.parse((await root.tsh('gina', 'clusters', '--format=json')).stdout);
  expect(clusters).toMatchObject([
    { cluster_name: ROOT, cluster_type: 'root', selected: true },
    { cluster_name: FAR, cluster_type: 'leaf' },
    { cluster_name: LEAF, cluster_type: 'leaf', status: 'online', selected: false },
  ]);
  expect(await listedBy('gina', '--all')).toEqual([
    [LEAF, 'orders'],
    [ROOT, 'orders'],
  ]);
  expect((await root.tsh('gina', 'db', 'ls', `--cluster=${LEAF}`)).stdout).toContain('[analyst]');
  expect((await execAt('gina')).stdout).toContain('analyst');
  const [start] = await leaf
    .auditEvents((events) => events.some(({ event }) => event === 'db.session.start'))
    .then((events) => events.filter(({ event }) => event === 'db.session.start'));
  expect(start).toMatchObject({ user: `remote-gina-${ROOT}`, user_cluster_name: ROOT, cluster_name: LEAF });
}, 600_000);

test('tsh login LEAF selects it, and one that is not there is not found', async () => {
  expect((await root.tsh('gina', 'login', 'nosuch.example.com')).stderr).toContain(
    'remote cluster "nosuch.example.com" is not found',
  );
  const selected = await root.tsh('gina', 'login', LEAF);
  expect(selected.stdout).toContain(`Cluster:            ${LEAF}`);
  const { stdout } = await root.tsh('gina', 'db', 'login', 'orders', '--db-user=analyst', '--db-name=dev');
  expect(stdout).toContain('Connection information for database "orders" has been saved.');
  expect((await root.tsh('gina', 'db', 'ls')).stdout).toContain('> orders');
  await root.tsh('gina', 'db', 'logout', 'orders');
  expect((await root.tsh('gina', 'login', ROOT)).stdout).toContain(`Cluster:            ${ROOT}`);
}, 600_000);

test('whom the role map of the leaf does not name is refused there, and nowhere else', async () => {
  await root.login('nora', 'nora');
  const refused = `no roles mapped for remote user "nora" from cluster "${ROOT}" with remote roles [unmapped]`;
  expect((await root.tsh('nora', 'db', 'ls', `--cluster=${LEAF}`)).stderr).toContain(refused);
  expect((await execAt('nora')).stderr).toContain(refused);
  const { status, stdout, stderr } = await root.tsh('nora', 'db', 'ls', '--all');
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(refused) });
  expect(stdout).toContain(ROOT);
}, 600_000);

test('a certificate for the leaf is made by the root alone', async () => {
  const client = await loginAuthClient(root.envOf('gina'), { cluster: LEAF });
  const request = {
    username: `remote-gina-${ROOT}`,
    expires: timestampFromDate(new Date(Date.now() + 600_000)),
    tlsPublicKey: Buffer.from(publicKeyPem(await generateKey('ecdsa-p256'))),
  };
  await expect(client.auth.generateUserCerts(request)).rejects.toThrow('only the root cluster makes certificates');
  await client.close();
}, 600_000);

test('a lock of the leaf, on either name, and a lock of the root end what runs, with the reason', async () => {
  for (const [where, target] of [
    [leaf, `--user=remote-gina-${ROOT}`],
    [leaf, '--role=leaf-dev'],
    [leaf, '--user=gina'],
    [root, '--user=gina'],
    [root, '--role=root-dev'],
  ] as const) {
    const session = await sessionAt('gina');
    const { stdout } = await where.tctl('lock', target, '--message=out', '--ttl=1h', '--force');
    const lock = /"([\w-]+)"/.exec(stdout)![1]!;
    expect([target, await session.ended]).toEqual([target, expect.stringContaining('is in force: out')]);
    const listed = await root.tsh('gina', 'db', 'ls', `--cluster=${LEAF}`);
    expect([target, listed.status]).toEqual([target, 1]);
    expect([target, (await execAt('gina')).status]).toEqual([target, 1]);
    await where.tctl('rm', `lock/${lock}`);
    await until('she is let in again', async () => (await execAt('gina')).status === 0 || undefined);
  }
}, 600_000);

test('a user of the root who was deleted is out at the leaf', async () => {
  await root.addUser({ name: 'gone', roles: ['root-dev'] });
  await root.login('gone', 'gone');
  expect((await execAt('gone')).status).toBe(0);
  const session = await sessionAt('gone');
  await root.tctl('users', 'rm', 'gone');
  expect(await session.ended).toContain('was deleted');
  expect((await root.tsh('gone', 'db', 'ls', `--cluster=${LEAF}`)).status).toBe(1);
}, 600_000);

test('R-A-M4 who is made anew at the root does not see at the leaf what ran under her name before', async () => {
  const exec = async (home: string, query: string) => {
    const flags = ['--dbs=orders', `--cluster=${LEAF}`, '--db-user=analyst', '--db-name=dev'];
    expect((await root.tsh(home, 'db', 'exec', query, ...flags)).status).toBe(0);
  };
  const history = async (home: string) => {
    const { stdout } = await root.tsh(home, 'db', 'history', `--cluster=${LEAF}`, '--format=json');
    return (JSON.parse(stdout) as { db_query: string }[]).map(({ db_query }) => db_query);
  };
  const heard = (query: string) =>
    leaf.auditEvents((events) => events.some(({ event, db_query }) => event.endsWith('query') && db_query === query));
  await root.addUser({ name: 'twin', roles: ['root-dev'] });
  await root.login('first', 'twin');
  await exec('first', "select 'of the first'");
  await heard("select 'of the first'");
  expect(await history('first')).toEqual(["select 'of the first'"]);
  await root.tctl('users', 'rm', 'twin');
  await root.addUser({ name: 'twin', roles: ['root-dev'] });
  await root.login('second', 'twin');
  await exec('second', "select 'of the second'");
  await heard("select 'of the second'");
  expect(await history('second')).toEqual(["select 'of the second'"]);
}, 600_000);

test('a leaf that hangs costs its own rows, not those of the others', async () => {
  const { pid } = far.teleport;
  process.kill(pid!, 'SIGSTOP');
  try {
    const { status, stdout, stderr } = await root.tsh('gina', 'db', 'ls', '--all', '--format=json');
    expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringContaining(FAR) });
    const rows = JSON.parse(stdout) as { cluster: string }[];
    expect(rows.map(({ cluster }) => cluster)).toEqual([LEAF, ROOT]);
  } finally {
    process.kill(pid!, 'SIGCONT');
  }
}, 600_000);

test('R-A-L3 a lock on the host of a leaf ends its tunnels, and they come back without it', async () => {
  const session = await sessionAt('gina');
  // Nobody at the root knows the hosts of a leaf.
  expect((await root.tctl('lock', `--server-id=${await hostId(leaf.dataDir)}`, '--force')).status).toBe(0);
  await session.ended;
  await untilStatus('offline');
  const [lock] = JSON.parse((await root.tctl('get', 'locks', '--format=json')).stdout);
  await root.tctl('rm', `lock/${lock.metadata.name}`);
  await untilStatus('online');
}, 600_000);

test('the leaf takes the trust back: what runs ends, and nobody gets in', async () => {
  const session = await sessionAt('gina');
  const changed = await leaf.tctlWith(trust({ enabled: false, token: await tokenInUse() }), 'create', '--force');
  expect(changed.stderr).toBe('');
  expect(await session.ended).toContain('the trust between this cluster and');
  expect((await root.tsh('gina', 'db', 'ls', `--cluster=${LEAF}`)).status).toBe(1);
  await untilStatus('offline');
  await leaf.tctlWith(trust({ token: await tokenInUse() }), 'create', '--force');
  await untilStatus('online');
  expect((await execAt('gina')).status).toBe(0);
  const second = await sessionAt('gina');
  expect((await leaf.tctl('rm', `trusted_cluster/${ROOT}`)).stdout).toBe(
    `trusted cluster "${ROOT}" has been deleted\n`,
  );
  expect(await second.ended).toContain('the trust between this cluster and');
  expect((await execAt('gina')).status).toBe(1);
  await untilStatus('offline');
  expect((await leaf.tctl('get', 'cert_authority/user', '--format=json')).stdout).not.toContain(ROOT);
}, 600_000);

test('the root removes the leaf: what runs ends, the leaf is gone, and can come again', async () => {
  await leaf.tctl('rm', `trusted_cluster/${ROOT}`);
  const anew = trust({ token: await tokenOfRoot() });
  expect((await leaf.tctlWith(anew, 'create')).stderr).toContain(`leaf cluster name "${LEAF}" is taken`);
  expect((await root.tctl('rm', `rc/${LEAF}`)).stdout).toBe(`remote cluster "${LEAF}" has been deleted\n`);
  expect((await leaf.tctlWith(anew, 'create')).stderr).toBe('');
  await untilStatus('online');
  const session = await sessionAt('gina');
  await root.tctl('rm', `rc/${LEAF}`);
  expect(await session.ended).toContain('the trust between this cluster and');
  expect((await root.tsh('gina', 'clusters')).stdout).not.toContain(LEAF);
  expect((await execAt('gina')).stderr).toContain(`failed to connect to cluster ${LEAF}`);
}, 600_000);
