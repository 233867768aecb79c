import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import * as iam from '@aws-sdk/client-iam';
import * as redshift from '@aws-sdk/client-redshift';
import * as serverless from '@aws-sdk/client-redshift-serverless';
import * as sts from '@aws-sdk/client-sts';
import { fromInstanceMetadata } from '@aws-sdk/credential-providers';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from './aws-double.js';

process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

const allow = (Action: string | string[], Resource: string | string[] = '*'): PolicyDocument => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action, Resource }],
});
const trust = (AWS: string, Condition?: Record<string, Record<string, string>>): PolicyDocument => ({
  Statement: [
    {
      Effect: 'Allow',
      Principal: { AWS },
      Action: ['sts:AssumeRole', 'sts:TagSession'],
      ...(Condition ? { Condition } : {}),
    },
  ],
});

let aws: AwsDouble;
beforeEach(async () => {
  aws = await startAwsDouble();
});
afterEach(() => aws.stop());

function config(principal?: Parameters<AwsDouble['accessKeyFor']>[0]) {
  const credentials = principal ? aws.accessKeyFor(principal) : { accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' };
  return { endpoint: aws.url, region: aws.region, credentials, maxAttempts: 1 };
}

test('a caller learns who it is, and an unknown key or a wrong secret is refused', async () => {
  const alice = aws.addUser('alice');
  const answer = await new sts.STSClient(config(alice)).send(new sts.GetCallerIdentityCommand());
  expect(answer).toMatchObject({ Arn: 'arn:aws:iam::123456789012:user/alice', Account: '123456789012' });
  await expect(new sts.STSClient(config()).send(new sts.GetCallerIdentityCommand())).rejects.toMatchObject({
    name: 'InvalidClientTokenId',
  });
  const wrong = config(alice);
  wrong.credentials = { ...wrong.credentials, secretAccessKey: 'no' };
  await expect(new sts.STSClient(wrong).send(new sts.GetCallerIdentityCommand())).rejects.toMatchObject({
    name: 'SignatureDoesNotMatch',
  });
});

test('a signature is good for fifteen minutes of the service clock', async () => {
  const alice = aws.addUser('alice', { policies: [allow('*')] });
  aws.setClockSkewMs(14 * 60_000);
  await new sts.STSClient(config(alice)).send(new sts.GetCallerIdentityCommand());
  aws.setClockSkewMs(20 * 60_000);
  await expect(new sts.STSClient(config(alice)).send(new sts.GetCallerIdentityCommand())).rejects.toThrow(
    /Signature expired/,
  );
  await expect(
    new serverless.RedshiftServerlessClient(config(alice)).send(new serverless.ListWorkgroupsCommand({})),
  ).rejects.toMatchObject({ name: 'InvalidSignatureException' });
});

test('a role is assumed when it names the caller, or its account and the caller is allowed; the external id counts', async () => {
  const alice = aws.addUser('alice');
  const named = aws.addRole('named', { trust: trust(alice.arn) });
  const byAccount = aws.addRole('by-account', { trust: trust('arn:aws:iam::123456789012:root') });
  const guarded = aws.addRole('guarded', { trust: trust(alice.arn, { StringEquals: { 'sts:ExternalId': 'x1' } }) });
  const client = new sts.STSClient(config(alice));
  const assume = (role: { arn: string }, more = {}) =>
    client.send(new sts.AssumeRoleCommand({ RoleArn: role.arn, RoleSessionName: 'me', ...more }));

  const session = await assume(named, { DurationSeconds: 900, Tags: [{ Key: 'team', Value: 'a' }] });
  expect(session.AssumedRoleUser?.Arn).toBe('arn:aws:sts::123456789012:assumed-role/named/me');
  expect(session.Credentials?.Expiration).toBeInstanceOf(Date);
  await expect(assume(byAccount)).rejects.toMatchObject({
    name: 'AccessDenied',
    message: `User: ${alice.arn} is not authorized to perform: sts:AssumeRole on resource: ${byAccount.arn}`,
  });
  aws.attachPolicy(alice, allow('sts:AssumeRole', byAccount.arn));
  await assume(byAccount);
  await expect(assume(guarded)).rejects.toMatchObject({ name: 'AccessDenied' });
  await assume(guarded, { ExternalId: 'x1' });

  const { AccessKeyId, SecretAccessKey, SessionToken } = session.Credentials!;
  const credentials = { accessKeyId: AccessKeyId!, secretAccessKey: SecretAccessKey!, sessionToken: SessionToken! };
  const inRole = new sts.STSClient({ ...config(), credentials });
  expect((await inRole.send(new sts.GetCallerIdentityCommand())).Arn).toBe(session.AssumedRoleUser?.Arn);
});

test('clusters are listed by pages with their tags, and a missing one is a ClusterNotFound', async () => {
  await aws.stop();
  aws = await startAwsDouble({ pageSize: 2 });
  const alice = aws.addUser('alice', { policies: [allow('redshift:Describe*')] });
  for (const id of ['a', 'b', 'c']) aws.addRedshiftCluster({ id, tags: { env: '<dev>' } });
  aws.addRedshiftCluster({ id: 'far', region: 'eu-west-1' });
  const client = new redshift.RedshiftClient(config(alice));
  const ids: string[] = [];
  for await (const page of redshift.paginateDescribeClusters({ client }, {})) {
    ids.push(...(page.Clusters ?? []).map((one) => one.ClusterIdentifier!));
    expect(page.Clusters?.[0]).toMatchObject({ Tags: [{ Key: 'env', Value: '<dev>' }], Endpoint: { Port: 5439 } });
  }
  expect(ids).toEqual(['a', 'b', 'c']);
  expect(aws.count('redshift:DescribeClusters')).toBe(2);
  await expect(client.send(new redshift.DescribeClustersCommand({ ClusterIdentifier: 'zz' }))).rejects.toMatchObject({
    name: 'ClusterNotFoundFault',
  });
  await expect(
    client.send(new redshift.GetClusterCredentialsCommand({ ClusterIdentifier: 'a', DbUser: 'bob', DbGroups: [] })),
  ).rejects.toThrow(
    /not authorized to perform: redshift:GetClusterCredentials on resource: arn:aws:redshift:us-east-1:123456789012:dbuser:a\/bob because no identity-based policy/,
  );
});

test('a password opens only its cluster, user and database, until it expires', async () => {
  await aws.stop();
  let now = Date.now();
  aws = await startAwsDouble({ now: () => now });
  const alice = aws.addUser('alice', { policies: [allow('redshift:*')] });
  aws.addRedshiftCluster({ id: 'sales' });
  const client = new redshift.RedshiftClient(config(alice));
  const made = await client.send(
    new redshift.GetClusterCredentialsCommand({ ClusterIdentifier: 'sales', DbUser: 'bob', DbName: 'dev' }),
  );
  expect(made.DbUser).toBe('IAM:bob');
  const question = { clusterId: 'sales', user: 'IAM:bob', password: made.DbPassword!, database: 'dev' };
  expect(aws.checkPassword(question).ok).toBe(true);
  expect(aws.checkPassword({ ...question, database: 'other' }).ok).toBe(false);
  expect(aws.checkPassword({ ...question, user: 'bob' }).ok).toBe(false);
  expect(aws.checkPassword({ ...question, clusterId: 'else' }).ok).toBe(false);
  expect(aws.checkPassword({ ...question, password: 'no' }).ok).toBe(false);
  now += 901_000;
  expect(aws.checkPassword(question)).toEqual({ ok: false, why: 'password expired' });
  now -= 901_000;

  const auto = await client.send(
    new redshift.GetClusterCredentialsCommand({ ClusterIdentifier: 'sales', DbUser: 'x', AutoCreate: true }),
  );
  expect(auto.DbUser).toBe('IAMA:x');
  const role = aws.addRole('reader', { policies: [allow('redshift:GetClusterCredentialsWithIAM')] });
  const byRole = await new redshift.RedshiftClient(config(role)).send(
    new redshift.GetClusterCredentialsWithIAMCommand({ ClusterIdentifier: 'sales', DbName: 'dev' }),
  );
  expect(byRole.DbUser).toBe('IAMR:reader');
  expect(byRole.Expiration).toBeInstanceOf(Date);
});

test.each([
  ['user', { DbUser: 'x'.repeat(65) }],
  ['user', { DbUser: 'IAM:bob' }],
  ['database', { DbUser: 'bob', DbName: 'table' }],
  ['group', { DbUser: 'bob', DbGroups: ['Readers'] }],
])('a %s of which the API would not hear is refused: %j', async (what, names) => {
  const alice = aws.addUser('alice', { policies: [allow('redshift:*')] });
  aws.addRedshiftCluster({ id: 'sales' });
  const command = new redshift.GetClusterCredentialsCommand({ ClusterIdentifier: 'sales', ...names });
  await expect(new redshift.RedshiftClient(config(alice)).send(command)).rejects.toMatchObject({
    name: 'InvalidParameterValue',
    message: expect.stringContaining(`The ${what} name "`),
  });
});

test('a serverless workgroup tells its metadata and makes passwords for roles', async () => {
  const role = aws.addRole('reader', { policies: [allow('redshift-serverless:*')] });
  const workgroup = aws.addServerlessWorkgroup({ name: 'reports', tags: { env: 'dev' } });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'reports', address: 'ep.local', port: 5439 });
  const client = new serverless.RedshiftServerlessClient(config(role));
  const got = await client.send(new serverless.GetWorkgroupCommand({ workgroupName: 'reports' }));
  expect(got.workgroup).toMatchObject({ workgroupId: workgroup.id, status: 'AVAILABLE' });
  expect(got.workgroup?.creationDate).toBeInstanceOf(Date);
  const { endpoint } = await client.send(new serverless.GetEndpointAccessCommand({ endpointName: 'ep' }));
  expect(endpoint?.workgroupName).toBe('reports');
  expect((await client.send(new serverless.ListEndpointAccessCommand({}))).endpoints).toHaveLength(1);
  expect((await client.send(new serverless.ListWorkgroupsCommand({}))).workgroups).toHaveLength(1);
  expect((await client.send(new serverless.ListTagsForResourceCommand({ resourceArn: workgroup.arn }))).tags).toEqual([
    { key: 'env', value: 'dev' },
  ]);
  const made = await client.send(new serverless.GetCredentialsCommand({ workgroupName: 'reports', dbName: 'dev' }));
  expect(made.dbUser).toBe('IAMR:reader');
  expect(made.expiration!.getTime()).toBeGreaterThan(Date.now());
  await expect(client.send(new serverless.GetWorkgroupCommand({ workgroupName: 'none' }))).rejects.toMatchObject({
    name: 'ResourceNotFoundException',
  });
  const stranger = new serverless.RedshiftServerlessClient(config(aws.addUser('s')));
  await expect(stranger.send(new serverless.GetCredentialsCommand({ workgroupName: 'reports' }))).rejects.toMatchObject(
    {
      name: 'AccessDeniedException',
    },
  );
});

