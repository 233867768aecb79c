/**
 * Seed 002, "Amazon Redshift Automatic User Provisioning", in its order, on the Redshift double and on PostgreSQL.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { ADMIN, accountOf, DISABLED, enabled, removeAccount } from '../support/account.js';
import { type AuditRecord, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';
import { makeLeaf } from '../support/trust.js';
import { until } from '../support/until.js';

const ROOT = 'root.example.com';
/** A user of the root, in the leaf. */
const mappedName = (user: string) => `remote-${user}-${ROOT}`;

let cluster: TestCluster;
/** The cluster is a leaf of it. */
let root: TestCluster;
/** Who does it where: the two servers of the doubles are one underneath. */
const PLACES = [
  { db: 'sales', user: 'alice', what: 'a Redshift cluster' },
  { db: 'orders', user: 'bob', what: 'PostgreSQL' },
];

beforeAll(async () => {
  root = await startTestCluster({
    name: ROOT,
    roles: [roleResource('root-auto', {})],
    users: PLACES.map(({ user }) => ({ name: user, roles: ['root-auto'] })),
  });
  cluster = await startTestCluster({ redshift: true, serviceVars: { SSL_CERT_FILE: root.webCaFile } });
  await superuser('ALTER ROLE reader NOLOGIN; CREATE ROLE writer');
});
afterAll(async () => {
  await cluster?.stop();
  await root?.stop();
});

const superuser = (sql: string, values: unknown[] = []) => cluster.databases!.postgres.query(sql, { values });

