/** The job from end to end: sign up, log in, run SQL on three kinds of database, log out. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { type AuditRecord, roleResource, startTestCluster, type TestCluster, type Tunnel } from '../support/cluster.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';

const ANALYST = roleResource('analyst', { db_users: ['analyst', 'reporting'], db_names: ['dev', 'postgres'] });
const DATABASES = [
  { db: 'orders', dbUser: 'analyst', currentUser: 'analyst' },
  { db: 'sales', dbUser: 'analyst', currentUser: 'analyst' },
  { db: 'reports', dbUser: 'reporting', currentUser: 'IAMR:reporting' },
];

let cluster: TestCluster;
const tunnels: Record<string, Tunnel> = {};

beforeAll(async () => {
  cluster = await startTestCluster({
    redshift: true,
    secondFactor: 'otp',
    roles: [ANALYST],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
});
afterAll(async () => {
  await cluster?.stop();
});

/** A client on a tunnel that is started when it is first asked for. */
async function clientOf(db: string, dbUser = 'analyst'): Promise<pg.Client> {
  tunnels[`${db} ${dbUser}`] ??= await cluster.tunnel('alice', db, { dbUser });
  return await tunnels[`${db} ${dbUser}`]!.connect();
}

test('a person logs in with password and code and sees who they are', async () => {
  const { stdout } = await cluster.login('alice', 'alice');
  expect(stdout).toContain('Logged in as:       alice');
  expect(stdout).toContain(`Cluster:            ${cluster.name}`);
  expect(stdout).toMatch(/Roles: +analyst/);
});

test('db ls shows the databases that the role allows, db login keeps a certificate of each', async () => {
  await cluster.untilListed('alice', ['orders', 'sales', 'reports']);
  const { stdout } = await cluster.tsh('alice', 'db', 'ls');
  expect(stdout).toMatch(/^orders /m);
  for (const { db, dbUser } of DATABASES) {
    const { status, stderr } = await cluster.tsh('alice', 'db', 'login', db, `--db-user=${dbUser}`, '--db-name=dev');
    expect([stderr, status]).toEqual(['', 0]);
  }
  expect((await cluster.tsh('alice', 'db', 'ls')).stdout).toMatch(/^> orders /m);
});

test.each(DATABASES)('SQL runs on $db through proxy db --tunnel', async ({ db, dbUser, currentUser }) => {
  const client = await clientOf(db, dbUser);
  const { rows } = await client.query('select current_user::text as user, $1::int + 1 as sum', [41]);
  expect(rows).toEqual([{ user: currentUser, sum: 42 }]);
  await client.end();
});

test.each(DATABASES)('db exec prints the rows of $db', async ({ db, dbUser }) => {
  const where = [`--dbs=${db}`, `--db-user=${dbUser}`, '--db-name=dev'];
  const { status, stdout, stderr } = await cluster.tsh('alice', 'db', 'exec', 'select 6 * 7 as answer', ...where);
  const progress = `Fetching databases by name ...\n\nExecuting command for "${db}".\n`;
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: ' answer \n--------\n     42\n(1 row)\n\n',
    stderr: progress,
  });
});

test('a result of 20 MB arrives whole', async () => {
  const client = await clientOf('sales');
  const { rows } = await client.query("select repeat('x', 1000) as text from generate_series(1, 20000)");
  expect(rows.length).toBe(20_000);
  expect(rows.every(({ text }) => text.length === 1000)).toBe(true);
  await client.end();
});

test.each(['orders', 'sales'])('a query in flight on %s is cancelled', async (db) => {
  const client = await clientOf(db);
  await using held = await holdTable(cluster.databases!.postgres);
  const refused = expect(client.query(held.sql)).rejects.toMatchObject({ code: '57014' });
  await held.awaited();
  // It would wait for ever.
  await cancelQuery(client);
  await refused;
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await client.end();
});

test('a database user that the role does not allow is refused in the words of the cluster', async () => {
  await expect(clientOf('orders', 'postgres')).rejects.toMatchObject({
    message: 'access to db denied. User does not have permissions. Confirm database user and name.',
  });
});

test('the audit log has the session in order, with names and codes', async () => {
  const client = await clientOf('orders');
  await client.query('select 1 as first');
  await client.query('select $1::int as second', [2]);
  await client.end();
  const events = await cluster.auditEvents((all) => all.at(-1)?.event === 'db.session.end' && all.some(isSecond));
  const { sid } = events.find(isFirst)!;
  const session = events.filter((one) => one.sid === sid);
  expect(session.map(({ event, code }) => `${event} ${code}`)).toEqual([
    'db.session.start TDB00I',
    'db.session.query TDB02I',
    'db.session.result TDB10I',
    'db.session.postgres.statements.parse TPG00I',
    'db.session.postgres.statements.bind TPG01I',
    'db.session.postgres.statements.execute TPG02I',
    'db.session.result TDB10I',
    'db.session.end TDB01I',
  ]);
  expect(session[0]).toMatchObject({ user: 'alice', db_service: 'orders', db_user: 'analyst', db_name: 'dev' });
  expect(events.map(({ code }) => code)).toEqual(expect.arrayContaining(['T1000I', 'T1002I', 'TDB00W']));
});

test('the passwords that AWS made are in no log', () => {
  expect(cluster.aws!.aws.count('redshift:GetClusterCredentials')).toBeGreaterThan(0);
  expect(cluster.log()).not.toMatch(/DbPassword|password:[^*]/i);
});

test('db logout and logout leave nothing', async () => {
  expect((await cluster.tsh('alice', 'db', 'logout')).status).toBe(0);
  await Promise.all(Object.values(tunnels).map((one) => one.started.stop()));
  expect((await cluster.tsh('alice', 'logout')).status).toBe(0);
  const base = join(cluster.dir, 'alice', '.tsh');
  const left = existsSync(base) ? readdirSync(base, { recursive: true }).map(String) : [];
  expect(left.filter((name) => /alice|key|\.crt|\.pub|\.yaml/.test(name))).toEqual([]);
  expect((await cluster.tsh('alice', 'db', 'ls')).status).toBe(1);
});

const isFirst = (one: AuditRecord) => one.db_query === 'select 1 as first';
const isSecond = (one: AuditRecord) => one.query === 'select $1::int as second';
