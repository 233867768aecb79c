/**
 * What the Database Service does in IAM: which roles it takes, with what, and what it says when a statement is
 * missing. A
 * refusal here has a true reason, and the JSON that it prints is pasted into the double, which then lets the session
 * in.
 * Tests: src/aws/credentials.ts, src/dbserver/aws-login.ts
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { messageOf } from '../../src/errors.js';
import { isServerError } from '../../src/pg/server-error.js';
import type { Cluster, Principal } from '../support/aws/world.js';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';
import { createTestCa, type TestCa } from '../support/ca.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from '../support/redshift-double.js';
import { role, startTestAgent, type TestAgent } from './agent.js';

const HOME = '111111111111';
const OTHER = '222222222222';
const bridgeArn = `arn:aws:iam::${OTHER}:role/bridge`;

let aws: AwsDouble;
let server: Postgres;
let redshift: RedshiftDouble;
let ca: TestCa;
let agent: TestAgent;
let principal: Principal;
let clockMs = 0;
let cluster: Cluster;
const roles: Record<string, Principal> = {};
const before = { ...process.env };

const may = (Action: string | string[], Resource: string | string[] = '*'): PolicyDocument => ({
  Statement: [{ Effect: 'Allow', Action, Resource }],
});
const trusts = (AWS: string, more: object = {}): PolicyDocument => ({
  Statement: [{ Effect: 'Allow', Principal: { AWS }, Action: ['sts:AssumeRole', 'sts:TagSession'], ...more }],
});

beforeAll(async () => {
  aws = await startAwsDouble({ accountId: HOME });
  principal = aws.addUser('agent');
  const account = { accountId: OTHER };
  roles.bridge = aws.addRole('bridge', account);
  roles.analyst = aws.addRole('analyst', account);
  roles.local = aws.addRole('local');
  cluster = aws.addRedshiftCluster({ id: 'sales', ...account });
  aws.addServerlessWorkgroup({ name: 'reports', ...account });
  aws.addRedshiftCluster({ id: 'here' });
  ca = createTestCa('Amazon');
  server = await startPostgres({ users: [{ name: 'reader' }] });
  const tls = ca.issue('localhost');
  const clusters = [
    { id: 'sales', tls },
    { workgroup: 'reports', tls },
    { id: 'here', tls },
  ];
  redshift = await startRedshiftDouble({ aws, postgres: server, clusters });
});

afterAll(async () => {
  process.env = before;
  await agent?.stop();
  await redshift?.stop();
  await server?.stop();
  await aws?.stop();
});

/** Everything as it should be; each test takes one thing away. */
beforeEach(async () => {
  process.env = { ...before, ...aws.env(principal) };
  cluster.status = 'available';
  const all = ['redshift:GetClusterCredentials', 'redshift:GetClusterCredentialsWithIAM'];
  const iam = [...all, 'redshift-serverless:GetCredentials', 'redshift:DescribeClusters'];
  aws.attachPolicy(principal, may(['sts:AssumeRole', 'sts:TagSession', ...iam]), 'access');
  aws.attachPolicy(roles.bridge!, may(['sts:AssumeRole', 'sts:TagSession', ...iam]), 'access');
  for (const name of ['analyst', 'local']) aws.attachPolicy(roles[name]!, may(iam), 'access');
  aws.setTrust(roles.bridge!, trusts(principal.arn, { Condition: { StringEquals: { 'sts:ExternalId': 'e1' } } }));
  aws.setTrust(roles.analyst!, trusts(bridgeArn));
  aws.setTrust(roles.local!, trusts(principal.arn));
  await agent?.stop();
  const place = { assume_role_arn: bridgeArn, external_id: 'e1', account_id: OTHER };
  agent = await startTestAgent({
    databases: [
      database('sales', { ...place, redshift: { cluster_id: 'sales' } }),
      database('reports', { ...place, redshift_serverless: { workgroup_name: 'reports' } }),
      database('here', { redshift: { cluster_id: 'here' } }),
      database('tagged', { redshift: { cluster_id: 'here' }, session_tags: { team: 'data' } }, 'here'),
    ],
    now: () => new Date(Date.now() + clockMs),
  });
  agent.roles = [role({})];
  aws.calls.length = 0;
  redshift.logins.length = 0;
});

