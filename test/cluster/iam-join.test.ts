/**
 * Hosts on AWS that join without a secret: with the identity that AWS gives them.
 * Tests: src/aws/identity-proof.ts, src/auth/host-certs.ts, src/webapi/join.ts
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openUnknownAuth } from '../../src/api/dial.js';
import { identityProof } from '../../src/aws/identity-proof.js';
import { silent } from '../../src/log.js';
import type { TeleportFile } from '../../src/resources/teleport-yaml.js';
import { teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';

const before = { ...process.env };
let aws: AwsDouble;
let agents: Principal;
let cluster: TestCluster;
let count = 0;
let dir: string;

beforeAll(async () => {
  aws = await startAwsDouble();
  agents = aws.addRole('db-agents');
  process.env = { ...before, ...aws.env(agents) };
  cluster = await startTestCluster({ agent: false });
});
afterAll(async () => {
  await cluster?.stop();
  process.env = before;
  await aws.stop();
});
beforeEach(() => {
  process.env = { ...before, ...aws.env(agents) };
  dir = join(cluster.dir, `host-${++count}`);
  mkdirSync(dir);
});

async function newToken(name: string, allow: object[], more: object = {}): Promise<string> {
  const spec = { roles: ['Db', 'Proxy'], join_method: 'iam', allow, ...more };
  const token = { kind: 'token', version: 'v2', metadata: { name }, spec };
  const { status, stderr } = await cluster.tctlWith(JSON.stringify(token), 'create', '-f');
  return status === 0 ? name : stderr;
}

async function startOnce(role: 'db' | 'proxy', token: string, section: TeleportFile['teleport'], method = 'iam') {
  const join_params = { method, token_name: token };
  const config = {
    teleport: { nodename: 'host', data_dir: join(dir, 'data'), join_params, ...section },
    auth_service: { enabled: false },
    proxy_service: { enabled: role === 'proxy', web_listen_addr: '127.0.0.1:0' },
    db_service: { enabled: role === 'db' },
  };
  const vars = { SSL_CERT_FILE: cluster.webCaFile };
  const running = await startTeleport(teleportConfig({}, 'teleport.yaml', config as TeleportFile), {
    log: silent,
    vars,
  });
  await running.close({ drainMs: 0 });
}

const throughProxy = () => ({ proxy_server: cluster.proxyAddr });
const joins = (outcome: boolean) =>
  cluster.auditEvents((events) =>
    events.some(({ event, success }) => event === 'instance.join' && success === outcome),
  );

test('an agent joins through the Proxy; what it is in AWS stands in the log, and it starts again without AWS', async () => {
  await newToken('by-account', [{ aws_account: aws.accountId }]);
  await startOnce('db', 'by-account', throughProxy());
  const event = (await joins(true)).findLast(({ event, method }) => event === 'instance.join' && method === 'iam');
  expect(event).toMatchObject({
    method: 'iam',
    success: true,
    aws_account: aws.accountId,
    aws_arn: expect.stringMatching(/:assumed-role\/db-agents\//),
  });
  expect(readFileSync(join(dir, 'data', 'identity-db.json'), 'utf8')).toContain('certPem');
  process.env = { ...before, ...aws.env() };
  await startOnce('db', 'by-account', throughProxy());
});

test('a Proxy joins at Auth, which its pins know', async () => {
  await newToken('by-arn', [{ aws_arn: `arn:aws:sts::${aws.accountId}:assumed-role/db-agents/*` }]);
  const pin = /sha256:[0-9a-f]+/.exec((await cluster.tctl('status')).stdout)![0];
  await startOnce('proxy', 'by-arn', { auth_server: `127.0.0.1:${cluster.teleport.auth!.port}`, ca_pin: [pin] });
});

describe('who may not', () => {
  const refusal = (token: string, method?: string) =>
    startOnce('db', token, throughProxy(), method).then(
      () => 'joined',
      (error: Error) => error.message,
    );

  test('an identity of another account, or another role', async () => {
    await newToken('other-account', [{ aws_account: '999999999999' }]);
    await newToken('other-role', [
      { aws_account: aws.accountId, aws_arn: `arn:aws:sts::${aws.accountId}:assumed-role/web-?/*` },
    ]);
    for (const token of ['other-account', 'other-role']) {
      expect(await refusal(token)).toMatch(
        /instance arn:aws:sts::\d+:assumed-role\/db-agents\/\S+ did not match any allow/,
      );
    }
    const events = await joins(false);
    expect(events.find(({ success, aws_arn }) => success === false && aws_arn !== undefined)).toMatchObject({
      aws_account: aws.accountId,
    });
  });

  test('who has no identity, or one that AWS does not know', async () => {
    await newToken('for-nobody', [{ aws_account: aws.accountId }]);
    process.env = { ...before, ...aws.env() };
    expect(await refusal('for-nobody')).toMatch(/joining the cluster failed: .*credentials/i);
    process.env = { ...before, ...aws.env(agents), AWS_SECRET_ACCESS_KEY: 'x'.repeat(40) };
    expect(await refusal('for-nobody')).toContain('AWS refuses the identity (status 403): SignatureDoesNotMatch');
  });

  test('whoever knows the name of such a token, or shows an identity where a secret is asked for', async () => {
    await newToken('known-name', [{ aws_account: aws.accountId }]);
    expect(await refusal('known-name', 'token')).toContain('this token is for the join method "iam" only');
    const secret = (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim();
    const asked = aws.count('sts:GetCallerIdentity');
    expect(await refusal(secret)).toContain('this token does not support the IAM join method');
    expect(await refusal('no-such-token')).toContain('the token is not valid');
    expect(aws.count('sts:GetCallerIdentity')).toBe(asked);
  });

  test('who says again what another one has said', async () => {
    await newToken('once', [{ aws_account: aws.accountId }]);
    await using client = openUnknownAuth({ host: '127.0.0.1', port: cluster.teleport.auth!.port }, undefined, {
      version: '18.3.0',
    });
    const said = await identityProof('a challenge of another conversation');
    const message = { registerUsingTokenRequest: { token: 'once', role: 'Db', hostId: 'h' }, stsIdentityRequest: said };
    const conversation = async () => {
      const own = async function* () {
        yield { ...message, registerUsingTokenRequest: { ...message.registerUsingTokenRequest, publicTlsKey: said } };
      };
      for await (const { certs } of client.join.registerUsingIAMMethod(own())) if (certs) return 'joined';
      return 'ended';
    };
    await expect(conversation()).rejects.toMatchObject({
      code: 'AccessDenied',
      message: expect.stringContaining('it does not answer the challenge'),
    });
  });
});

test.each([
  ['no rule', {}, /needs spec.allow/],
  ['an empty rule', { allow: [{}] }, /spec.allow\[0\] must set aws_account or aws_arn/],
  ['half an account', { allow: [{ aws_account: '1234' }] }, /"1234" is not an AWS account/],
  ['a name for an ARN', { allow: [{ aws_arn: 'db-agents' }] }, /"db-agents" is not the ARN of an identity/],
  [
    'the role of a leaf',
    { roles: ['Db', 'trusted_cluster'], allow: [{ aws_account: '123456789012' }] },
    /is for hosts/,
  ],
  ['what another method has', { allow: [{ aws_account: '123456789012', aws_role: 'x' }] }, /aws_role is not part of/],
  ['rules without the method', { join_method: 'token', allow: [{ aws_account: '123456789012' }] }, /spec.allow/],
])('a token with %s is not made', async (_, more, why) => {
  expect(await newToken('wrong', [], { allow: undefined, ...more })).toMatch(why);
});

test('it is given back as it was written, and its name is not hidden', async () => {
  const allow = [{ aws_account: aws.accountId, aws_arn: `arn:aws:sts::${aws.accountId}:assumed-role/a*/i-*` }];
  await newToken('given-back', allow, { databases: ['orders'] });
  const { stdout } = await cluster.tctl('get', 'token/given-back', '--format=json');
  expect(JSON.parse(stdout)[0].spec).toMatchObject({ join_method: 'iam', allow, databases: ['orders'] });
  expect((await cluster.tctlWith(JSON.stringify(JSON.parse(stdout)[0]), 'create', '-f')).status).toBe(0);
  expect((await cluster.tctl('tokens', 'ls')).stdout).toContain('given-back');
});