test('policies are made, versioned, attached and then decide', async () => {
  const admin = aws.addUser('admin', { policies: [allow('iam:*')] });
  const role = aws.addRole('node');
  aws.addRedshiftCluster({ id: 'sales' });
  const client = new iam.IAMClient(config(admin));
  const document = JSON.stringify(allow('redshift:DescribeClusters'));
  const { Policy } = await client.send(
    new iam.CreatePolicyCommand({ PolicyName: 'P', PolicyDocument: document, Tags: [{ Key: 'teleport', Value: '' }] }),
  );
  const PolicyArn = Policy!.Arn!;
  await expect(
    client.send(new iam.CreatePolicyCommand({ PolicyName: 'P', PolicyDocument: document })),
  ).rejects.toMatchObject({ name: 'EntityAlreadyExistsException' });
  for (let version = 2; version <= 5; version++) {
    await client.send(new iam.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: document, SetAsDefault: true }));
  }
  await expect(
    client.send(new iam.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: document })),
  ).rejects.toMatchObject({ name: 'LimitExceededException' });
  await client.send(new iam.DeletePolicyVersionCommand({ PolicyArn, VersionId: 'v1' }));
  const { Versions } = await client.send(new iam.ListPolicyVersionsCommand({ PolicyArn }));
  expect(Versions?.map((one) => [one.VersionId, one.IsDefaultVersion])).toEqual([
    ['v5', true],
    ['v4', false],
    ['v3', false],
    ['v2', false],
  ]);
  expect((await client.send(new iam.GetPolicyCommand({ PolicyArn }))).Policy?.Tags).toEqual([
    { Key: 'teleport', Value: '' },
  ]);
  const asNode = new redshift.RedshiftClient(config(role));
  await expect(asNode.send(new redshift.DescribeClustersCommand({}))).rejects.toMatchObject({ name: 'AccessDenied' });
  await client.send(new iam.AttachRolePolicyCommand({ RoleName: 'node', PolicyArn }));
  await asNode.send(new redshift.DescribeClustersCommand({}));
  await client.send(new iam.PutRolePolicyCommand({ RoleName: 'node', PolicyName: 'in', PolicyDocument: document }));
  const inline = await client.send(new iam.GetRolePolicyCommand({ RoleName: 'node', PolicyName: 'in' }));
  expect(decodeURIComponent(inline.PolicyDocument!)).toBe(document);
  await expect(client.send(new iam.GetRoleCommand({ RoleName: 'none' }))).rejects.toMatchObject({
    name: 'NoSuchEntityException',
  });
});

