/**
 * What a person reads when there are no credentials, no region or no way to AWS.
 * Tests: src/aws/sts.ts
 */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { clientConfig } from '../../src/aws/clients.js';
import { fromAws } from '../../src/aws/errors.js';
import { nameProfile } from '../../src/aws/profile.js';
import { defaultRegion } from '../../src/aws/region.js';
import { GetCallerIdentityCommand, STSClient } from '../../src/aws/sdk/sts.js';
import { callerIdentity } from '../../src/aws/sts.js';
import { TeleportError } from '../../src/errors.js';

const before = { ...process.env };
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'aws-errors-'));
  process.env = { PATH: before.PATH, HOME: home, AWS_EC2_METADATA_DISABLED: 'true' };
  mkdirSync(join(home, '.aws'));
  const sso = 'sso_start_url = https://corp.awsapps.com/start\nsso_region = us-east-1\n';
  const account = 'sso_account_id = 123456789012\nsso_role_name = dev\nregion = us-east-1\n';
  const config = `[profile sso]\nsso_session = corp\n${account}[sso-session corp]\n${sso}[profile old]\n${sso}${account}`;
  writeFileSync(join(home, '.aws', 'config'), config);
});
afterEach(() => {
  process.env = { ...before };
  rmSync(home, { recursive: true });
});

async function failure(promise: Promise<unknown>): Promise<TeleportError> {
  return await promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  );
}

test.each([
  ['sso', 'sso', /SSO session token associated with profile=sso was not found or is invalid\.$/],
  ['old', 'old', /SSO session associated with this profile is invalid\.$/],
])('an SSO session that is over: log in again, with the profile %s', async (profile, named, text) => {
  const given = await failure(callerIdentity({ region: 'us-east-1', profile }));
  expect(given).toMatchObject({
    code: 'AccessDenied',
    message: expect.stringMatching(text),
    hint: `Log in again: aws sso login --profile ${named}`,
  });
  nameProfile(undefined);
  process.env.AWS_PROFILE = profile;
  expect(await failure(callerIdentity({ region: 'us-east-1' }))).toMatchObject({ hint: given.hint });
});

test('an AWS that takes the connection and says nothing', async () => {
  const silent = createServer(() => {});
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { requestHandler } = await clientConfig({ region: 'us-east-1' });
  const credentials = { accessKeyId: 'a', secretAccessKey: 'b' };
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const client = new STSClient({
    region: 'us-east-1',
    credentials,
    endpoint,
    maxAttempts: 1,
    requestHandler: { ...requestHandler, requestTimeout: 100 },
  });
  const error = await client.send(new GetCallerIdentityCommand({})).catch((reason: unknown) => reason);
  expect(fromAws(error)).toMatchObject({
    code: 'ConnectionProblem',
    message: 'AWS gave no answer within 1 s',
    hint: expect.stringContaining('HTTPS_PROXY'),
  });
  client.destroy();
  silent.close();
});

test('a profile that does not exist', async () => {
  expect(await failure(callerIdentity({ region: 'us-east-1', profile: 'nope' }))).toMatchObject({
    code: 'NotFound',
    message: 'there are no credentials in the AWS profile "nope"',
    hint: 'See which profiles there are: aws configure list-profiles',
  });
});

test.each([
  ['us_east', '"us_east" is not an AWS region'],
  ['useast', '"useast" is not an AWS region'],
  ['', 'no AWS region is known'],
])('AWS_REGION=%s', async (region, message) => {
  process.env.AWS_REGION = region;
  expect(await failure(defaultRegion())).toMatchObject({ code: 'BadParameter', message });
});

test('a region is that of the profile where nobody names one', async () => {
  expect(await defaultRegion('sso')).toBe('us-east-1');
});

test.each([
  'dial tcp: lookup sts.us-east-9.amazonaws.com: no such host',
  'getaddrinfo ENOTFOUND sts.us-east-9.amazonaws.com',
])('a region without servers is named: %s', (text) => {
  const { message, hint } = fromAws(new TeleportError('ConnectionProblem', text));
  expect(message).toBe(`AWS region "us-east-9" is not known here: ${text}`);
  expect(hint).toContain('spelling');
});

test("AWS's own code is shown, not the SDK's name for it", () => {
  const error = Object.assign(new Error('Cluster nope not found.'), {
    name: 'ClusterNotFoundFault',
    Code: 'ClusterNotFound',
  });
  expect(fromAws(error)).toMatchObject({ code: 'NotFound', message: 'ClusterNotFound: Cluster nope not found.' });
});
