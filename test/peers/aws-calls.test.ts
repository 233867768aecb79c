/**
 * The `aws` command line against the AWS double: what it is told is what our own code is told, and both ask alike. So a
 * double that only our code understands is found here.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redshiftCredentials, redshiftIamCredentials, serverlessCredentials } from '../../src/aws/credentials.js';
import { findCustomDomain } from '../../src/aws/custom-domain.js';
import { discoverRedshift, discoverServerless } from '../../src/aws/discover.js';
import { attachedPolicies, attachPolicy, currentIdentity, policyState, putPolicy } from '../../src/aws/iam.js';
import { fetchMetadata } from '../../src/aws/metadata.js';
import { callerIdentity } from '../../src/aws/sts.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsCall, type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';
import { type Ended, peer, run } from './programs.js';

const region = 'us-east-1';
const allow = (Action: string | string[], Resource: string | string[] = '*'): PolicyDocument => ({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action, Resource }],
});

let aws: AwsDouble;
let alice: Principal;
let home: string;
let vars: Record<string, string>;
const before = { ...process.env };

beforeEach(async () => {
  aws = await startAwsDouble({ pageSize: 2 });
  alice = aws.addUser('alice', { policies: [allow(['redshift:*', 'redshift-serverless:*', 'iam:*', 'sts:*'])] });
  home = await mkdtemp(join(tmpdir(), 'peers-'));
  as(alice);
});
afterEach(async () => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
  await aws.stop();
  await rm(home, { recursive: true });
});

/** Both are this principal from here on. */
function as(principal: Principal | undefined, more: Record<string, string> = {}): void {
  const credentials = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
  for (const name of credentials) delete process.env[name];
  vars = { PATH: process.env.PATH ?? '', HOME: home, AWS_PAGER: '', ...aws.env(principal), ...more };
  Object.assign(process.env, aws.env(principal), more);
  // Both find the same keys in the environment, which `env` makes anew each time.
  for (const name of credentials) if (vars[name]) process.env[name] = vars[name];
}

/** `aws …`, its answer read. @throws Error when it fails */
async function cli<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { status, stdout, stderr } = await ended(...args);
  if (status !== 0) throw new Error(`aws ${args.join(' ')} ended with ${status}: ${stderr}`);
  return (stdout ? JSON.parse(stdout) : {}) as T;
}
const ended = (...args: string[]): Promise<Ended> => run(peer('aws'), args, vars);

const failure = (work: Promise<unknown>): Promise<Error & { code?: string }> =>
  work.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  );

/** The last call of an action without what only says who asks. */
function lastCall(action: string): Pick<AwsCall, 'params' | 'region' | 'status' | 'code'> {
  const { params, region: where, status, code } = aws.calls.findLast((one) => one.action === action)!;
  return { params, region: where, status, code };
}

/** "An error occurred (CODE) when calling the OPERATION operation: TEXT" of the one, "CODE: TEXT" of the other. */
function expectSameRefusal(theirs: Ended, ours: Error): void {
  const [, code, text] = /An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.+)/.exec(theirs.stderr)!;
  expect(ours.message).toContain(`${code}: ${text}`);
  expect(theirs.status).toBe(FAILED);
}
/** Whatever failed. Source: AWS CLI user guide for version 1, "Return codes". */
const FAILED = 255;

