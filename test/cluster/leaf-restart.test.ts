/**
 * A leaf of two roots, and restarts of each side: who is online again, and whose person is whose.
 *
 * Tests: src/tctl/access/who.ts, src/tctl/lock-target.ts, src/auth/roots.ts, src/proxy/roots.ts, src/proxy/leafs.ts
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { makeLeaf, untilLeafIs } from '../support/trust.js';
import { until } from '../support/until.js';

const LEAF = 'leaf.example.com';

let dir: string;
let one: TestCluster;
let two: TestCluster;
let leaf: TestCluster;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'roots-'));
  const names = { db_users: ['analyst'], db_names: ['*'] };
  const start = (name: string) =>
    startTestCluster({
      name,
      roles: [roleResource('dev', names)],
      users: [{ name: 'gina', roles: ['dev'] }],
    });
  one = await start('one.example.com');
  two = await start('two.example.com');
  const trusted = join(dir, 'web.pem');
  const shown = await Promise.all([one, two].map(({ webCaFile }) => readFile(webCaFile, 'utf8')));
  await writeFile(trusted, shown.join(''));
  leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: trusted },
    roles: [roleResource('of-one', names), roleResource('of-two', names)],
  });
  await makeLeaf(leaf, one, { roleMap: [{ remote: 'dev', local: ['of-one'] }] });
  await makeLeaf(leaf, two, { roleMap: [{ remote: 'dev', local: ['of-two'] }] });
  for (const root of [one, two]) await root.login('gina', 'gina');
});

afterAll(async () => {
  await leaf?.stop();
  await two?.stop();
  await one?.stop();
  await rm(dir, { recursive: true, force: true });
});

async function isIn(root: TestCluster): Promise<boolean> {
  const where = [`--cluster=${LEAF}`, '--dbs=orders', '--db-user=analyst', '--db-name=dev'];
  return (await root.tsh('gina', 'db', 'exec', 'select 40 + 2', ...where)).stdout.includes('42');
}

const untilIn = (root: TestCluster) => until(`gina of ${root.name} is in`, async () => (await isIn(root)) || undefined);

test('two people of one name are two, each with the roles of her own root', async () => {
  expect(await Promise.all([one, two].map(isIn))).toEqual([true, true]);
  const starts = (await leaf.auditEvents((all) => all.filter(({ event }) => event === 'db.session.start').length >= 2))
    .filter(({ event }) => event === 'db.session.start')
    .map(({ user, user_roles: roles, user_cluster_name: from }) => ({ user, roles, from }));
  expect(starts).toEqual(
    expect.arrayContaining([
      { user: 'remote-gina-one.example.com', roles: ['of-one'], from: 'one.example.com' },
      { user: 'remote-gina-two.example.com', roles: ['of-two'], from: 'two.example.com' },
    ]),
  );
});

test('a person of a root can be locked at the leaf by her name there, which nobody can look up', async () => {
  const name = 'remote-gina-two.example.com';
  const locked = await leaf.tctl('lock', `--user=${name}`, '--ttl=1h');
  expect([locked.status, locked.stderr]).toEqual([
    0,
    expect.stringContaining('she is of the cluster "two.example.com"'),
  ]);
  await until('she is out', async () => !(await isIn(two)) || undefined);
  expect(await isIn(one)).toBe(true);
  await leaf.tctl('rm', `lock/${/"([\w-]+)"/.exec(locked.stdout)![1]}`);
  await untilIn(two);
  const stranger = await leaf.tctl('lock', '--user=remote-gina-three.example.com', '--ttl=1h');
  expect([stranger.status, stranger.stderr]).toEqual([1, expect.stringContaining('does not exist')]);
});

test('who may enter: people of the roots come besides, and can be asked about where they are', async () => {
  const { stdout } = await leaf.tctl('access', 'who', 'orders');
  expect(stdout.split('\n').filter(Boolean)).toEqual([
    'No user of this cluster may enter orders.',
    'People of the cluster "one.example.com" come besides, in the roles of: tctl get trusted_cluster/one.example.com',
    'People of the cluster "two.example.com" come besides, in the roles of: tctl get trusted_cluster/two.example.com',
  ]);
  const { stderr } = await leaf.tctl('access', 'why', 'remote-gina-two.example.com', 'orders');
  expect(stderr).toContain(`She can ask for herself: tsh db why DB --cluster=${LEAF}`);
  const why = await two.tsh('gina', 'db', 'why', 'orders', `--cluster=${LEAF}`, '--db-user=nobody', '--db-name=dev');
  expect([why.status, why.stdout]).toEqual([1, expect.stringContaining('of-two')]);
});

test('what one root locks, and its end, is nothing to the other', async () => {
  const { stdout } = await one.tctl('lock', '--user=gina', '--ttl=1h', '--force');
  await until('she of the one is out', async () => !(await isIn(one)) || undefined);
  expect(await isIn(two)).toBe(true);
  await one.tctl('rm', `lock/${/"([\w-]+)"/.exec(stdout)![1]}`);
  await untilIn(one);
});

test('after a restart of a root, and of the leaf, everything is there again', async () => {
  await one.restart();
  await untilLeafIs('online', LEAF, one);
  await untilIn(one);
  await leaf.restart();
  for (const root of [one, two]) {
    await untilLeafIs('online', LEAF, root);
    await untilIn(root);
  }
});

test('the leaf takes leave of one root: the other stays', async () => {
  expect((await leaf.tctl('rm', `trusted_cluster/${one.name}`)).status).toBe(0);
  await untilLeafIs('offline', LEAF, one);
  expect([await isIn(one), await isIn(two)]).toEqual([false, true]);
});