test('the metadata service hands out the role of the instance', async () => {
  aws.setInstanceProfile(aws.addRole('node'));
  process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT = aws.url;
  try {
    const client = new sts.STSClient({ ...config(), credentials: fromInstanceMetadata({ maxRetries: 0 }) });
    const { Arn } = await client.send(new sts.GetCallerIdentityCommand());
    expect(Arn).toBe('arn:aws:sts::123456789012:assumed-role/node/i-0123456789abcdef0');
  } finally {
    delete process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT;
  }
  expect((await fetch(`${aws.url}/latest/meta-data/instance-id`)).status).toBe(401);
});

test('a web identity token becomes a session of a role that trusts its provider', async () => {
  const provider = 'https://id.example.com';
  const role = aws.addRole('ci', {
    trust: {
      Statement: {
        Effect: 'Allow',
        Principal: { Federated: 'arn:aws:iam::123456789012:oidc-provider/id.example.com' },
        Action: 'sts:AssumeRoleWithWebIdentity',
        Condition: { StringEquals: { 'id.example.com:sub': 'job:deploy' } },
      },
    },
  });
  const assume = (subject: string) =>
    new sts.STSClient(config()).send(
      new sts.AssumeRoleWithWebIdentityCommand({
        RoleArn: role.arn,
        RoleSessionName: 'ci',
        WebIdentityToken: aws.addWebIdentityToken({ provider, subject, audience: 'sts' }),
      }),
    );
  expect((await assume('job:deploy')).Credentials?.SessionToken).toBeTruthy();
  await expect(assume('job:other')).rejects.toMatchObject({ name: 'AccessDenied' });
});