describe('who one is', () => {
  test('a user', async () => {
    const { Arn, Account, UserId } = await cli('sts', 'get-caller-identity');
    expect(await callerIdentity({ region })).toEqual({ arn: Arn, accountId: Account, userId: UserId });
  });

  test('a role with an external id, from a profile of the shared files', async () => {
    const trust: PolicyDocument = {
      Statement: [
        {
          Effect: 'Allow',
          Principal: { AWS: alice.arn },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'x1' } },
        },
      ],
    };
    const role = aws.addRole('analytics', { trust });
    const keys = aws.accessKeyFor(alice);
    const [AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE] = [join(home, 'config'), join(home, 'credentials')];
    await writeFile(
      AWS_SHARED_CREDENTIALS_FILE,
      `[alice]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n`,
    );
    const profile = (id: string) => `source_profile = alice\nrole_arn = ${role.arn}\nexternal_id = ${id}\n`;
    await writeFile(AWS_CONFIG_FILE, `[profile good]\n${profile('x1')}[profile bad]\n${profile('x2')}`);
    as(undefined, { AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE });
    const { Arn } = await cli<{ Arn: string }>('sts', 'get-caller-identity', '--profile=good');
    const ours = await callerIdentity({ region, profile: 'good' });
    const withoutSession = (arn: string) => arn.replace(/\/[^/]+$/, '');
    expect(withoutSession(ours.arn)).toBe(withoutSession(Arn));
    const theirs = await ended('sts', 'get-caller-identity', '--profile=bad');
    const refused = await failure(callerIdentity({ region, profile: 'bad' }));
    expectSameRefusal(theirs, refused);
  });

  test('nobody: both say that there are no credentials', async () => {
    as(undefined);
    const theirs = await ended('sts', 'get-caller-identity');
    expect(theirs).toMatchObject({ status: FAILED, stderr: expect.stringMatching(/Unable to locate credentials/) });
    const ours = await failure(callerIdentity({ region }));
    expect(ours.message).toMatch(/NoCredentialProviders: /);
  });

  test('a wrong secret', async () => {
    vars.AWS_SECRET_ACCESS_KEY = 'wrong';
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
    expectSameRefusal(await ended('sts', 'get-caller-identity'), await failure(callerIdentity({ region })));
  });
});

