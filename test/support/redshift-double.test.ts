import { connect as connectTcp } from 'node:net';
import { GetClusterCredentialsCommand, RedshiftClient } from '@aws-sdk/client-redshift';
import { GetCredentialsCommand, RedshiftServerlessClient } from '@aws-sdk/client-redshift-serverless';
import pg from 'pg';
import { type AwsDouble, startAwsDouble } from './aws-double.js';
import { createTestCa, type TestCa } from './ca.js';
import { holdTable } from './held-table.js';
import { type Postgres, startPostgres } from './postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from './redshift-double.js';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

let aws: AwsDouble;
let postgres: Postgres;
let redshift: RedshiftDouble;
let ca: TestCa;
let now = Date.now();

beforeAll(async () => {
  ca = createTestCa();
  [aws, postgres] = await Promise.all([
    startAwsDouble({ now: () => now }),
    startPostgres({ users: [{ name: 'bob' }, { name: 'boss', superuser: true }] }),
  ]);
  const tls = ca.issue('localhost');
  redshift = await startRedshiftDouble({
    aws,
    postgres,
    clusters: [
      { id: 'sales', tls, databases: ['dev', 'other'] },
      { workgroup: 'wg1', tls, passwordMethod: 'md5' },
    ],
  });
  aws.addRedshiftCluster({ id: 'sales' });
  aws.addServerlessWorkgroup({ name: 'wg1' });
});
afterAll(async () => {
  await redshift?.stop();
  await Promise.all([postgres?.stop(), aws?.stop()]);
});
beforeEach(() => {
  now = Date.now();
});

const anything = { Statement: { Effect: 'Allow' as const, Action: '*', Resource: '*' } };

async function credentials(options: { DbUser: string; DbName?: string; AutoCreate?: boolean }) {
  const alice = aws.addUser('alice', { policies: [anything] });
  const client = new RedshiftClient({ endpoint: aws.url, region: aws.region, credentials: aws.accessKeyFor(alice) });
  const made = await client.send(new GetClusterCredentialsCommand({ ClusterIdentifier: 'sales', ...options }));
  return { user: made.DbUser!, password: made.DbPassword! };
}

type Login = { user: string; password: string; database?: string };

async function enter(login: Login, more: Record<string, unknown> = {}) {
  const client = new pg.Client({
    host: 'localhost',
    port: redshift.ports.sales!,
    database: 'dev',
    ssl: { ca: ca.certPem, rejectUnauthorized: true },
    ...login,
    ...more,
  } as pg.ClientConfig);
  client.on('error', () => {});
  await client.connect();
  return client;
}

test('the password that AWS made lets its user in, and the server says 8.0.2 and Redshift', async () => {
  const client = await enter(await credentials({ DbUser: 'bob', DbName: 'dev' }));
  const { rows } = await client.query('select current_user as user, version() as version');
  expect(rows[0]).toMatchObject({ user: 'bob', version: expect.stringContaining('Redshift 1.0.') });
  expect((await client.query('select user_name from stv_sessions')).rows).toEqual([{ user_name: 'IAM:bob' }]);
  expect(redshift.sessions()).toMatchObject([{ user: 'IAM:bob', database: 'dev' }]);
  expect(redshift.logins.at(-1)).toMatchObject({ outcome: 'ok', isTls: true, parameters: { user: 'IAM:bob' } });
  await client.end();
});

test('a wrong or expired password, another database and clear text are refused', async () => {
  const login = await credentials({ DbUser: 'bob', DbName: 'dev' });
  const refused = { code: '28000', message: 'password authentication failed for user "IAM:bob"' };
  await expect(enter({ ...login, password: 'x' })).rejects.toMatchObject(refused);
  await expect(enter({ ...login, database: 'other' })).rejects.toMatchObject(refused);
  await expect(enter(login, { ssl: false })).rejects.toMatchObject({ code: '28000' });
  now += 3_600_000;
  await expect(enter(login)).rejects.toMatchObject(refused);
  expect(redshift.logins.at(-1)?.why).toBe('password expired');
});

test('a missing user is made only when AutoCreate was asked for', async () => {
  await expect(enter(await credentials({ DbUser: 'carol' }))).rejects.toMatchObject({ code: '28000' });
  const client = await enter(await credentials({ DbUser: 'carol', AutoCreate: true }));
  expect((await client.query('select current_user as user')).rows).toEqual([{ user: 'carol' }]);
  await client.end();
});

test('a role becomes the database user IAMR:name in a workgroup, by MD5', async () => {
  const role = aws.addRole('reader', { policies: [anything] });
  const keys = { endpoint: aws.url, region: aws.region, credentials: aws.accessKeyFor(role) };
  const made = await new RedshiftServerlessClient(keys).send(new GetCredentialsCommand({ workgroupName: 'wg1' }));
  const client = await enter({ user: made.dbUser!, password: made.dbPassword! }, { port: redshift.ports.wg1 });
  expect((await client.query('select current_user as user')).rows).toEqual([{ user: 'IAMR:reader' }]);
  await client.query('create table of_mine (a int)');
  await client.end();
});

