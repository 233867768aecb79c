/**
 * Tests: src/aws/clock.ts, src/aws/custom-domain.ts, src/aws/discover.ts, src/aws/metadata.ts
 * Tests: src/aws/policy-document.ts, src/aws/refusal.ts, src/aws/sdk/redshift-serverless.ts, src/aws/sdk/redshift.ts
 * Tests: src/aws/sdk/config.ts, src/aws/sdk/credentials.ts, src/aws/sdk/sts.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { redshiftCredentials, redshiftIamCredentials, serverlessCredentials } from '../../src/aws/credentials.js';
import { findCustomDomain } from '../../src/aws/custom-domain.js';
import { discoverRedshift, discoverServerless } from '../../src/aws/discover.js';
import { fetchMetadata } from '../../src/aws/metadata.js';
import { callerIdentity } from '../../src/aws/sts.js';
import { isTeleportError, type TeleportError } from '../../src/errors.js';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';

const allow = (Action: string | string[]): PolicyDocument => ({
  Statement: { Effect: 'Allow', Action, Resource: '*' },
});
const region = 'us-east-1';
const accountId = '123456789012';

let aws: AwsDouble;
const before = { ...process.env };
beforeEach(async () => {
  aws = await startAwsDouble({ pageSize: 2 });
});
afterEach(async () => {
  process.env = { ...before };
  await aws.stop();
});

function be(principal?: Parameters<AwsDouble['env']>[0]) {
  process.env = { ...before, ...aws.env(principal) };
}

async function failure(promise: Promise<unknown>): Promise<TeleportError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isTeleportError(error)) throw error ?? new Error('it did not fail');
  return error;
}

test('a database user gets a password; a refusal shows the policy that is missing', async () => {
  const agent = aws.addUser('agent');
  aws.addRedshiftCluster({ id: 'c1' });
  be(agent);
  const question = { region, clusterId: 'c1', accountId, dbUser: 'bob', dbName: 'dev', chain: [] };
  const { code, message } = await failure(redshiftCredentials(question));
  expect(code).toBe('AccessDenied');
  const lines = message.split('\n');
  expect(lines.slice(0, 3)).toEqual([
    'Could not generate Redshift IAM auth token:',
    '',
    expect.stringMatching(/^ {2}AccessDenied: User: .* is not authorized to perform: redshift:GetClusterCredentials/),
  ]);
  expect(lines.slice(3, 9)).toEqual([
    '',
    "Make sure that Teleport database agent's IAM policy is attached and has permissions",
    'to generate Redshift credentials (note that IAM changes may take a few minutes to',
    'propagate):',
    '',
    '{',
  ]);
  expect(lines.at(-1)).toBe('');
  expect(JSON.parse(lines.slice(8).join('\n')).Statement[0].Resource).toEqual([
    'arn:aws:redshift:us-east-1:123456789012:dbuser:c1/*',
    'arn:aws:redshift:us-east-1:123456789012:dbname:c1/*',
    'arn:aws:redshift:us-east-1:123456789012:dbgroup:c1/*',
  ]);
  aws.attachPolicy(agent, allow('redshift:*'));
  const made = await redshiftCredentials(question);
  expect(made.user).toBe('IAM:bob');
  expect(aws.checkPassword({ clusterId: 'c1', user: made.user, password: made.password, database: 'dev' }).ok).toBe(
    true,
  );
  const [call] = aws.calls.filter((one) => one.status === 200);
  expect(call?.params).not.toHaveProperty('DurationSeconds');
  expect((await redshiftCredentials({ ...question, autoCreate: true })).user).toBe('IAMA:bob');
  const gone = await failure(redshiftCredentials({ ...question, clusterId: 'none' }));
  expect(gone.code).toBe('NotFound');
});

test('a role of a cluster or workgroup is assumed first, and the error says which step failed', async () => {
  const agent = aws.addUser('agent');
  aws.addRedshiftCluster({ id: 'c1' });
  aws.addServerlessWorkgroup({ name: 'wg1' });
  const role = aws.addRole('reader');
  be(agent);
  const iam = { region, clusterId: 'c1', dbName: 'dev', chain: [{ roleArn: role.arn, externalId: 'e1' }] };
  const serverless = { region, workgroup: 'wg1', dbName: 'dev', chain: iam.chain };
  expect((await failure(redshiftIamCredentials(iam))).message.split('\nThe trust policy of ')[0]).toBe(
    `Could not generate Redshift IAM role auth token:\n\n  AccessDenied: User: ${agent.arn} is not authorized to perform: sts:AssumeRole on resource: ${role.arn}\n\nMake sure that IAM role "${role.arn}" has a trust relationship with Teleport database agent's IAM identity.\n`,
  );
  aws.setTrust(role, {
    Statement: {
      Effect: 'Allow',
      Principal: { AWS: agent.arn },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': 'e1' } },
    },
  });
  const refused = (await failure(serverlessCredentials(serverless))).message;
  expect(refused).toMatch(/^Could not generate Redshift Serverless auth token:\n\n {2}AccessDeniedException: User: /);
  expect(refused).toContain(
    `Make sure that IAM role "${role.arn}" has permissions to generate credentials. Here is a sample IAM policy:\n\n{`,
  );
  expect(refused).toContain(
    '"Resource": "arn:aws:redshift-serverless:us-east-1:{account_id}:workgroup/{workgroup_id}"',
  );
  aws.attachPolicy(role, allow(['redshift:GetClusterCredentialsWithIAM', 'redshift-serverless:GetCredentials']));
  expect((await redshiftIamCredentials(iam)).user).toBe('IAMR:reader');
  expect((await serverlessCredentials(serverless)).user).toBe('IAMR:reader');
  const three = [...iam.chain, ...iam.chain, ...iam.chain];
  expect((await failure(redshiftCredentials({ ...iam, dbUser: 'x', chain: three }))).message).toContain(
    'role chain contains more than 2 roles',
  );
});

test('two roles are chained', async () => {
  const agent = aws.addUser('agent');
  const trust = (AWS: string): PolicyDocument => ({
    Statement: { Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole' },
  });
  const first = aws.addRole('first', { trust: trust(agent.arn) });
  const second = aws.addRole('second', { trust: trust(first.arn) });
  be(agent);
  const who = await callerIdentity({ region, chain: [{ roleArn: first.arn }, { roleArn: second.arn }] });
  expect(who).toMatchObject({ accountId, arn: expect.stringContaining('assumed-role/second/') });
});

test('without credentials the hint lists where they were looked for', async () => {
  be();
  const error = await failure(callerIdentity({ region }));
  expect(error.code).toBe('AccessDenied');
  expect(error.hint).toMatch(/AWS_ACCESS_KEY_ID.*SSO.*metadata/);
});

test('unknown credentials, throttling and an unreachable service each have their code and next step', async () => {
  be(aws.addUser('x'));
  process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
  expect(await failure(callerIdentity({ region }))).toMatchObject({
    code: 'AccessDenied',
    hint: expect.stringContaining('clock'),
  });
  be(aws.addUser('y'));
  process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:1';
  expect(await failure(callerIdentity({ region }))).toMatchObject({
    code: 'ConnectionProblem',
    hint: expect.stringContaining('HTTPS_PROXY'),
  });
});

test('a clock that is wrong is read from the answers: the call works, a refusal names the minutes', async () => {
  aws.addRedshiftCluster({ id: 'c1' });
  be(aws.addUser('agent', { policies: [allow('redshift:*')] }));
  const question = { region, clusterId: 'c1', accountId, dbUser: 'bob', dbName: 'dev', chain: [] };
  for (const [minutes, words] of [
    [20, '20 minutes behind'],
    [-30, '30 minutes ahead of'],
  ] as const) {
    aws.setClockSkewMs(minutes * 60_000);
    const { answeredAt, expiresAt } = await redshiftCredentials(question);
    expect(Math.abs(answeredAt!.getTime() - Date.now() - minutes * 60_000)).toBeLessThan(60_000);
    expect(Math.abs(expiresAt.getTime() - Date.now() - (minutes + 15) * 60_000)).toBeLessThan(60_000);
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
    const { hint } = await failure(callerIdentity({ region }));
    expect(hint).toContain(`The clock of this machine is ${words} AWS's.`);
    be(aws.addUser(`agent${minutes}`, { policies: [allow('redshift:*')] }));
  }
});

test('throttling is tried again with back-off, a denial is not', async () => {
  aws.addRedshiftCluster({ id: 'c1' });
  const agent = aws.addUser('agent');
  be(agent);
  const question = { region, clusterId: 'c1', accountId, dbUser: 'bob', dbName: 'dev', chain: [] };
  await failure(redshiftCredentials(question));
  expect(aws.count('redshift:GetClusterCredentials')).toBe(1);
  aws.attachPolicy(agent, allow('redshift:*'));
  aws.failNext('redshift:GetClusterCredentials', { code: 'Throttling', times: 2 });
  expect((await redshiftCredentials(question)).user).toBe('IAM:bob');
  expect(aws.count('redshift:GetClusterCredentials')).toBe(4);
  aws.failNext('redshift:GetClusterCredentials', { code: 'ThrottlingException', times: 9 });
  expect(await failure(redshiftCredentials(question))).toMatchObject({
    code: 'LimitExceeded',
    hint: expect.stringContaining('Wait a little'),
  });
  expect(aws.count('redshift:GetClusterCredentials')).toBe(8);
});

test('the rights of an EC2 instance are used where there are no others', async () => {
  aws.setInstanceProfile(aws.addRole('node'));
  be();
  expect((await callerIdentity({ region })).arn).toBe(
    'arn:aws:sts::123456789012:assumed-role/node/i-0123456789abcdef0',
  );
});

test('keys that are rewritten in the shared file count from the next call on', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'aws-shared-')), 'credentials');
  be();
  process.env.AWS_SHARED_CREDENTIALS_FILE = file;
  for (const name of ['first', 'second']) {
    const { accessKeyId, secretAccessKey } = aws.accessKeyFor(aws.addUser(name));
    writeFileSync(file, `[default]\naws_access_key_id=${accessKeyId}\naws_secret_access_key=${secretAccessKey}\n`);
    expect((await callerIdentity({ region })).arn).toMatch(new RegExp(`:user/${name}$`));
  }
  rmSync(dirname(file), { recursive: true });
});

test('metadata and labels come from AWS', async () => {
  be(aws.addUser('agent', { policies: [allow(['redshift:*', 'redshift-serverless:*'])] }));
  aws.addRedshiftCluster({ id: 'c1', tags: { env: 'dev', 'bad key!': 'x' } });
  const { id } = aws.addServerlessWorkgroup({ name: 'wg1', tags: { team: 'a' } });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'wg1', address: 'ep.local', port: 5439 });
  expect(await fetchMetadata({ region, redshift: { cluster_id: 'c1' } })).toMatchObject({
    aws: { region, account_id: accountId, redshift: { cluster_id: 'c1' } },
    labels: { env: 'dev', 'account-id': accountId, region },
  });
  expect(await fetchMetadata({ region, redshift_serverless: { endpoint_name: 'ep' } })).toMatchObject({
    aws: { redshift_serverless: { endpoint_name: 'ep', workgroup_name: 'wg1', workgroup_id: id } },
    labels: { team: 'a' },
  });
});

test('every usable database of a region is found, over several pages', async () => {
  const agent = aws.addUser('agent', { policies: [allow(['redshift:DescribeClusters', 'redshift-serverless:List*'])] });
  be(agent);
  for (const id of ['c1', 'c2', 'c3']) aws.addRedshiftCluster({ id, tags: { env: 'dev', 'bad key!': 'x' } });
  aws.addRedshiftCluster({ id: 'off', status: 'paused' });
  aws.addServerlessWorkgroup({ name: 'wg1', tags: { TeleportDatabaseName: 'nice' } });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'wg1', address: 'ep.local', port: 5439 });
  const { databases: clusters } = await discoverRedshift({ region });
  expect(clusters.map(({ name }) => name)).toEqual(['c1', 'c2', 'c3']);
  expect(clusters[0]).toMatchObject({
    uri: 'c1.abc123.us-east-1.redshift.amazonaws.com:5439',
    description: 'Redshift cluster in us-east-1',
    defaultDatabase: 'dev',
    labels: {
      env: 'dev',
      'account-id': accountId,
      region,
      'teleport.dev/cloud': 'AWS',
      'teleport.dev/origin': 'cloud',
      'teleport.dev/discovery-type': 'redshift',
    },
  });
  expect(clusters[0]?.labels).not.toHaveProperty('bad key!');
  const {
    databases: [workgroup, endpoint],
  } = await discoverServerless({ region });
  expect(workgroup).toMatchObject({
    name: 'nice',
    labels: { 'endpoint-type': 'workgroup', namespace: 'wg1-ns', 'vpc-id': 'vpc-0a1b2c3d' },
  });
  expect(endpoint).toMatchObject({
    name: 'nice-ep',
    uri: 'ep.local:5439',
    serverName: 'wg1.123456789012.us-east-1.redshift-serverless.amazonaws.com',
    labels: { 'endpoint-type': 'vpc-endpoint', workgroup: 'wg1', 'vpc-id': 'vpc-0e1f2a3b' },
  });
  aws.attachPolicy(agent, {
    Statement: { Effect: 'Deny', Action: 'redshift-serverless:ListEndpointAccess', Resource: '*' },
  });
  const tolerated = await discoverServerless({ region });
  expect(tolerated.databases).toHaveLength(1);
  expect(tolerated.unsaid).toEqual([
    expect.objectContaining({
      code: 'AccessDenied',
      message: expect.stringMatching(/^VPC endpoints: .*not authorized/),
    }),
  ]);
  aws.attachPolicy(
    agent,
    {
      Statement: { Effect: 'Deny', Action: 'redshift-serverless:ListTagsForResource', Resource: '*' },
    },
    'tags',
  );
  const untagged = await discoverServerless({ region });
  expect(untagged.databases).toMatchObject([{ name: 'wg1', isUntagged: true }]);
  expect(untagged.unsaid).toHaveLength(2);
});

test('what cannot be entered now is found when it is asked for, with its status', async () => {
  be(aws.addUser('agent', { policies: [allow(['redshift:*', 'redshift-serverless:*'])] }));
  aws.addRedshiftCluster({ id: 'on' });
  aws.addRedshiftCluster({ id: 'off', status: 'paused' });
  aws.addRedshiftCluster({ id: 'new', status: 'creating', endpoint: undefined });
  aws.addServerlessWorkgroup({ name: 'wg1', status: 'CREATING', endpoint: undefined });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'wg1', address: 'ep.local', port: 5439 });
  const short = ({ databases: list }: Awaited<ReturnType<typeof discoverRedshift>>) =>
    list.map(({ name, status, isAvailable, uri }) => [name, status, isAvailable, uri.replace(/\..*:/, ':')]);
  expect(short(await discoverRedshift({ region }))).toEqual([['on', 'available', true, 'on:5439']]);
  expect(short(await discoverServerless({ region }))).toEqual([]);
  expect(short(await discoverRedshift({ region, unavailable: true }))).toEqual([
    ['on', 'available', true, 'on:5439'],
    ['off', 'paused', false, 'off:5439'],
    ['new', 'creating', false, ''],
  ]);
  expect(short(await discoverServerless({ region, unavailable: true }))).toEqual([
    ['wg1', 'CREATING', false, ''],
    ['wg1-ep', 'ACTIVE', false, 'ep:5439'],
  ]);
});

test('a custom domain leads to its cluster or workgroup', async () => {
  const user = aws.addUser('alice', { policies: [allow('redshift:DescribeCustomDomainAssociations')] });
  be(user);
  aws.addCustomDomain('db.example.com', { clusterId: 'c1' });
  aws.addCustomDomain('wg1.example.com', { workgroup: 'wg1' });
  expect(await findCustomDomain({ region }, 'DB.example.com')).toEqual({ clusterId: 'c1' });
  // It may stand for a workgroup, and that could not be asked.
  expect((await failure(findCustomDomain({ region }, 'wg1.example.com'))).message).toContain(
    'not authorized to perform: redshift-serverless:ListCustomDomainAssociations',
  );
  aws.attachPolicy(user, allow('redshift-serverless:ListCustomDomainAssociations'));
  expect(await findCustomDomain({ region }, 'wg1.example.com')).toEqual({ workgroup: 'wg1' });
  expect(await findCustomDomain({ region }, 'other.example.com')).toBeUndefined();
  expect(await findCustomDomain({ region: 'eu-west-1' }, 'db.example.com')).toBeUndefined();
});
