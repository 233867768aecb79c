/**
 * `--aws-profile=X` is `AWS_PROFILE=X`: for every client, each setting of a profile has the same effect both ways. The
 * real SDK reads real files; what it would send, and where, is seen at an HTTP proxy and at the double.
 * Tests: src/aws/clients.ts, src/aws/iam.ts, src/aws/sdk-env.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { whyUnavailable } from '../../src/aws/availability.js';
import type { ClientOptions } from '../../src/aws/clients.js';
import { redshiftIamCredentials, serverlessCredentials } from '../../src/aws/credentials.js';
import { findCustomDomain } from '../../src/aws/custom-domain.js';
import { discoverRedshift } from '../../src/aws/discover.js';
import { attachPolicy } from '../../src/aws/iam.js';
import { nameProfile } from '../../src/aws/profile.js';
import { defaultRegion } from '../../src/aws/region.js';
import { callerIdentity } from '../../src/aws/sts.js';
import type { TeleportError } from '../../src/errors.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';

const ALICE = { kind: 'user', name: 'alice', accountId: '123456789012', partition: 'aws' } as const;
const before = { ...process.env };
let aws: AwsDouble;
let dir: string;
/** Refuses every tunnel and notes where it would have led. */
let proxy: Server;
const asked: string[] = [];

