/**
 * Sessions of a root's people in databases of a leaf, with one port at the root and with one of its own for PostgreSQL:
 * automatic users as Teleport 18.3.0 has them (captured), and Ctrl-C.
 *
 * Tests: src/identity/remote.ts, src/proxy/roots.ts, src/proxy/postgres.ts, src/db/authorize.ts
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { ADMIN, accountOf, DISABLED, enabled, KEEP } from '../support/account.js';
import { type AuditRecord, documents, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';
import { makeLeaf } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'root.example.com';
const LEAF = 'leaf.example.com';
const CAROL = `remote-carol-${ROOT}`;
const MODES = ['multiplex', 'separate'] as const;

const psql = await findPsql(process.env.PATH);
const testWithPsql = psql ? test : test.skip;

interface Pair {
  root: TestCluster;
  leaf: TestCluster;
}

const pairs = new Map<string, Promise<Pair>>();

/** Made when the first test asks for it. */
function pairOf(mode: (typeof MODES)[number]): Promise<Pair> {
  const made = pairs.get(mode) ?? startPair(mode);
  pairs.set(mode, made);
  return made;
}

afterAll(async () => {
  for (const made of pairs.values()) {
    const { root, leaf } = await made;
    await leaf.stop();
    await root.stop();
  }
});

async function startPair(mode: (typeof MODES)[number]): Promise<Pair> {
  const root = await startTestCluster({
    name: ROOT,
    roles: [roleResource('root-dev', { db_users: ['analyst'], db_names: ['*'] }), roleResource('auto-keep', {})],
    users: [
      { name: 'gina', roles: ['root-dev'] },
      { name: 'carol', roles: ['auto-keep'] },
    ],
    auth: { proxy_listener_mode: mode },
    proxy: { postgres_listen_addr: '127.0.0.1:0' },
  });
  const autoRoles = { db_names: ['*'], db_roles: ['reader', '{{external.db_roles}}'] };
  const leaf = await startTestCluster({
    name: LEAF,
    postgres: true,
    serviceVars: { SSL_CERT_FILE: root.webCaFile },
    roles: [
      roleResource('leaf-dev', { db_users: ['analyst'], db_names: ['*'] }),
      roleResource('leaf-auto', autoRoles, KEEP),
    ],
    auth: { proxy_listener_mode: mode },
    proxy: { postgres_listen_addr: '127.0.0.1:0' },
  });
  const { postgres, resources } = leaf.databases!;
  await postgres.query(`ALTER ROLE reader NOLOGIN; CREATE ROLE writer; CREATE ROLE "${ADMIN}" LOGIN SUPERUSER`);
  const [orders] = resources as { metadata: object; spec: object }[];
  const managed = { ...orders, spec: { ...orders!.spec, admin_user: { name: ADMIN } } };
  expect((await leaf.tctlWith(documents([managed]), 'create', '-f')).status).toBe(0);
  await root.tctlOk('users', 'update', 'carol', '--set-db-roles=writer');
  const roleMap = [
    { remote: 'root-dev', local: ['leaf-dev'] },
    { remote: 'auto-keep', local: ['leaf-auto'] },
  ];
  await makeLeaf(leaf, root, { roleMap });
  for (const name of ['gina', 'carol']) {
    await root.login(name, name);
    await until(`${name} sees the leaf's database with its administrator`, async () => {
      const { stdout } = await root.tsh(name, 'db', 'ls', `--cluster=${LEAF}`, '--format=json');
      return stdout.includes(ADMIN) || undefined;
    });
  }
  return { root, leaf };
}

/** In the leaf's database. */
const account = ({ leaf }: Pair, name: string) => accountOf(leaf.databases!.postgres, name);

const untilClosed = (pair: Pair, name: string) =>
  until(`${name} has no rights`, async () => ((await account(pair, name))?.isOpen ? undefined : true));

const execAt = ({ root }: Pair, home: string, sql: string, ...more: string[]) =>
  root.tsh(home, 'db', 'exec', sql, '--dbs=orders', `--cluster=${LEAF}`, '--db-name=dev', '--no-confirm', ...more);

/** A client in the leaf's database. */
async function clientAt({ root }: Pair, home: string, dbUser: string) {
  return await (await root.tunnel(home, 'orders', { dbUser, cluster: LEAF })).connect();
}

