/**
 * Amazon's own Python driver: with IAM logins of its own straight to the doubles, through our local proxies, and through
 * the Database Service. It must see the same each time, and the server must see the same driver.
 */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runTsh } from '../../src/tsh/main.js';
import { role, startTestAgent } from '../db/agent.js';
import { type AwsDirect, SALES_HOST, startAwsDirect } from '../support/aws-direct.js';
import { createTestCa } from '../support/ca.js';
import { until } from '../support/until.js';
import { type DriverStep, driver } from './programs.js';

let world: AwsDirect;
beforeAll(async () => {
  world = await startAwsDirect();
  await world.postgres.query('create role readers');
  await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`);
}, 40_000);
afterAll(() => world?.stop());
beforeEach(() => {
  world.aws.calls.length = 0;
  world.redshift.logins.length = 0;
});

const see = (how: Record<string, unknown>, steps: readonly DriverStep[]) => {
  // The driver trusts the authorities of this file beside the ones that it brings.
  const vars = { PATH: process.env.PATH, HOME: world.dir, SSL_CERT_FILE: world.caFile, ...world.vars };
  return driver({ database: 'dev', ...how }, steps, vars);
};
const own = () => ({
  iam: true,
  cluster_identifier: 'sales',
  region: world.aws.region,
  db_user: 'analyst',
  sslmode: 'verify-full',
});
const local = (port: number) => ({ host: '127.0.0.1', port, user: 'analyst', password: '', ssl: false });
const WHO: DriverStep[] = [['execute', 'select current_user, current_database()']];
const calls = () => world.aws.calls.map(({ action }) => action);

/** `tsh proxy db` with alice's own rights; its port is told by `text`. */
async function proxy(...args: string[]) {
  const env = world.envOf({ input: '' });
  const ended = runTsh(['proxy', 'db', ...args, '--db-name=dev'], env);
  const failed = ended.then(() => Promise.reject(new Error(`proxy db did not start: ${env.out()}${env.err()}`)));
  failed.catch(() => {}); // its end after the start
  await Promise.race([env.untilOut(/psql \S+\n|target database name/), failed]);
  return {
    port: Number(/127\.0\.0\.1:(\d+)/.exec(env.out())![1]),
    text: env.out(),
    async [Symbol.asyncDispose]() {
      env.interrupt('SIGTERM');
      await ended;
    },
  };
}

/** The Database Service, entered without Proxy and tsh. */
async function databaseService() {
  const sales = {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'sales', labels: {} },
    spec: {
      protocol: 'postgres',
      uri: `localhost:${world.redshift.ports.sales}`,
      tls: { ca_cert: await readFile(world.caFile, 'utf8') },
      aws: { region: world.aws.region, account_id: world.aws.accountId, redshift: { cluster_id: 'sales' } },
    },
  };
  const agent = await startTestAgent({ databases: [sales] });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'sales' });
  return { port: agent.port, [Symbol.asyncDispose]: () => agent.stop() };
}

describe('its own IAM login', () => {
  test.each([
    ['a database user', {}, 'redshift:GetClusterCredentials', 'analyst'],
    [
      'a new user in a group',
      { db_user: 'newbie', auto_create: true, db_groups: ['readers'] },
      'redshift:GetClusterCredentials',
      'newbie',
    ],
    [
      'the IAM identity itself',
      { db_user: undefined, group_federation: true },
      'redshift:GetClusterCredentialsWithIAM',
      'IAM:alice',
    ],
    [
      'a workgroup',
      { db_user: undefined, cluster_identifier: undefined, is_serverless: true, serverless_work_group: 'reports' },
      'redshift-serverless:GetCredentials',
      'IAM:alice',
    ],
  ])('%s', async (_, how, action, user) => {
    const { results, error } = await see({ ...own(), ...how }, WHO);
    expect(error).toBeNull();
    expect(results).toEqual([expect.objectContaining({ rows: [[`str ${user}`, 'str dev']] })]);
    expect(calls()).toContain(action);
    expect(world.redshift.logins).toEqual([expect.objectContaining({ outcome: 'ok', isTls: true })]);
  });

  test('a custom domain name is asked for, and verified', async () => {
    world.aws.addCustomDomain('sales.example.com', { clusterId: 'sales' });
    const how = {
      ...own(),
      cluster_identifier: undefined,
      host: 'sales.example.com',
      port: world.redshift.ports.sales,
    };
    const { error } = await see(how, WHO);
    // The certificate of the double has no such name: that is as far as one gets.
    expect(error?.text).toMatch(/sales\.example\.com/);
    expect(calls()).toEqual(['redshift:DescribeCustomDomainAssociations', 'redshift:GetClusterCredentials']);
  });

  test('what IAM denies, and a certificate of another name', async () => {
    const deny = { Effect: 'Deny' as const, Action: 'redshift:GetClusterCredentials', Resource: '*' };
    world.aws.attachPolicy(world.person, { Statement: [deny] }, 'no');
    const { error } = await see(own(), WHO);
    world.aws.attachPolicy(world.person, { Statement: [] }, 'no');
    expect(error?.text).toMatch(
      /\(AccessDenied\) when calling the GetClusterCredentials operation: User: arn:aws:iam::123456789012:user\/alice is not authorized/,
    );
    const tls = createTestCa('Other').issue('other.example.com');
    world.redshift.failNext({ kind: 'certificate', tls });
    expect((await see(own(), WHO)).error?.text).toMatch(/certificate/);
  });
});

/** A session as drivers lead it: types, prepared statements used again, transactions, much data, errors in between. */
const SESSION: DriverStep[] = [
  ...WHO,
  [
    'execute',
    "select 1::smallint, 2::int, 3::bigint, 1.5::real, 2.5::float8, 1.50::numeric(5,2), true, null, ''::text",
  ],
  ['execute', "select 'é€𝄞'::varchar, 'x'::char(3), '2026-01-02'::date, '03:04:05'::time"],
  ['execute', "select '2026-01-02 03:04:05.678'::timestamp, '2026-01-02 03:04:05+02'::timestamptz"],
  ['execute', 'select %s::int + 1, %s::varchar', [41, "quote ' and % sign"]],
  ['execute', 'select %s::int + 1, %s::varchar', [42, null]],
  ['execute', 'create temporary table t (a int, b varchar(20))'],
  [
    'many',
    'insert into t values (%s, %s)',
    [
      [1, 'one'],
      [2, 'two'],
      [3, null],
    ],
  ],
  ['commit'],
  ['execute', 'insert into t values (4, %s)', ['never']],
  ['rollback'],
  ['execute', 'select * from t order by a'],
  ['execute', "select i, repeat('x', 500) from generate_series(1, 20000) i"],
  ['execute', 'select * from there_is_no_such_table'],
  ['execute', 'select 1 / 0'],
  ['execute', "copy t from 's3://bucket/key' iam_role 'arn:aws:iam::123456789012:role/loader' format as parquet"],
  ['execute', "unload ('select * from t') to 's3://bucket/out' iam_role default parallel off"],
  ['execute', 'grant role nobody to analyst'],
  ['autocommit', true],
  ['execute', "select version(), 'still here'"],
];

describe('beside us', () => {
  test('the local tunnel and the Database Service are not noticed', async () => {
    const straight = await see(own(), SESSION);
    expect(straight.error).toBeNull();
    const [, types] = straight.results as { rows: unknown[][] }[];
    expect(types?.rows[0]).toEqual([1, 2, 3, 'float 1.5', 'float 2.5', 'Decimal 1.50', true, null, 'str ']);
    const codes = straight.results.flatMap((one) => (one as { fields?: { C: string } } | null)?.fields?.C ?? []);
    expect(codes).toEqual(['42P01', '22012', '42601', '42601', '42704']);

    await using tunnel = await proxy('sales', '--tunnel', '--db-user=analyst');
    expect(await see(local(tunnel.port), SESSION)).toEqual(straight);
    await using service = await databaseService();
    expect(await see(local(service.port), SESSION)).toEqual(straight);

    const sent = world.redshift.logins.map(({ parameters: { user, application_name, ...rest } }) => rest);
    expect(Object.keys(sent[0]!)).toEqual(
      expect.arrayContaining(['client_protocol_version', 'driver_version', 'os_version', 'driver_discovery_version']),
    );
    // The Database Service keeps the application's name for its audit log.
    expect(sent).toEqual([sent[0], sent[0], sent[0]]);
    expect(world.redshift.logins[1]!.parameters.application_name).toBe('__main__');
  }, 60_000);

  test('a workgroup through the tunnel, and sessions that end with their connection', async () => {
    await using tunnel = await proxy('reports', '--tunnel');
    const how = { ...local(tunnel.port), user: 'IAM:alice' };
    const { results } = await see(how, WHO);
    expect(results).toEqual([expect.objectContaining({ rows: [['str IAM:alice', 'str dev']] })]);
    await until('no session is left', () => world.redshift.sessions().length === 0 || undefined);
  });

  test('plain `tsh proxy db`: the driver speaks TLS to Redshift itself and verifies its name', async () => {
    await using plain = await proxy('sales', '--db-user=analyst');
    const passFile = /pass_file=(.+)/.exec(plain.text)![1]!;
    const [first] = (await readFile(passFile, 'utf8')).split('\n');
    const [, , , user, password] = first!.split(/(?<!\\):/);
    const unescaped = (text: string) => text.replace(/\\(.)/g, '$1');
    const how = { host: SALES_HOST, port: plain.port, user: unescaped(user!), password: unescaped(password!) };
    const { results, error } = await see({ ...how, sslmode: 'verify-full' }, WHO);
    expect(error).toBeNull();
    expect(results).toEqual([expect.objectContaining({ rows: [['str analyst', 'str dev']] })]);
    expect(world.redshift.logins.at(-1)).toMatchObject({ isTls: true, serverName: SALES_HOST });
  });

  test('what the database refuses reaches the driver', async () => {
    await using tunnel = await proxy('sales', '--tunnel', '--db-user=analyst');
    const { error } = await see({ ...local(tunnel.port), database: 'nope' }, WHO);
    expect(error?.text).toMatch(/database "nope" does not exist/);
  });
});