describe('listings', () => {
  const clusters = ['sales', 'orders', 'archive', 'lab', 'old'];
  beforeEach(() => {
    for (const id of clusters) aws.addRedshiftCluster({ id, tags: { team: `${id}-team`, 'cost:center': '7' } });
    aws.addRedshiftCluster({ id: 'sleepy', status: 'paused', endpoint: undefined });
    aws.addRedshiftCluster({ id: 'far', region: 'eu-west-1' });
    for (const name of ['reports', 'adhoc', 'etl']) aws.addServerlessWorkgroup({ name, tags: { name } });
    aws.addServerlessEndpoint({ name: 'side', workgroup: 'etl', address: 'side.example.com', port: 5439 });
  });

  interface TheirCluster {
    ClusterIdentifier: string;
    ClusterStatus: string;
    DBName: string;
    Endpoint?: { Address: string; Port: number };
    Tags: { Key: string; Value: string }[];
  }

  test('describe-clusters and db ls find the same, over pages, in each region', async () => {
    for (const where of [region, 'eu-west-1', 'ap-south-1']) {
      const { Clusters } = await cli<{ Clusters: TheirCluster[] }>('redshift', 'describe-clusters', '--region', where);
      const { databases: ours } = await discoverRedshift({ region: where, unavailable: true });
      expect(ours.map(({ name, status, uri, defaultDatabase }) => ({ name, status, uri, defaultDatabase }))).toEqual(
        Clusters.map((one) => ({
          name: one.ClusterIdentifier,
          status: one.ClusterStatus,
          uri: one.Endpoint ? `${one.Endpoint.Address}:${one.Endpoint.Port}` : '',
          defaultDatabase: one.DBName,
        })),
      );
      for (const [i, { Tags }] of Clusters.entries()) {
        expect(ours[i]!.labels).toMatchObject(Object.fromEntries(Tags.map(({ Key, Value }) => [Key, Value])));
      }
    }
    expect(aws.calls.filter(({ region: where }) => where === region)).toHaveLength(6);
  });

  test('the pages of --page-size and --max-items are whole', async () => {
    const names = ({ Clusters }: { Clusters: TheirCluster[] }) => Clusters.map((one) => one.ClusterIdentifier);
    const one = await cli<{ Clusters: TheirCluster[] }>('redshift', 'describe-clusters', '--page-size=20');
    expect(names(one)).toEqual([...clusters, 'sleepy']);
    const first = await cli<{ Clusters: TheirCluster[]; NextToken: string }>(
      ...['redshift', 'describe-clusters', '--max-items=3'],
    );
    const rest = ['redshift', 'describe-clusters', '--starting-token', first.NextToken];
    expect([...names(first), ...names(await cli<{ Clusters: TheirCluster[] }>(...rest))]).toEqual([
      ...clusters,
      'sleepy',
    ]);
  });

  test('one cluster by its identifier, and one that is not there', async () => {
    const answer = await cli<{ Clusters: TheirCluster[] }>(
      ...['redshift', 'describe-clusters', '--cluster-identifier=lab'],
    );
    expect(answer.Clusters.map((one) => one.ClusterIdentifier)).toEqual(['lab']);
    const { labels } = await fetchMetadata({ region, redshift: { cluster_id: 'lab' } });
    expect(labels).toMatchObject({ team: 'lab-team', 'cost:center': '7' });
    const nope = ['redshift', 'describe-clusters', '--cluster-identifier=nope'];
    expectSameRefusal(await ended(...nope), await failure(fetchMetadata({ region, redshift: { cluster_id: 'nope' } })));
    expect((await ended(...nope)).stderr).toContain('(ClusterNotFound) when calling the DescribeClusters operation');
  });

  test('workgroups with their tags and VPC endpoints', async () => {
    const theirs: string[] = [];
    const { workgroups } = await cli<{ workgroups: Record<string, string>[] }>(
      'redshift-serverless',
      'list-workgroups',
    );
    for (const { workgroupName, workgroupArn, status } of workgroups) {
      const tags = ['redshift-serverless', 'list-tags-for-resource', '--resource-arn', workgroupArn!];
      const answer = await cli<{ tags: { key: string; value: string }[] }>(...tags);
      theirs.push([workgroupName, status, ...answer.tags.map(({ key, value }) => `${key}=${value}`)].join());
    }
    const { endpoints } = await cli<{ endpoints: Record<string, string>[] }>(
      ...['redshift-serverless', 'list-endpoint-access'],
    );
    theirs.push(
      ...endpoints.map(({ endpointName, workgroupName, address }) => [workgroupName, endpointName, address].join()),
    );
    const { databases: ours } = await discoverServerless({ region, unavailable: true });
    const groups = ours.filter(({ labels }) => labels['endpoint-type'] === 'workgroup');
    const doors = ours.filter(({ labels }) => labels['endpoint-type'] === 'vpc-endpoint');
    expect([
      ...groups.map(({ name, status, labels }) => `${name},${status},name=${labels.name}`),
      ...doors.map(({ labels, aws: place, uri }) => {
        const address = uri.replace(/:\d+$/, '');
        return `${labels.workgroup},${place.redshift_serverless?.endpoint_name},${address}`;
      }),
    ]).toEqual(theirs);
  });

  test('one workgroup, and one that is not there', async () => {
    const get = (name: string) => ['redshift-serverless', 'get-workgroup', '--workgroup-name', name];
    const { workgroup } = await cli<{ workgroup: Record<string, string> }>(...get('reports'));
    const place = (workgroup_name: string) => ({ region, redshift_serverless: { workgroup_name } });
    expect((await fetchMetadata(place('reports'))).aws.redshift_serverless).toEqual({
      workgroup_name: workgroup.workgroupName,
      workgroup_id: workgroup.workgroupId,
    });
    expectSameRefusal(await ended(...get('nope')), await failure(fetchMetadata(place('nope'))));
  });

  test('custom domain names', async () => {
    aws.addCustomDomain('sales.example.com', { clusterId: 'sales' });
    aws.addCustomDomain('reports.example.com', { workgroup: 'reports' });
    const theirs = await cli<{ Associations: { CertificateAssociations: { ClusterIdentifier: string }[] }[] }>(
      ...['redshift', 'describe-custom-domain-associations', '--custom-domain-name=sales.example.com'],
    );
    const clusterId = theirs.Associations[0]!.CertificateAssociations[0]!.ClusterIdentifier;
    expect(await findCustomDomain({ region }, 'sales.example.com')).toEqual({ clusterId });
    const group = await cli<{ associations: { workgroupName: string }[] }>(
      ...['redshift-serverless', 'list-custom-domain-associations', '--custom-domain-name=reports.example.com'],
    );
    const workgroup = group.associations[0]!.workgroupName;
    expect(await findCustomDomain({ region }, 'reports.example.com')).toEqual({ workgroup });
  });
});