describe.each(MODES)('%s', (mode) => {
  test('an automatic user has the mapped name: listed, made, and disabled at the end', async () => {
    const pair = await pairOf(mode);
    const listed = await pair.root.tsh('carol', 'db', 'ls', `--cluster=${LEAF}`, '-v');
    expect(listed).toMatchObject({ status: 0, stderr: '' });
    const row = new RegExp(`^orders .*\\[${CAROL}\\] \\(Auto-provisioned\\) +\\[reader writer\\]`, 'm');
    expect(listed.stdout).toMatch(row);
    const { status, stdout } = await execAt(pair, 'carol', 'select current_user');
    expect([status, stdout]).toEqual([0, expect.stringContaining(CAROL)]);
    await untilClosed(pair, CAROL);
    // The second time is the one that the dots in the name make fail in the captured program.
    const client = await clientAt(pair, 'carol', CAROL);
    expect((await client.query('select current_user::text as name')).rows).toEqual([{ name: CAROL }]);
    expect(await account(pair, CAROL)).toEqual(enabled('reader', 'writer'));
    await client.end();
    await untilClosed(pair, CAROL);
    expect(await account(pair, CAROL)).toEqual(DISABLED);
    expect(await account(pair, 'carol')).toBeUndefined();
  });

  test('the name of the root is refused with the one to use, and roles that she has not', async () => {
    const pair = await pairOf(mode);
    const named = await execAt(pair, 'carol', 'select 1', '--db-user=carol');
    expect(named.status).toBe(1);
    expect(named.stdout + named.stderr).toContain(
      `please use your mapped remote username ("${CAROL}") to connect instead of "carol"`,
    );
    // The command that says more, as she can type it: it asks the leaf.
    expect(named.stdout + named.stderr).toContain(
      `More: tsh db why orders --cluster=${LEAF} --db-user=carol --db-name=dev`,
    );
    const roles = await execAt(pair, 'carol', 'select 1', '--db-roles=owner');
    expect([roles.status, roles.stdout + roles.stderr]).toEqual([
      1,
      expect.stringContaining('access to database role "owner" denied'),
    ]);
    const why = await pair.root.tsh('carol', 'db', 'why', 'orders', `--cluster=${LEAF}`, '--db-user=carol');
    expect(why.stdout).toContain(`connect as the database user "${CAROL}"`);
  });

  test('the events are in the log of the leaf, with both clusters', async () => {
    const pair = await pairOf(mode);
    const { root, leaf } = pair;
    expect((await execAt(pair, 'carol', 'select 1')).status).toBe(0);
    const wanted = ['db.session.user.create', 'db.session.start', 'db.session.end', 'db.session.user.deactivate'];
    const of = (name: string) => (one: AuditRecord) => one.event === name && one.user === CAROL;
    const all = await leaf.auditEvents((events) => wanted.every((name) => events.some(of(name))));
    const both = { cluster_name: LEAF, user_cluster_name: ROOT, user_roles: ['leaf-auto'], db_user: CAROL };
    for (const name of wanted) expect(all.find(of(name))).toMatchObject(both);
    expect(all.find(of('db.session.user.create'))).toMatchObject({ username: CAROL, roles: ['reader', 'writer'] });
    expect(all.find(of('db.session.start'))).toMatchObject({ user_traits: { db_roles: ['writer'] } });
    expect(all.find(of('db.session.end'))).toMatchObject({ participants: [CAROL] });
    const made = await root.auditEvents((events) => events.some(({ event }) => event === 'cert.create'));
    expect(made.some(({ event }) => event.startsWith('db.session'))).toBe(false);
  });

  test('a lock of the leaf ends her session, and takes her rights in the database', async () => {
    const pair = await pairOf(mode);
    const client = await clientAt(pair, 'carol', CAROL);
    const locked = await pair.leaf.tctlOk('lock', `--user=${CAROL}`, '--ttl=1h', '--force');
    await expect(client.query('select pg_sleep(600)')).rejects.toThrow();
    await untilClosed(pair, CAROL);
    expect(await account(pair, CAROL)).toEqual(DISABLED);
    await pair.leaf.tctlOk('rm', `lock/${/"([\w-]+)"/.exec(locked)![1]}`);
  });

  test('Ctrl-C cancels the statement, and the session goes on', async () => {
    const pair = await pairOf(mode);
    await using held = await holdTable(pair.leaf.databases!.postgres);
    const client = await clientAt(pair, 'gina', 'analyst');
    const cancelled = expect(client.query(held.sql)).rejects.toMatchObject({ code: '57014' });
    await held.awaited();
    await cancelQuery(client);
    await cancelled;
    expect((await client.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    await client.end();
  });

  testWithPsql('psql enters the way that the mode of the root says', async () => {
    const { root } = await pairOf(mode);
    const flags = [`--cluster=${LEAF}`, '--db-user=analyst', '--db-name=dev'];
    expect((await root.tsh('gina', 'db', 'login', 'orders', ...flags)).status).toBe(0);
    const config = await root.tsh('gina', 'db', 'config', 'orders', `--cluster=${LEAF}`, '--format=json');
    const { port } = JSON.parse(config.stdout) as { port: number };
    expect(String(port) === root.proxyAddr.split(':')[1]).toBe(mode === 'multiplex');
    const into = join(root.dir, `psql-${mode}`);
    const how = ['--', '-XAtc', 'select current_user', '-o', into];
    expect(await root.tsh('gina', 'db', 'connect', 'orders', `--cluster=${LEAF}`, ...how)).toMatchObject({ status: 0 });
    expect(await readFile(into, 'utf8')).toBe('analyst\n');
  });
});

test('when the leaf takes the trust back, her rights in the database end with the session', async () => {
  const pair = await pairOf('multiplex');
  const client = await clientAt(pair, 'carol', CAROL);
  const ended = expect(client.query('select pg_sleep(600)')).rejects.toThrow();
  await pair.leaf.tctlOk('rm', `trusted_cluster/${ROOT}`);
  await ended;
  await untilClosed(pair, CAROL);
  expect(await account(pair, CAROL)).toEqual(DISABLED);
});