function database(name: string, more: object, port = name) {
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: {} },
    spec: {
      protocol: 'postgres',
      uri: `localhost:${redshift.ports[port]}`,
      tls: { ca_cert: ca.certPem },
      aws: { region: aws.region, ...more },
    },
  };
}

async function enter(db: string, user: string): Promise<string> {
  await agent.as({ serviceName: db });
  const session = await agent.session({ user, database: 'dev' });
  const [answer] = await session.query('select current_user');
  session.close();
  return String(answer?.rows[0]?.[0]);
}

const refusal = (db: string, user: string) =>
  enter(db, user).then(
    () => ({ message: 'was let in', hint: '' }),
    (error: unknown) => ({
      message: messageOf(error),
      hint: isServerError(error) ? (new Map(error.fields).get('H') ?? '') : '',
    }),
  );

/** The policies that a message shows, in order. */
const shown = (message: string): PolicyDocument[] =>
  [...message.matchAll(/^\{$[\s\S]*?^\}$/gm)].map(([json]) => JSON.parse(json));

const assumed = () =>
  aws.calls
    .filter(({ action }) => action === 'sts:AssumeRole')
    .map(({ params }) => [String(params.RoleArn).replace(/.*:/, ''), params.ExternalId]);

describe('the roles on the way', () => {
  test.each([
    ['sales', 'reader', 'reader', [['role/bridge', 'e1']]],
    [
      'sales',
      'role/analyst',
      'IAMR:analyst',
      [
        ['role/bridge', 'e1'],
        ['role/analyst', undefined],
      ],
    ],
    [
      'sales',
      `arn:aws:iam::${OTHER}:role/analyst`,
      'IAMR:analyst',
      [
        ['role/bridge', 'e1'],
        ['role/analyst', undefined],
      ],
    ],
    [
      'reports',
      'analyst',
      'IAMR:analyst',
      [
        ['role/bridge', 'e1'],
        ['role/analyst', undefined],
      ],
    ],
    [
      'reports',
      `arn:aws:iam::${OTHER}:role/analyst`,
      'IAMR:analyst',
      [
        ['role/bridge', 'e1'],
        ['role/analyst', undefined],
      ],
    ],
    // No account is configured: the agent's own.
    ['here', 'role/local', 'IAMR:local', [['role/local', undefined]]],
  ])('to %s as %s: %s inside, external_id once', async (db, user, inside, chain) => {
    expect(await enter(db, user)).toBe(inside);
    expect(assumed()).toEqual(chain);
  });

  test('end in a session of the person, so that each of them has a password of their own', async () => {
    await enter('sales', 'role/analyst');
    const names = aws.calls
      .filter(({ action }) => action === 'sts:AssumeRole')
      .map(({ params }) => String(params.RoleSessionName));
    expect(names).toEqual([expect.stringMatching(/^teleshift-\d+$/), 'alice']);
    const [call] = aws.calls.filter(({ action }) => action === 'redshift:GetClusterCredentialsWithIAM');
    expect(call?.caller).toBe(`arn:aws:sts::${OTHER}:assumed-role/analyst/alice`);
  });

  test('carry the session tags on the last of them, which the agent must be allowed to give', async () => {
    expect(await enter('tagged', 'role/local')).toBe('IAMR:local');
    const [call] = aws.calls.filter(({ action }) => action === 'sts:AssumeRole');
    expect(call?.params).toMatchObject({ 'Tags.member.1.Key': 'team', 'Tags.member.1.Value': 'data' });
    aws.attachPolicy(principal, may('sts:AssumeRole'), 'access');
    aws.setTrust(roles.local!, trusts(HOME));
    const { message } = await refusal('tagged', 'arn:aws:iam::111111111111:role/local');
    expect(message).toContain('is not authorized to perform: sts:TagSession on resource');
    const [trust, policy] = shown(message);
    aws.setTrust(roles.local!, trust!);
    aws.attachPolicy(principal, policy!, 'access');
    expect(await enter('tagged', 'role/local')).toBe('IAMR:local');
  });
});

