/**
 * Passwords and time: what an agent does that runs for days, and when a password dies too early. One clock for all.
 * Tests: src/aws/credential-cache.ts, src/dbserver/aws-login.ts
 */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { messageOf } from '../../src/errors.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from '../support/redshift-double.js';
import { role, startTestAgent, type TestAgent } from './agent.js';

const HOUR = 3_600_000;
const before = { ...process.env };
let clockMs = 0;
const now = () => Date.now() + clockMs;
let aws: AwsDouble;
let server: Postgres;
let redshift: RedshiftDouble;
let agent: TestAgent;
let databases: object[];

beforeAll(async () => {
  aws = await startAwsDouble({ now });
  const user = aws.addUser('agent', {
    policies: [{ Statement: { Effect: 'Allow', Action: 'redshift:*', Resource: '*' } }],
  });
  process.env = { ...before, ...aws.env(user) };
  aws.addRedshiftCluster({ id: 'sales' });
  const ca = createTestCa('Amazon');
  server = await startPostgres({ users: [{ name: 'analyst' }] });
  redshift = await startRedshiftDouble({
    aws,
    postgres: server,
    clusters: [{ id: 'sales', tls: ca.issue('localhost') }],
  });
  databases = [
    {
      kind: 'db',
      version: 'v3',
      metadata: { name: 'sales', labels: {} },
      spec: {
        protocol: 'postgres',
        uri: `localhost:${redshift.port}`,
        tls: { ca_cert: ca.certPem },
        aws: { region: aws.region, account_id: aws.accountId, redshift: { cluster_id: 'sales' } },
      },
    },
  ];
});

afterAll(async () => {
  process.env = before;
  await agent?.stop();
  await redshift?.stop();
  await server?.stop();
  await aws?.stop();
});

beforeEach(async () => {
  await agent?.stop();
  agent = await startTestAgent({ databases, now: () => new Date(now()) });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'sales' });
  aws.setClockSkewMs(0);
  aws.calls.length = 0;
  redshift.logins.length = 0;
});

const enter = () => agent.session({ user: 'analyst', database: 'dev' });
/** Passwords that AWS made; refused signatures of a clock that has just jumped are none. */
const made = () => aws.calls.filter(({ status }) => status === 200).length;

test('a session goes on long after its password is over, and after days new ones come in', async () => {
  const long = await enter();
  for (const waitMs of [HOUR, 24 * HOUR, 72 * HOUR]) {
    clockMs += waitMs;
    expect(await long.query('select 1')).toHaveLength(1);
    await agent.as({ serviceName: 'sales' });
    const another = await enter();
    expect(await another.query('select 1')).toHaveLength(1);
    another.close();
  }
  long.close();
  expect(made()).toBe(4);
  expect(redshift.logins.map(({ outcome }) => outcome)).toEqual(['ok', 'ok', 'ok', 'ok']);
});

test('a password that dies between minting and use is replaced once, also for ten connections at a time', async () => {
  (await enter()).close();
  // For AWS and the cluster half an hour passes, for the agent none: what it keeps is over.
  aws.setClockSkewMs(HOUR / 2);
  const sessions = await Promise.all(Array.from({ length: 10 }, enter));
  for (const session of sessions) session.close();
  expect(made()).toBe(2);
  const outcomes = redshift.logins.map(({ outcome, why }) => why ?? outcome);
  expect(outcomes.filter((one) => one === 'ok')).toHaveLength(11);
  expect(new Set(outcomes)).toEqual(new Set(['ok', 'password expired']));
  (await enter()).close();
  expect(made()).toBe(2); // by AWS's clock the new one has 15 minutes
});

test('a fresh password that is refused is not asked for again', async () => {
  redshift.failNext({ kind: 'error', sqlState: '28000', message: 'user is locked' });
  await expect(enter()).rejects.toThrow('user is locked');
  expect(made()).toBe(1);
  expect(redshift.logins).toHaveLength(1);
});

test('an error in the middle of the login reaches the client as the cluster said it, without another try', async () => {
  (await enter()).close();
  redshift.failNext({ kind: 'error', sqlState: '53300', message: 'connection limit "500" exceeded' });
  const error = await enter().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ sqlState: '53300', message: 'connection limit "500" exceeded' });
  expect(redshift.logins).toHaveLength(2);
  redshift.failNext({ kind: 'drop' });
  const dropped = messageOf(await enter().catch((reason: unknown) => reason));
  expect(dropped).toMatch(/^the login to localhost:\d+ did not end: /);
  expect(made()).toBe(1);
  (await enter()).close();
});
