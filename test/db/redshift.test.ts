/**
 * Sessions on Redshift and Redshift Serverless: which AWS call, which user, how often, and what is said when it fails.
 * Tests: src/dbserver/aws-login.ts
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { messageOf } from '../../src/errors.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { holdTable } from '../support/held-table.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from '../support/redshift-double.js';
import { role, startTestAgent, type TestAgent } from './agent.js';

let aws: AwsDouble;
let server: Postgres;
let redshift: RedshiftDouble;
let makeAgent: () => Promise<TestAgent>;
let agent: TestAgent;
let principal: Principal;
let clockMs = 0;
const environment: Record<string, string | undefined> = {};

beforeAll(async () => {
  aws = await startAwsDouble();
  principal = aws.addUser('agent');
  allow('redshift:GetClusterCredentials', 'sts:AssumeRole');
  const trust = {
    Statement: [{ Effect: 'Allow' as const, Principal: { AWS: principal.arn }, Action: 'sts:AssumeRole' }],
  };
  const may = (Action: string) => [{ Statement: [{ Effect: 'Allow' as const, Action, Resource: '*' }] }];
  aws.addRole('dba', { trust, policies: may('redshift:GetClusterCredentialsWithIAM') });
  aws.addRole('reporting', { trust, policies: may('redshift-serverless:GetCredentials') });
  aws.addRole('powerless', { trust });
  aws.addRedshiftCluster({ id: 'sales' });
  aws.addServerlessWorkgroup({ name: 'reports' });
  const ca = createTestCa('Amazon');
  server = await startPostgres({ users: [{ name: 'analyst' }] });
  const tls = ca.issue('localhost');
  redshift = await startRedshiftDouble({
    aws,
    postgres: server,
    clusters: [
      { id: 'sales', tls },
      { workgroup: 'reports', tls, passwordMethod: 'md5' },
    ],
  });
  for (const [name, value] of Object.entries(aws.env(principal))) {
    environment[name] = process.env[name];
    process.env[name] = value;
  }
  const database = (name: string, more: object) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: {} },
    spec: {
      protocol: 'postgres',
      uri: `localhost:${redshift.ports[name]}`,
      tls: { ca_cert: ca.certPem },
      aws: { region: aws.region, account_id: aws.accountId, ...more },
    },
  });
  makeAgent = () =>
    startTestAgent({
      databases: [
        database('sales', { redshift: { cluster_id: 'sales' } }),
        database('reports', { redshift_serverless: { workgroup_name: 'reports' } }),
      ],
      now: () => new Date(Date.now() + clockMs),
    });
});

afterAll(async () => {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await agent?.stop();
  await redshift?.stop();
  await server?.stop();
  await aws?.stop();
});

beforeEach(async () => {
  await agent?.stop();
  agent = await makeAgent();
  agent.roles = [role({})];
  redshift.logins.length = 0;
  aws.calls.length = 0;
  clockMs = 0;
  await agent.as({ serviceName: 'sales' });
});

function allow(...Action: string[]): void {
  aws.attachPolicy(principal, { Statement: [{ Effect: 'Allow', Action, Resource: '*' }] }, 'access');
}

const refusal = async (user: string): Promise<string> =>
  await agent.session({ user, database: 'dev' }).then(
    () => 'was let in',
    (error: unknown) => messageOf(error),
  );

describe('the way in', () => {
  test.each([
    { db: 'sales', user: 'analyst', inside: 'IAM:analyst', action: 'redshift:GetClusterCredentials' },
    { db: 'sales', user: 'role/dba', inside: 'IAMR:dba', action: 'redshift:GetClusterCredentialsWithIAM' },
    { db: 'reports', user: 'reporting', inside: 'IAMR:reporting', action: 'redshift-serverless:GetCredentials' },
    { db: 'reports', user: 'role/reporting', inside: 'IAMR:reporting', action: 'redshift-serverless:GetCredentials' },
    {
      db: 'sales',
      user: 'arn:aws:iam::123456789012:role/dba',
      inside: 'IAMR:dba',
      action: 'redshift:GetClusterCredentialsWithIAM',
    },
  ])('of $user into $db is $action, the audit log keeps $user', async ({ db, user, inside, action }) => {
    await agent.as({ serviceName: db });
    const session = await agent.session({ user, database: 'dev' });
    expect(await session.query('select 1')).toHaveLength(1);
    session.close();
    await agent.idle();
    expect(redshift.logins.map(({ parameters, outcome }) => [parameters.user, outcome])).toEqual([[inside, 'ok']]);
    expect(aws.count(action)).toBe(1);
    expect(agent.events.every((event) => event.db_user === user)).toBe(true);
    expect(JSON.stringify(agent.events)).not.toMatch(/password/i);
  });

  test('brings the parameters of Amazon’s drivers, sends the name of the server, and never clear text', async () => {
    const parameters: [string, string][] = [
      ['driver_version', 'JDBC 2.1'],
      ['application_name', 'x'],
    ];
    const session = await agent.session({ user: 'analyst', database: 'dev', parameters });
    expect(session.parameters.get('server_version')).toBe('8.0.2');
    session.close();
    expect(redshift.logins[0]).toMatchObject({ isTls: true, serverName: 'localhost' });
    expect(redshift.logins[0]!.parameters).toMatchObject({ driver_version: 'JDBC 2.1', database: 'dev' });
    expect(redshift.logins[0]!.parameters).not.toHaveProperty('application_name');
  });

  test('asks AWS once for ten connections at the same time', async () => {
    const sessions = await Promise.all(
      Array.from({ length: 10 }, () => agent.session({ user: 'analyst', database: 'dev' })),
    );
    for (const session of sessions) session.close();
    expect(aws.count('redshift:GetClusterCredentials')).toBe(1);
  });

  test('tries once more with a fresh password when a kept one is refused, and then no more', async () => {
    (await agent.session({ user: 'analyst', database: 'dev' })).close();
    redshift.failNext({ kind: 'error', sqlState: '28000', message: 'password authentication failed' });
    const session = await agent.session({ user: 'analyst', database: 'dev' });
    expect(await session.query('select 1')).toHaveLength(1);
    session.close();
    expect(aws.count('redshift:GetClusterCredentials')).toBe(2);
    redshift.failNext({ kind: 'error', sqlState: '28000', message: 'password authentication failed' }, 2);
    expect(await refusal('analyst')).toBe('password authentication failed');
    expect(redshift.logins.map(({ outcome }) => outcome)).toEqual(['ok', 'refused', 'ok', 'refused', 'refused']);
  });

  test('of a cancel request asks AWS for nothing', async () => {
    await agent.as({ serviceName: 'sales', username: 'analyst' });
    const session = await agent.session({ user: 'analyst', database: 'dev' });
    const { pid, secret } = session.backendKey!;
    await using held = await holdTable(server);
    const running = session.query(held.sql);
    running.catch(() => {});
    await held.awaited();
    const before = aws.calls.length;
    const { encodeFirst } = await import('../../src/pg/startup.js');
    const socket = await agent.socket();
    socket.end(encodeFirst({ type: 'CancelRequest', pid, secret }));
    await expect(running).rejects.toMatchObject({ sqlState: '57014' });
    expect(aws.calls.length).toBe(before);
    session.close();
    socket.destroy();
  });
});

describe('a refusal by AWS', () => {
  test('of the agent names the policy that is missing', async () => {
    allow('sts:AssumeRole');
    const text = await refusal('analyst');
    allow('redshift:GetClusterCredentials', 'sts:AssumeRole');
    expect(text).toMatch(/^Could not generate Redshift IAM auth token:\n\n {2}.*not authorized/);
    expect(text).toContain('"redshift:GetClusterCredentials"');
    expect(text).toContain(`arn:aws:redshift:${aws.region}:${aws.accountId}:dbuser:sales/*`);
  });

  test('to assume the role names the trust that is missing', async () => {
    expect(await refusal('role/missing')).toMatch(
      /^Could not generate Redshift IAM role auth token:[\s\S]*Make sure that IAM role ".*role\/missing" has a trust relationship/,
    );
  });

  test('of the role names the permission that it lacks', async () => {
    expect(await refusal('role/powerless')).toMatch(
      /^Could not generate Redshift IAM role auth token:[\s\S]*Make sure that IAM role ".*role\/powerless" has permissions to generate credentials/,
    );
    await agent.as({ serviceName: 'reports' });
    expect(await refusal('powerless')).toMatch(/^Could not generate Redshift Serverless auth token:/);
    expect(await refusal('IAM:somebody')).toContain('expecting name or ARN of an AWS IAM role but got IAM:somebody');
  });
});