describe('a statement that is missing is printed ready to paste:', () => {
  /** Pastes what the message shows, except the placeholder that only the administrator can fill. */
  const paste = (message: string, target: { trust?: Principal; policy: Principal }) => {
    const json = message.replaceAll('{external_id}', 'e1');
    const documents = shown(json);
    if (target.trust) aws.setTrust(target.trust, documents.shift()!);
    aws.attachPolicy(target.policy, documents.shift()!, 'pasted');
    expect(documents).toEqual([]);
    clockMs += 1_000; // a denial is repeated for a second
  };

  test('the agent may not take the role of the database', async () => {
    aws.attachPolicy(principal, may('iam:GetRole'), 'access');
    aws.setTrust(roles.bridge!, trusts('arn:aws:iam::111111111111:role/somebody'));
    const { message } = await refusal('sales', 'reader');
    expect(message).toMatch(
      /^Could not generate Redshift IAM auth token:\n\n {2}AccessDenied: User: arn:aws:iam::111111111111:user\/agent is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role\/bridge\n\nMake sure that IAM role "arn:aws:iam::222222222222:role\/bridge" has a trust relationship with Teleport database agent's IAM identity\.\n/,
    );
    expect(message).not.toContain('e1');
    paste(message, { trust: roles.bridge!, policy: principal });
    expect(await enter('sales', 'reader')).toBe('reader');
  });

  test('the role of the database may not take the role of the user', async () => {
    aws.attachPolicy(roles.bridge!, may('iam:GetRole'), 'access');
    aws.setTrust(roles.analyst!, trusts(`arn:aws:iam::${OTHER}:role/somebody`));
    const { message } = await refusal('reports', 'analyst');
    expect(message).toContain(`User: arn:aws:sts::${OTHER}:assumed-role/bridge/teleshift-`);
    expect(message).toContain(`Make sure that IAM role "arn:aws:iam::${OTHER}:role/analyst" has a trust relationship`);
    expect(message).toContain(`\n${bridgeArn} needs, unless both are in one account`);
    paste(message, { trust: roles.analyst!, policy: roles.bridge! });
    expect(await enter('reports', 'analyst')).toBe('IAMR:analyst');
  });

  test.each([
    ['here', 'reader', () => principal],
    ['here', 'role/local', () => roles.local!],
  ])('%s as %s: AWS gives no password', async (db, user, whose) => {
    aws.attachPolicy(whose(), may('sts:AssumeRole'), 'access');
    const { message } = await refusal(db, user);
    // The account was not configured: everything else is there.
    paste(message.replaceAll('{account_id}', HOME), { policy: whose() });
    await enter(db, user);
  });

  test('the workgroup may not be entered by the role', async () => {
    aws.attachPolicy(roles.analyst!, may('sts:AssumeRole'), 'access');
    const { message } = await refusal('reports', 'analyst');
    paste(message.replace('{workgroup_id}', '*'), { policy: roles.analyst! });
    expect(await enter('reports', 'analyst')).toBe('IAMR:analyst');
  });
});

describe('what the troubleshooting pages describe', () => {
  test('no credentials: the agent says so, and where it looked', async () => {
    process.env = { ...before, ...aws.env() };
    const { message, hint } = await refusal('here', 'reader');
    expect(message).toContain('NoCredentialProviders: no valid providers in chain');
    expect(hint).toMatch(/Looked at: .*AWS_ACCESS_KEY_ID.*web identity, container and instance metadata/);
  });

  test('a database that is not reached: the text of Go, and how to try', async () => {
    const closed = database('closed', { redshift: { cluster_id: 'here' } }, 'here');
    closed.spec.uri = 'localhost:1';
    await agent.stop();
    agent = await startTestAgent({ databases: [closed] });
    agent.roles = [role({})];
    const { message, hint } = await refusal('closed', 'reader');
    expect(message).toMatch(/dial tcp .*:1: connect: connection refused$/);
    expect(hint).toMatch(/security group.*nc -zv localhost 1$/);
  });

  test('a paused cluster: its state and the command that ends it', async () => {
    cluster.status = 'paused';
    expect(await refusal('sales', 'reader')).toEqual({
      message: 'Redshift cluster "sales" in us-east-1 is paused',
      hint: 'Resume it: aws redshift resume-cluster --cluster-identifier sales --region us-east-1',
    });
  });

  test('a certificate that names its host in the Common Name alone', async () => {
    const { cert, key } = ca.issue('localhost', { sans: [] });
    redshift.failNext({ kind: 'certificate', tls: { cert, key } });
    const { message, hint } = await refusal('here', 'reader');
    expect(message).toContain('x509: certificate relies on legacy Common Name field, use SANs instead');
    expect(hint).toContain('Rotate the certificate');
  });
});