async function tctl(input: object, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await cluster.tctlWith(JSON.stringify(input), ...args);
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

const roleOf = (name: string, mode: string) => ({
  kind: 'role',
  version: 'v7',
  metadata: { name },
  spec: {
    options: { create_db_user_mode: mode },
    allow: {
      db_labels: { '*': '*' },
      db_names: ['*'],
      db_roles: ['reader', '{{internal.db_roles}}', '{{external.db_roles}}'],
    },
  },
});

const account = (name: string) => accountOf(cluster.databases!.postgres, name);

const untilClosed = (name: string) =>
  until(`${name} has no rights`, async () => ((await account(name))?.isOpen ? undefined : true));

async function clientOf(user: string, db: string): Promise<pg.Client> {
  return await (await cluster.tunnel(user, db, { dbUser: user })).connect();
}

describe('Step 1/3. Configure database admin', () => {
  test('the administrator of the database is made', async () => {
    await superuser(`CREATE ROLE "${ADMIN}" LOGIN SUPERUSER`); // what "sys:superuser" is in the double
  });

  test.each(PLACES)('and named in the resource of $what', async ({ db }) => {
    const resource = cluster.databases!.resources.find((one) => (one.metadata as { name: string }).name === db)!;
    const spec = { ...(resource.spec as object), admin_user: { name: ADMIN } };
    expect(await tctl({ ...resource, spec }, 'create', '-f')).toContain(`database "${db}" has been updated`);
    await until(`tctl db ls -v shows the administrator of ${db}`, async () => {
      const { stdout } = await cluster.tctl('db', 'ls', '-v');
      return new RegExp(`${db} .*${ADMIN}`).test(stdout) || undefined;
    });
  });

  test('a Serverless workgroup cannot have one', async () => {
    const resource = cluster.databases!.resources.find((one) => (one.metadata as { name: string }).name === 'reports')!;
    const spec = { ...(resource.spec as object), admin_user: { name: ADMIN } };
    const { status, stderr } = await cluster.tctlWith(JSON.stringify({ ...resource, spec }), 'create', '-f');
    expect(status).toBe(1);
    expect(stderr).toContain(
      'cannot set admin user on database "reports": postgres/redshift-serverless databases don\'t support automatic user provisioning yet',
    );
  });
});

describe('Step 2/3. Configure a Teleport role', () => {
  test('with db_roles, of which some are traits', async () => {
    await tctl(roleOf('auto-db-users', 'keep'), 'create');
    await tctl(roleOf('auto-db-users-drop', 'best_effort_drop'), 'create');
    for (const [name, role] of [
      ['alice', 'auto-db-users'],
      ['bob', 'auto-db-users'],
      ['erin', 'auto-db-users-drop'],
      ['dave', 'auto-db-users'],
    ] as const) {
      await cluster.addUser({ name, roles: [role] });
    }
    for (const name of ['alice', 'bob']) {
      const { status } = await cluster.tctl('users', 'update', name, '--set-db-roles=writer');
      expect(status).toBe(0);
    }
  });
});

describe('Step 3/3. Connect to the database', () => {
  test.each(PLACES)('tsh db ls -v shows who one will be in $what, with which roles', async ({ db, user }) => {
    await cluster.login(user, user);
    await cluster.untilListed(user, [db]);
    const { stdout } = await cluster.tsh(user, 'db', 'ls', '-v');
    expect(stdout).toMatch(new RegExp(`^${db} .*\\[${user}\\] \\(Auto-provisioned\\) +\\[reader writer\\]`, 'm'));
  });

  test.each(PLACES)(
    'the user of $what has the name, teleport-auto-user and all roles, until the end',
    async ({ db, user }) => {
      const client = await clientOf(user, db);
      expect((await client.query('select current_user::text as name')).rows).toEqual([{ name: user }]);
      expect(await account(user)).toEqual(enabled('reader', 'writer'));
      await client.end();
      await untilClosed(user);
      expect(await account(user)).toEqual(DISABLED);
    },
  );

  test.each(PLACES)('a subset of them in $what with --db-roles, and no others', async ({ db, user }) => {
    const roles =
      "select string_agg(rolname, ',') as roles from pg_roles where pg_has_role(current_user, oid, 'member')";
    const sql = db === 'sales' ? 'select role_name from svv_user_grants where user_name = current_user' : roles;
    const exec = (asked: string) =>
      cluster.tsh(user, 'db', 'exec', sql, `--dbs=${db}`, '--db-name=dev', `--db-roles=${asked}`, '--no-confirm');
    const { status, stdout } = await exec('reader');
    expect(status).toBe(0);
    expect(stdout).toContain('reader');
    expect(stdout).not.toContain('writer');
    await untilClosed(user);
    const refused = await exec('owner');
    expect(refused.status).toBe(1);
    expect(refused.stdout + refused.stderr).toContain('access to database role "owner" denied');
  });

  test.each(PLACES)('as somebody else in $what nobody comes in', async ({ db, user }) => {
    const where = [`--dbs=${db}`, '--db-name=dev', '--db-user=analyst', '--no-confirm'];
    const { status, stdout, stderr } = await cluster.tsh(user, 'db', 'exec', 'select 1', ...where);
    expect(status).toBe(1);
    expect(stdout + stderr).toContain(`please use your Teleport username ("${user}") to connect instead of "analyst"`);
  });

  test.each(PLACES)('in $what of a leaf cluster the user is remote-USER-ROOT', async ({ db, user }) => {
    if (db === 'sales') {
      await makeLeaf(cluster, root, { roleMap: [{ remote: 'root-auto', local: ['auto-db-users'] }] });
    }
    const name = mappedName(user);
    await root.login(user, user);
    const { stdout } = await root.tsh(user, 'db', 'ls', `--cluster=${cluster.name}`, '-v');
    expect(stdout).toMatch(new RegExp(`^${db} .*\\[${name}\\] \\(Auto-provisioned\\) +\\[reader\\]`, 'm'));
    const client = await (await root.tunnel(user, db, { dbUser: name, cluster: cluster.name })).connect();
    expect((await client.query('select current_user::text as name')).rows).toEqual([{ name }]);
    expect(await account(name)).toEqual(enabled('reader'));
    await client.end();
    await untilClosed(name);
  });

  test.each(PLACES)('best_effort_drop drops the user of $what, unless something depends on it', async ({ db }) => {
    if (db === 'sales') await cluster.login('erin', 'erin');
    await (await clientOf('erin', db)).end();
    await until('erin is dropped', async () => (await account('erin')) === undefined || undefined);
    const client = await clientOf('erin', db);
    await client.query('create table of_erin (x int)');
    await client.end();
    await untilClosed('erin');
    expect(await account('erin')).toEqual(DISABLED);
    await removeAccount(cluster.databases!.postgres, 'erin');
  });

  test('a user of that name which is not managed is left alone', async () => {
    await superuser('CREATE ROLE dave LOGIN');
    await cluster.login('dave', 'dave');
    for (const { db } of PLACES) {
      const where = [`--dbs=${db}`, '--db-name=dev', '--no-confirm'];
      const { status, stdout, stderr } = await cluster.tsh('dave', 'db', 'exec', 'select 1', ...where);
      expect(status).toBe(1);
      expect(stdout + stderr).toContain(
        'your Teleport role requires automatic database user provisioning but an attempt to activate database user "dave" failed due to the following error: user "dave" already exists in this PostgreSQL database and is not managed by Teleport',
      );
    }
    expect(await account('dave')).toEqual({ isOpen: true, roles: [] });
  });

  test('Automatic user provisioning is not compatible with Redshift Serverless: said in the list and at connect', async () => {
    const why = 'automatic user provisioning is not compatible with Redshift Serverless';
    expect((await cluster.tsh('alice', 'db', 'ls', '-v')).stdout).toMatch(
      new RegExp(`^reports .*\\(none: ${why}\\)`, 'm'),
    );
    const exec = (...more: string[]) =>
      cluster.tsh('alice', 'db', 'exec', 'select 1', '--dbs=reports', '--db-name=dev', '--no-confirm', ...more);
    const unnamed = await exec();
    expect(unnamed.status).toBe(1);
    expect(unnamed.stdout + unnamed.stderr).toContain(why);
    const named = await exec('--db-user=alice');
    expect(named.status).toBe(1);
    expect(named.stdout + named.stderr).toContain(
      "this database doesn't support it, contact your Teleport administrator",
    );
  });
});

describe('Troubleshooting', () => {
  test.each(PLACES)('Use your mapped remote username error, in $what', async ({ db, user }) => {
    const name = mappedName(user);
    const exec = (dbUser: string) =>
      root.tsh(
        user,
        ...['db', 'exec', 'select current_user', `--dbs=${db}`, `--cluster=${cluster.name}`],
        ...['--db-name=dev', `--db-user=${dbUser}`, '--no-confirm'],
      );
    const { status, stdout, stderr } = await exec(user);
    expect([status, stdout + stderr]).toEqual([
      1,
      expect.stringContaining(`please use your mapped remote username ("${name}") to connect instead of "${user}"`),
    ]);
    expect(await exec(name)).toMatchObject({ status: 0, stdout: expect.stringContaining(name) });
  });

  test.each(PLACES)(
    'Unable to cancel a query: through the local proxy, and from another session, in $what',
    async ({ db, user }) => {
      const client = await clientOf(user, db);
      const other = await clientOf(user, db);
      await using held = await holdTable(cluster.databases!.postgres);
      for (const how of ['Ctrl-C', 'pg_cancel_backend'] as const) {
        const refused = expect(client.query(held.sql)).rejects.toMatchObject({ code: '57014' });
        await held.awaited();
        if (how === 'Ctrl-C') await cancelQuery(client);
        else await other.query('select pg_cancel_backend($1)', [await pidOf(other, db)]);
        await refused;
      }
      const ended = expect(client.query(held.sql)).rejects.toMatchObject({ code: '57P01' });
      await held.awaited();
      await other.query('select pg_terminate_backend($1)', [await pidOf(other, db)]);
      await ended;
      await other.end();
      await untilClosed(user);
    },
  );

  /** As the page finds the process of a long query. */
  async function pidOf(client: pg.Client, db: string): Promise<number> {
    const sql =
      db === 'sales'
        ? "select pid, starttime, trim(user_name) as user, trim(query) as query from stv_recents where status = 'Running'"
        : "select pid, query from pg_stat_activity where state = 'active'";
    const { rows } = await client.query(sql);
    return rows.find(({ query }) => /from public\.held_/.test(query)).pid;
  }
});

test('the audit log says who was made and who was disabled or dropped', async () => {
  const events = await cluster.auditEvents((all) => all.filter(({ code }) => code === 'TDB09I').length >= 10);
  const of = (code: string, user: string): AuditRecord | undefined =>
    events.find((event) => event.code === code && event.username === user);
  for (const { user } of PLACES) {
    expect(of('TDB08I', user)).toMatchObject({ roles: ['reader', 'writer'], db_user: user, success: true });
    expect(of('TDB09I', user)).toMatchObject({ delete: false, success: true });
  }
  expect(of('TDB09I', 'erin')).toMatchObject({ delete: true });
  expect(of('TDB08W', 'dave')).toMatchObject({ success: false, error: expect.stringContaining('not managed') });
});