describe('passwords', () => {
  beforeEach(() => {
    aws.addRedshiftCluster({ id: 'sales' });
    aws.addServerlessWorkgroup({ name: 'reports' });
  });
  const place = { region, accountId: '123456789012', dbName: 'dev', chain: [] };
  /** Whether the double lets one in with it. */
  const opens = (of: { clusterId?: string; workgroup?: string }, user: string, password: string) =>
    aws.checkPassword({ ...of, user, password, database: 'dev' }).ok;
  const about15Minutes = (end: string | number | Date) => {
    const ms = typeof end === 'number' ? end * 1000 : new Date(end).getTime();
    expect(Math.abs(ms - Date.now() - 900_000)).toBeLessThan(60_000);
  };

  test.each([
    ['an existing user', [], {}, 'IAM:analyst'],
    [
      'a new user in groups',
      ['--auto-create', '--db-groups', 'readers', 'writers'],
      { autoCreate: true, dbGroups: ['readers', 'writers'] },
      'IAMA:analyst',
    ],
  ])('get-cluster-credentials: %s', async (_, flags, options, user) => {
    const words = ['--cluster-identifier=sales', '--db-user=analyst', '--db-name=dev'];
    const theirs = await cli<Record<string, string>>('redshift', 'get-cluster-credentials', ...words, ...flags);
    const theirCall = lastCall('redshift:GetClusterCredentials');
    const ours = await redshiftCredentials({ ...place, clusterId: 'sales', dbUser: 'analyst', ...options });
    expect([ours.user, theirs.DbUser]).toEqual([user, user]);
    const ourCall = lastCall('redshift:GetClusterCredentials');
    // We say what is also the default; the command line leaves it out.
    const { AutoCreate = 'false', ...rest } = theirCall.params;
    expect(ourCall).toEqual({ ...theirCall, params: { AutoCreate, ...rest } });
    for (const password of [theirs.DbPassword!, ours.password]) {
      expect(opens({ clusterId: 'sales' }, user, password)).toBe(true);
    }
    about15Minutes(theirs.Expiration!);
    about15Minutes(ours.expiresAt);
  });

  test('get-cluster-credentials-with-iam', async () => {
    const words = ['--cluster-identifier=sales', '--db-name=dev'];
    const theirs = await cli<Record<string, string>>('redshift', 'get-cluster-credentials-with-iam', ...words);
    const theirCall = lastCall('redshift:GetClusterCredentialsWithIAM');
    const ours = await redshiftIamCredentials({ ...place, clusterId: 'sales' });
    expect([ours.user, theirs.DbUser]).toEqual(['IAM:alice', 'IAM:alice']);
    expect(lastCall('redshift:GetClusterCredentialsWithIAM')).toEqual(theirCall);
    expect(opens({ clusterId: 'sales' }, 'IAM:alice', theirs.DbPassword!)).toBe(true);
    about15Minutes(theirs.Expiration!);
    about15Minutes(theirs.NextRefreshTime!);
  });

  test('get-credentials of Serverless', async () => {
    const words = ['--workgroup-name=reports', '--db-name=dev'];
    const theirs = await cli<Record<string, string>>('redshift-serverless', 'get-credentials', ...words);
    const theirCall = lastCall('redshift-serverless:GetCredentials');
    const ours = await serverlessCredentials({ ...place, workgroup: 'reports' });
    expect([ours.user, theirs.dbUser]).toEqual(['IAM:alice', 'IAM:alice']);
    expect(lastCall('redshift-serverless:GetCredentials')).toEqual(theirCall);
    for (const password of [theirs.dbPassword!, ours.password]) {
      expect(opens({ workgroup: 'reports' }, 'IAM:alice', password)).toBe(true);
    }
    about15Minutes(theirs.expiration!);
  });

  test('a life that is too long, a user that cannot be, a cluster that is not there', async () => {
    const get = (...more: string[]) => ended('redshift', 'get-cluster-credentials', '--db-name=dev', ...more);
    const long = await get('--cluster-identifier=sales', '--db-user=analyst', '--duration-seconds=7200');
    expect(long).toMatchObject({ status: FAILED, stderr: expect.stringContaining('(InvalidParameterValue)') });
    const bad = await failure(redshiftCredentials({ ...place, clusterId: 'sales', dbUser: 'public' }));
    expectSameRefusal(await get('--cluster-identifier=sales', '--db-user=public'), bad);
    const gone = await failure(redshiftCredentials({ ...place, clusterId: 'nope', dbUser: 'analyst' }));
    expectSameRefusal(await get('--cluster-identifier=nope', '--db-user=analyst'), gone);
  });
});