test('a planned failure comes as often as planned', async () => {
  const client = new sts.STSClient({ ...config(aws.addUser('alice')), maxAttempts: 3 });
  aws.failNext('sts:GetCallerIdentity', { code: 'ServiceUnavailable', times: 1 });
  const { $metadata } = await client.send(new sts.GetCallerIdentityCommand());
  expect($metadata.attempts).toBe(2);
});

describe('what does not fit the models of botocore fails the test that made it', () => {
  test('a field that the operation does not have', async () => {
    const client = new redshift.RedshiftClient(config(aws.addUser('alice', { policies: [allow('*')] })));
    client.middlewareStack.add(
      (next) => (args) => {
        const request = args.request as { body: string };
        request.body += '&Colour=red';
        return next(args);
      },
      { step: 'build', priority: 'high' },
    );
    await client.send(new redshift.DescribeClustersCommand({}));
    expect(aws.faults).toEqual([expect.stringContaining('request: there is no "Colour"')]);
    await expect(aws.stop()).rejects.toThrow(/AWS does not speak so:\nredshift:DescribeClusters .*"Colour"/);
  });

  test('an answer with a word that AWS does not know', async () => {
    const client = new serverless.RedshiftServerlessClient(config(aws.addUser('a', { policies: [allow('*')] })));
    aws.addServerlessWorkgroup({ name: 'reports', status: 'BROKEN' });
    await client.send(new serverless.ListWorkgroupsCommand({}));
    await expect(aws.stop()).rejects.toThrow(/'BROKEN' at 'workgroups.1.member.status' failed to satisfy constraint/);
  });

  test('an operation that is not served', async () => {
    const client = new redshift.RedshiftClient(config(aws.addUser('alice', { policies: [allow('*')] })));
    await expect(client.send(new redshift.DescribeEventsCommand({}))).rejects.toThrow();
    await expect(aws.stop()).rejects.toThrow('redshift:DescribeEvents');
  });

  afterEach(() => {
    aws.faults.length = 0;
  });
});