test("Redshift's own words for users and roles work", async () => {
  const client = await enter(await credentials({ DbUser: 'boss' }));
  await client.query('create role analysts');
  await client.query('CREATE USER "dave" WITH PASSWORD DISABLE CONNECTION LIMIT UNLIMITED');
  await client.query('GRANT ROLE "analysts" TO "dave"');
  const { rows } = await client.query('select role_name from svv_user_grants where user_name = $1', ['dave']);
  expect(rows).toEqual([{ role_name: 'analysts' }]);
  await client.end();
});

test('a statement that Redshift does not have is a syntax error, whole, in both protocols', async () => {
  const client = await enter(await credentials({ DbUser: 'boss' }));
  redshift.refusals.length = 0;
  await client.query('create table kept (a int)');
  await client.query('begin');
  const refused = { code: '42601', message: 'syntax error at or near "savepoint"' };
  await expect(client.query('insert into kept values (1); savepoint a')).rejects.toMatchObject(refused);
  await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' });
  await client.query('rollback');
  expect((await client.query('select * from kept')).rows).toEqual([]);
  const prepared = { text: 'insert into kept values ($1) returning a', values: [1] };
  await expect(client.query(prepared)).rejects.toMatchObject({ message: 'syntax error at or near "returning"' });
  await expect(client.query('create user zoe')).rejects.toMatchObject({ message: 'syntax error at end of input' });
  expect(redshift.refusals).toMatchObject([
    { near: { text: 'savepoint' } },
    { near: { text: 'returning' }, sql: prepared.text },
    { near: undefined, page: 'r_CREATE_USER' },
  ]);
  await client.query('drop table kept');
  await client.end();
});

test('locks by advice and sleep are functions that are not there', async () => {
  const client = await enter(await credentials({ DbUser: 'bob' }));
  redshift.refusals.length = 0;
  const missing = (text: string) => ({ code: '42883', message: `function redshift_catalog.${text} does not exist` });
  await expect(client.query('select pg_advisory_lock(1)')).rejects.toMatchObject(missing('pg_advisory_lock(integer)'));
  await expect(client.query('select pg_sleep($1)', [1])).rejects.toMatchObject(missing('pg_sleep(unknown)'));
  expect(redshift.refusals.map(({ near }) => near?.text)).toEqual(['pg_advisory_lock', 'pg_sleep']);
  await client.end();
});

test('names become lower case, but not those of users, and none where the session asks for it', async () => {
  const client = await enter(await credentials({ DbUser: 'boss' }));
  await client.query('create table "MixedCase" ("Column" int)');
  await expect(client.query('create table mixedcase (a int)')).rejects.toMatchObject({ code: '42P07' });
  expect((await client.query('select "COLUMN" from "mixedCASE"')).fields.map(({ name }) => name)).toEqual(['column']);
  await client.query('create user "Dora" with password disable');
  expect(await postgres.query("select rolname from pg_roles where rolname ilike 'dora'")).toEqual([
    { rolname: 'Dora' },
  ]);
  await client.query('drop user "Dora"');

  expect((await client.query('show enable_case_sensitive_identifier')).rows).toHaveLength(1);
  await client.query('set enable_case_sensitive_identifier to true');
  await client.query('create table "MixedCase" ("Column" int)');
  expect((await client.query('select * from "MixedCase"')).fields.map(({ name }) => name)).toEqual(['Column']);
  await client.query('drop table "MixedCase"');
  await client.query('reset enable_case_sensitive_identifier');
  await client.query('drop table "MixedCase"');
  await expect(client.query('select * from "MixedCase"')).rejects.toMatchObject({
    message: 'relation "mixedcase" does not exist',
  });
  await client.end();
});

test('a running statement can be cancelled', async () => {
  const client = await enter(await credentials({ DbUser: 'bob' }));
  const { rows } = await client.query('select pg_backend_pid() as pid');
  await using held = await holdTable(postgres);
  const running = client.query(held.sql);
  const key = client as unknown as { processID: number; secretKey: number };
  expect(key.processID).toBe(rows[0].pid);
  await held.awaited();
  const packet = Buffer.alloc(16);
  [16, 80_877_102, key.processID, key.secretKey].forEach((value, index) => {
    packet.writeInt32BE(value, index * 4);
  });
  connectTcp(redshift.ports.sales!, 'localhost').end(packet).resume();
  await expect(running).rejects.toMatchObject({ code: '57014' });
  expect(redshift.cancels()).toBe(1);
  await client.end();
});

test('failures come as planned', async () => {
  const login = await credentials({ DbUser: 'bob' });
  redshift.failNext({ kind: 'refuse' });
  await expect(enter(login)).rejects.toThrow();
  redshift.failNext({ kind: 'error', sqlState: '53300', message: 'too many' });
  await expect(enter(login)).rejects.toMatchObject({ code: '53300' });
  redshift.failNext({ kind: 'drop' });
  await expect(enter(login)).rejects.toThrow(/terminated|ended|closed|reset/i);
  redshift.failNext({ kind: 'certificate', tls: createTestCa('Other').issue('localhost') });
  await expect(enter(login)).rejects.toThrow(/certificate|signature/i);
  redshift.failNext({ kind: 'silent' });
  await expect(enter(login, { connectionTimeoutMillis: 50 })).rejects.toThrow(/timeout/);
  const client = await enter(login);
  const broken = new Promise((resolve) => client.once('error', resolve));
  redshift.dropSessions();
  await broken;
});