describe('refusals', () => {
  test('AccessDenied names caller, action and resource alike', async () => {
    aws.addRedshiftCluster({ id: 'sales' });
    aws.addServerlessWorkgroup({ name: 'reports' });
    as(aws.addUser('bob'));
    const place = { region, accountId: '123456789012', dbName: 'dev', chain: [] };
    const cases: [string[], () => Promise<unknown>][] = [
      [['redshift', 'describe-clusters'], () => discoverRedshift({ region })],
      [['redshift-serverless', 'list-workgroups'], () => discoverServerless({ region })],
      [
        ['redshift', 'get-cluster-credentials', '--cluster-identifier=sales', '--db-user=analyst', '--db-name=dev'],
        () => redshiftCredentials({ ...place, clusterId: 'sales', dbUser: 'analyst' }),
      ],
      [
        ['redshift', 'get-cluster-credentials-with-iam', '--cluster-identifier=sales', '--db-name=dev'],
        () => redshiftIamCredentials({ ...place, clusterId: 'sales' }),
      ],
      [
        ['redshift-serverless', 'get-credentials', '--workgroup-name=reports', '--db-name=dev'],
        () => serverlessCredentials({ ...place, workgroup: 'reports' }),
      ],
    ];
    for (const [words, ours] of cases) {
      const theirs = await ended(...words);
      expect(theirs.stderr).toMatch(/User: arn:aws:iam::123456789012:user\/bob is not authorized to perform: redshift/);
      expectSameRefusal(theirs, await failure(ours()));
    }
  });

  test('throttling is tried again by both, a denial is not', async () => {
    const throttled = { code: 'Throttling', message: 'Rate exceeded', times: 2 };
    aws.failNext('redshift:DescribeClusters', throttled);
    await cli('redshift', 'describe-clusters');
    expect(aws.count('redshift:DescribeClusters')).toBe(3);
    aws.failNext('redshift:DescribeClusters', throttled);
    await discoverRedshift({ region });
    expect(aws.count('redshift:DescribeClusters')).toBe(6);
    aws.failNext('redshift:DescribeClusters', { code: 'AccessDenied' });
    await ended('redshift', 'describe-clusters');
    expect(aws.count('redshift:DescribeClusters')).toBe(7);
  });
});