test('an error that AWS does not give cannot be planned', () => {
  const plan = (action: string, code: string) => () => aws.failNext(action, { code });
  expect(plan('redshift:DescribeClusters', 'ClusterNotFoundFault')).toThrow('does not answer with the error');
  expect(plan('redshift-serverless:ListWorkgroups', 'AccessDenied')).toThrow('does not answer with the error');
  expect(plan('s3:ListBuckets', 'AccessDenied')).toThrow('there is no model of s3');
});

test('a request that breaks a rule is refused as the service refuses it, after its signature is checked', async () => {
  const alice = aws.addUser('alice', { policies: [allow('*')] });
  const roleArn = 'arn:aws:iam::123456789012:role/r';
  const assume = new sts.AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'me too', DurationSeconds: 60 });
  await expect(new sts.STSClient(config(alice)).send(assume)).rejects.toMatchObject({
    name: 'ValidationError',
    message: expect.stringMatching(
      /^2 validation errors detected: Value 'me too' at 'roleSessionName' .*; Value '60' at 'durationSeconds' /,
    ),
  });
  await expect(new sts.STSClient(config()).send(assume)).rejects.toMatchObject({ name: 'InvalidClientTokenId' });
  const workgroup = new serverless.GetWorkgroupCommand({ workgroupName: 'R' });
  await expect(new serverless.RedshiftServerlessClient(config(alice)).send(workgroup)).rejects.toMatchObject({
    name: 'ValidationException',
    $metadata: { httpStatusCode: 400 },
  });
  const credentials = new redshift.GetClusterCredentialsCommand({ ClusterIdentifier: 'c', DbUser: undefined });
  await expect(new redshift.RedshiftClient(config(alice)).send(credentials)).rejects.toMatchObject({
    name: 'MissingParameter',
  });
});

test('the aws command can use it', async () => {
  const run = promisify(execFile);
  const cli = (...args: string[]) => run('aws', args, { env: { ...process.env, ...aws.env(user) }, timeout: 100_000 });
  const user = aws.addUser('alice', { policies: [allow('redshift:*')] });
  aws.addRedshiftCluster({ id: 'sales' });
  try {
    await cli('--version');
  } catch {
    console.warn('not run: there is no aws command on the PATH');
    return;
  }
  const { stdout } = await cli(
    'redshift',
    'get-cluster-credentials',
    '--cluster-identifier',
    'sales',
    '--db-user',
    'bob',
  );
  expect(JSON.parse(stdout).DbUser).toBe('IAM:bob');
  await expect(cli('redshift-serverless', 'list-workgroups')).rejects.toThrow(/AccessDeniedException/);
});