beforeAll(async () => {
  aws = await startAwsDouble();
  dir = mkdtempSync(join(tmpdir(), 'aws-profile-'));
  proxy = createServer().on('connect', (request, socket: Socket) => {
    socket.on('error', () => {});
    asked.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  process.env = before;
  rmSync(dir, { recursive: true });
  await new Promise((resolve) => proxy.close(resolve));
  await aws.stop();
});
beforeEach(() => {
  asked.length = 0;
  aws.calls.length = 0;
  process.env = {
    PATH: before.PATH,
    HOME: dir,
    AWS_CONFIG_FILE: join(dir, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(dir, 'credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  };
});
afterEach(() => {
  nameProfile(undefined);
  process.env = { ...before };
});

const region = 'us-east-1';
const place = { region, accountId: '123456789012', dbName: 'dev', chain: [], asker: 'person' as const };
/** Every client that the product makes. */
const CALLS: [service: string, call: (options: ClientOptions) => Promise<unknown>][] = [
  ['sts', (options) => callerIdentity(options)],
  ['iam', (options) => attachPolicy(options, 'arn:aws:iam::123456789012:policy/p', ALICE)],
  ['redshift', (options) => discoverRedshift(options)],
  ['redshift', (options) => redshiftIamCredentials({ ...place, profile: options.profile, clusterId: 'c1' })],
  ['redshift', (options) => whyUnavailable(options, { kind: 'cluster', id: 'c1' })],
  ['redshift-serverless', (options) => serverlessCredentials({ ...place, profile: options.profile, workgroup: 'wg1' })],
  ['redshift-serverless', (options) => whyUnavailable(options, { kind: 'workgroup', id: 'wg1' })],
  ['redshift', (options) => findCustomDomain(options, 'db.example.com')],
];

function profile(lines: string, more = ''): void {
  const user = aws.addUser(`user-${Math.random()}`, {
    policies: [{ Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }],
  });
  const { accessKeyId, secretAccessKey } = aws.accessKeyFor(user);
  writeFileSync(join(dir, 'credentials'), '');
  writeFileSync(
    join(dir, 'config'),
    `[default]\nregion = eu-west-3\n[profile work]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n${lines}\n${more}\n`,
  );
}

/** Runs it both ways, and gives what the two saw: hosts that were tunnelled to, calls that arrived, the failure. */
async function bothWays(call: (options: ClientOptions) => Promise<unknown>) {
  const outcome = async (named: string | undefined) => {
    asked.length = 0;
    aws.calls.length = 0;
    const failure = await call({ region, profile: named }).then(
      () => undefined,
      (error: TeleportError) => error,
    );
    return {
      hosts: [...new Set(asked)].sort(),
      calls: aws.calls.map(({ action }) => action).sort(),
      message: failure?.message,
    };
  };
  const flag = await outcome('work');
  nameProfile(undefined);
  process.env.AWS_PROFILE = 'work';
  const variable = await outcome(undefined);
  delete process.env.AWS_PROFILE;
  return { flag, variable };
}

describe.each(CALLS)('B7 a call of %s', (service, call) => {
  const hostOf = (form: 'fips' | 'dualstack') => {
    if (service === 'iam') return form === 'fips' ? 'iam-fips.amazonaws.com:443' : 'iam.global.api.aws:443';
    return form === 'fips' ? `${service}-fips.${region}.amazonaws.com:443` : `${service}.${region}.api.aws:443`;
  };

  test.each(['fips', 'dualstack'] as const)('uses the %s endpoint that the profile asks for', async (form) => {
    profile(`use_${form}_endpoint = true\nmax_attempts = 1`);
    const { flag, variable } = await bothWays(call);
    expect(flag).toEqual(variable);
    expect(flag.hosts).toContain(hostOf(form));
    expect(flag.hosts.every((host) => /-fips|api\.aws/.test(host))).toBe(true);
  });

  test('goes to the endpoint_url of the profile', async () => {
    profile(`endpoint_url = ${aws.url}`);
    const { flag, variable } = await bothWays(call);
    expect(flag).toEqual(variable);
    expect(flag.hosts).toEqual([]);
    expect(flag.calls.length).toBeGreaterThan(0);
  });

  test('goes to the endpoint of its services section', async () => {
    const section = ['sts', 'iam', 'redshift', 'redshift_serverless'].map(
      (one) => `${one} =\n  endpoint_url = ${aws.url}`,
    );
    profile('services = ours', `[services ours]\n${section.join('\n')}`);
    const { flag, variable } = await bothWays(call);
    expect(flag).toEqual(variable);
    expect(flag.hosts).toEqual([]);
    expect(flag.calls.length).toBeGreaterThan(0);
  });
});

test('B7 only the service that the section names goes elsewhere', async () => {
  profile('services = ours\nmax_attempts = 1', `[services ours]\nredshift =\n  endpoint_url = ${aws.url}`);
  const { flag, variable } = await bothWays(async (options) => {
    await discoverRedshift(options);
    await callerIdentity(options);
  });
  expect(flag).toEqual(variable);
  expect(flag).toMatchObject({ hosts: ['sts.us-east-1.amazonaws.com:443'], calls: ['redshift:DescribeClusters'] });
});

test('B7 endpoints of the profile are passed over where it says so', async () => {
  profile(`endpoint_url = ${aws.url}\nignore_configured_endpoint_urls = true\nmax_attempts = 1`);
  const { flag, variable } = await bothWays(callerIdentity);
  expect(flag).toEqual(variable);
  expect(flag.hosts).toEqual(['sts.us-east-1.amazonaws.com:443']);
});

test.each([1, 2, 3])('B7 max_attempts = %d of the profile is how often it is tried', async (times) => {
  profile(`max_attempts = ${times}\nendpoint_url = ${aws.url}`);
  const { flag, variable } = await bothWays(async (options) => {
    aws.failNext('sts:GetCallerIdentity', { code: 'Throttling', times });
    await callerIdentity(options);
  });
  expect(flag).toEqual(variable);
  expect(flag.message).toContain('Throttling');
  expect(flag.calls).toHaveLength(times);
});

test('B7 sts_regional_endpoints = legacy asks STS at its global host', async () => {
  profile('sts_regional_endpoints = legacy\nmax_attempts = 1');
  const { flag, variable } = await bothWays(callerIdentity);
  expect(flag).toEqual(variable);
  expect(flag.hosts).toEqual(['sts.amazonaws.com:443']);
});

test('B7 roles on the way are assumed at the endpoint of the profile: its own source_profile and ours', async () => {
  profile(`endpoint_url = ${aws.url}`);
  const trust = { Statement: [{ Effect: 'Allow' as const, Principal: { AWS: '*' }, Action: 'sts:AssumeRole' }] };
  const may = [{ Statement: [{ Effect: 'Allow' as const, Action: '*', Resource: '*' }] }];
  const [first, second] = ['first', 'second'].map((name) => aws.addRole(name, { trust, policies: may }).arn);
  const keys = aws.accessKeyFor(aws.addUser('source', { policies: may }));
  writeFileSync(
    join(dir, 'config'),
    `[profile base]\naws_access_key_id = ${keys.accessKeyId}\naws_secret_access_key = ${keys.secretAccessKey}\n` +
      `[profile work]\nrole_arn = ${first}\nsource_profile = base\nregion = us-east-1\nendpoint_url = ${aws.url}\n`,
  );
  const { flag, variable } = await bothWays((options) => callerIdentity({ ...options, chain: [{ roleArn: second! }] }));
  expect(flag).toEqual(variable);
  expect(flag).toMatchObject({
    hosts: [],
    calls: ['sts:AssumeRole', 'sts:AssumeRole', 'sts:GetCallerIdentity'],
    message: undefined,
  });
});

test('B7 a role of the profile is assumed at the FIPS endpoint', async () => {
  writeFileSync(
    join(dir, 'config'),
    '[profile base]\naws_access_key_id = AKIA1\naws_secret_access_key = x\n' +
      '[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = base\nuse_fips_endpoint = true\nmax_attempts = 1\n',
  );
  const { flag, variable } = await bothWays(discoverRedshift);
  expect(flag).toEqual(variable);
  expect(flag.hosts).toEqual(['sts-fips.us-east-1.amazonaws.com:443']);
});

test('B7 ca_bundle of the profile is who is trusted; AWS_CA_BUNDLE comes first', async () => {
  const ca = createTestCa('Inside');
  writeFileSync(join(dir, 'inside.pem'), ca.certPem);
  writeFileSync(join(dir, 'empty.pem'), 'nothing\n');
  profile(`endpoint_url = ${aws.url}\nca_bundle = ${join(dir, 'empty.pem')}`);
  const refused = await bothWays(callerIdentity);
  expect(refused.flag).toEqual(refused.variable);
  expect(refused.flag.message).toBe(
    `ca_bundle of the AWS profile: there is no certificate in ${join(dir, 'empty.pem')}: it is not PEM text`,
  );
  process.env.AWS_CA_BUNDLE = join(dir, 'inside.pem');
  expect((await bothWays(callerIdentity)).flag.message).toBeUndefined();
});

test('B7 the region of the profile', async () => {
  profile('region = ap-south-1');
  expect(await defaultRegion('work')).toBe('ap-south-1');
  nameProfile(undefined);
  process.env.AWS_PROFILE = 'work';
  expect(await defaultRegion()).toBe('ap-south-1');
});

test('B7 a profile that was named holds for this identity alone', async () => {
  profile(`endpoint_url = ${aws.url}`);
  process.env.AWS_PROFILE = 'other';
  await callerIdentity({ region, profile: 'work' });
  await defaultRegion().catch(() => undefined);
  expect(process.env.AWS_PROFILE).toBe('other');
  delete process.env.AWS_PROFILE;
  await callerIdentity({ region, profile: 'work' });
  expect(await defaultRegion()).toBe('eu-west-3');
  expect(process.env.AWS_PROFILE).toBeUndefined();
});