describe('IAM, as "teleport db configure" uses it', () => {
  const document = (action: string) => JSON.stringify(allow(action));
  const place = { accountId: '123456789012', partition: 'aws' };
  const policy = (name: string, action: string) => ({
    name,
    document: document(action),
    arn: `arn:aws:iam::123456789012:policy/${name}`,
  });
  interface Version {
    VersionId: string;
    IsDefaultVersion: boolean;
  }

  test('what we make and attach is what the command line finds', async () => {
    aws.addRole('agent', { path: '/team/' });
    const wanted = policy('DatabaseAccess', 'redshift:GetClusterCredentials');
    const { arn } = wanted;
    const [agent, alice] = [
      { kind: 'role', name: 'agent', ...place } as const,
      { kind: 'user', name: 'alice', ...place } as const,
    ];
    expect(await policyState({ region }, wanted)).toBe('missing');
    await putPolicy({ region }, wanted);
    expect(await policyState({ region }, wanted)).toBe('current');
    await attachPolicy({ region }, arn, agent);
    await attachPolicy({ region }, arn, alice);
    for (const bearer of [agent, alice]) expect(await attachedPolicies({ region }, bearer)).toEqual([arn]);
    const attached = { AttachedPolicies: [{ PolicyName: 'DatabaseAccess', PolicyArn: arn }] };
    expect(await cli('iam', 'list-attached-role-policies', '--role-name=agent')).toEqual(attached);
    expect(await cli('iam', 'list-attached-user-policies', '--user-name=alice')).toEqual(attached);
    const { Policy } = await cli<{ Policy: Record<string, unknown> }>('iam', 'get-policy', '--policy-arn', arn);
    expect(Policy).toMatchObject({ Arn: arn, DefaultVersionId: 'v1', AttachmentCount: 2 });
    const version = ['iam', 'get-policy-version', '--policy-arn', arn, '--version-id=v1'];
    const { PolicyVersion } = await cli<{ PolicyVersion: { Document: object } }>(...version);
    expect(PolicyVersion.Document).toEqual(allow('redshift:GetClusterCredentials'));
    const { Role } = await cli<{ Role: { Arn: string } }>('iam', 'get-role', '--role-name=agent');
    expect(Role.Arn).toBe('arn:aws:iam::123456789012:role/team/agent');
  });

  test('versions made by the command line are replaced by ours, the oldest goes when there are five', async () => {
    const tagged = ['--tags', 'Key=teleport,Value='];
    const made = await cli<{ Policy: { Arn: string } }>(
      ...['iam', 'create-policy', '--policy-name=P', '--policy-document', document('redshift:a'), ...tagged],
    );
    const arn = made.Policy.Arn;
    const add = ['iam', 'create-policy-version', '--policy-arn', arn, '--policy-document', document('redshift:b')];
    for (let i = 0; i < 4; i++) await cli(...add, '--set-as-default');
    const full = await ended(...add);
    expect(full.stderr).toMatch(/\(LimitExceeded\) when calling the CreatePolicyVersion operation/);
    expect(await policyState({ region }, policy('P', 'redshift:c'))).toBe('outdated');
    await putPolicy({ region }, policy('P', 'redshift:c'));
    const { Versions } = await cli<{ Versions: Version[] }>('iam', 'list-policy-versions', '--policy-arn', arn);
    expect(Versions.map(({ VersionId, IsDefaultVersion }) => [VersionId, IsDefaultVersion])).toEqual([
      ['v6', true],
      ['v5', false],
      ['v4', false],
      ['v3', false],
      ['v2', false],
    ]);
  });

  test('a policy of somebody else is left alone; who one is, as a user and as a session of a role', async () => {
    await cli('iam', 'create-policy', '--policy-name=Theirs', '--policy-document', document('s3:*'));
    expect(await failure(putPolicy({ region }, policy('Theirs', 'redshift:x')))).toMatchObject({
      code: 'AlreadyExists',
    });
    const again = await ended('iam', 'create-policy', '--policy-name=Theirs', '--policy-document', document('s3:*'));
    expect(again).toMatchObject({ status: FAILED, stderr: expect.stringContaining('(EntityAlreadyExists)') });
    expect(await currentIdentity({ region })).toMatchObject({ kind: 'user', name: 'alice' });
    as(aws.addRole('ops', { path: '/a/b/', policies: [allow('iam:GetRole')] }));
    const { Role } = await cli<{ Role: { Arn: string } }>('iam', 'get-role', '--role-name=ops');
    expect(await currentIdentity({ region })).toMatchObject({ kind: 'role', name: 'ops', arn: Role.Arn });
  });
});
