/**
 * A proof made by the real SDK, and what Auth makes of it and of its forgeries, against an STS that checks signatures.
 * Tests: src/aws/proven-identity.ts
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { identityProof } from '../../src/aws/identity-proof.js';
import { partitionOfSts, provenIdentity } from '../../src/aws/proven-identity.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';

const CHALLENGE = 'G0t5cJ1n0kSx0m3N0nceOfThirtyTwoBytesBase64';
const before = { ...process.env };
let aws: AwsDouble;
let agent: Principal;

beforeEach(async () => {
  aws = await startAwsDouble();
  agent = aws.addUser('agent');
  process.env = { ...before, ...aws.env(agent) };
});
afterEach(async () => {
  process.env = { ...before };
  await aws.stop();
});

const isAsked = () => aws.count('sts:GetCallerIdentity');

test('a proof says whose it is, and asks AWS only when it is looked at', async () => {
  const proof = await identityProof(CHALLENGE);
  expect(isAsked()).toBe(0);
  expect(await provenIdentity(proof, CHALLENGE)).toEqual({ accountId: aws.accountId, arn: agent.arn });
  expect(isAsked()).toBe(1);
});

test('of a session of a role too, signed for the host of its region in its partition', async () => {
  const role = aws.addRole('agents');
  process.env = { ...before, ...aws.env(role) };
  const proof = await identityProof(CHALLENGE);
  expect(proof.toString()).toContain('\r\nhost: sts.us-east-1.amazonaws.com\r\n');
  expect((await provenIdentity(proof, CHALLENGE)).arn).toMatch(/^arn:aws:sts::\d{12}:assumed-role\/agents\//);
  process.env.AWS_REGION = 'cn-north-1';
  expect((await identityProof(CHALLENGE)).toString()).toContain('\r\nhost: sts.cn-north-1.amazonaws.com.cn\r\n');
});

test('AWS_ENDPOINT_URL_STS changes the address that is dialled, and not what is signed', async () => {
  process.env.AWS_ENDPOINT_URL_STS = aws.url;
  process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:9';
  const proof = await identityProof(CHALLENGE);
  expect(proof.toString()).toContain('\r\nhost: sts.us-east-1.amazonaws.com\r\n');
  expect((await provenIdentity(proof, CHALLENGE)).accountId).toBe(aws.accountId);
});

test('the region is the one that the aws command would take', async () => {
  delete process.env.AWS_REGION;
  process.env.AWS_DEFAULT_REGION = 'eu-west-3';
  expect((await identityProof(CHALLENGE)).toString()).toContain('\r\nhost: sts.eu-west-3.amazonaws.com\r\n');
  process.env.AWS_DEFAULT_REGION = 'not a region';
  await expect(identityProof(CHALLENGE)).rejects.toMatchObject({ code: 'BadParameter' });
});

test('without credentials there is no proof', async () => {
  process.env = { ...before, ...aws.env() };
  await expect(identityProof(CHALLENGE)).rejects.toMatchObject({ code: 'AccessDenied' });
});

/** What a stranger might send instead; none of it is sent on. */
const FORGERIES: [string, (proof: string) => string, RegExp][] = [
  ['another host', (text) => text.replace('sts.us-east-1.amazonaws.com', 'sts.evil.example.com'), /not a host of AWS/],
  ['a host that looks like it', (text) => text.replace('amazonaws.com', 'amazonaws.com.evil.net'), /not a host of AWS/],
  ['another path', (text) => text.replace('POST /', 'POST /x'), /not a POST/],
  ['another method', (text) => text.replace('POST', 'GET'), /not a POST/],
  ['another action', (text) => text.replace('GetCallerIdentity', 'GetSessionToken'), /other than GetCallerIdentity/],
  ['more of a body', (text) => `${text}&x=1`, /other than GetCallerIdentity/],
  ['the answer to another challenge', (text) => text.replace(CHALLENGE, CHALLENGE.toLowerCase()), /does not answer/],
  ['no challenge', (text) => text.replace(/x-teleport-challenge: .*\r\n/, ''), /does not answer/],
  ['a challenge that is not signed', (text) => text.replace(';x-teleport-challenge', ''), /does not cover x-teleport/],
  ['a header twice', (text) => text.replace('\r\nhost:', '\r\nhost: sts.amazonaws.com\r\nhost:'), /host twice/],
  ['a header that is folded', (text) => text.replace('\r\nhost:', '\r\n folded\r\nhost:'), /not a header/],
  [
    'another signed header',
    (text) => text.replace('SignedHeaders=', 'SignedHeaders=x-evil;'),
    /covers the header x-evil/,
  ],
  ['another service', (text) => text.replace('/sts/aws4_request', '/iam/aws4_request'), /does not cover host/],
  ['a long one', (text) => text.replace('\r\nhost:', `\r\nx-a: ${'a'.repeat(13_000)}\r\nhost:`), /too long/],
  ['nothing', () => '', /not a POST/],
  ['bytes', () => '\0\xff\r\n\r\n', /not a POST/],
];

test.each(FORGERIES)('%s is refused, and nobody is asked', async (_, forge, why) => {
  const forged = Buffer.from(forge((await identityProof(CHALLENGE)).toString('latin1')), 'latin1');
  await expect(provenIdentity(forged, CHALLENGE)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringMatching(why),
  });
  expect(isAsked()).toBe(0);
});

test('a header that is not signed is not sent on', async () => {
  const proof = (await identityProof(CHALLENGE)).toString().replace('\r\nhost:', '\r\nx-amz-target: Evil\r\nhost:');
  expect((await provenIdentity(Buffer.from(proof), CHALLENGE)).arn).toBe(agent.arn);
});

test('R-C-L2 the STS of one partition does not vouch for another', async () => {
  process.env.AWS_REGION = 'cn-north-1';
  const proof = await identityProof(CHALLENGE);
  await expect(provenIdentity(proof, CHALLENGE)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringContaining('sts.cn-north-1.amazonaws.com.cn vouches for an identity of another partition'),
  });
});

test('a signature that is not right is refused by AWS, with its reason', async () => {
  const proof = (await identityProof(CHALLENGE)).toString();
  const forged = proof.replace(/(?<=Signature=)./, (digit) => (digit === '0' ? '1' : '0'));
  await expect(provenIdentity(Buffer.from(forged), CHALLENGE)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringContaining('AWS refuses the identity (status 403): SignatureDoesNotMatch'),
  });
});

test('an AWS that cannot be asked is named', async () => {
  const proof = await identityProof(CHALLENGE);
  process.env.AWS_ENDPOINT_URL_STS = 'http://127.0.0.1:9';
  await expect(provenIdentity(proof, CHALLENGE)).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: expect.stringContaining('cannot ask AWS (127.0.0.1:9)'),
    hint: 'Auth has to reach this host; for a VPC endpoint set AWS_ENDPOINT_URL_STS.',
  });
});

test.each(['sts.example.com', 'localhost:4566', 'ftp://sts.example.com', 'https://', 'https://sts.example.com/x'])(
  'AWS_ENDPOINT_URL_STS=%s is named as what is wrong, and so is AWS_ENDPOINT_URL',
  async (endpoint) => {
    const proof = await identityProof(CHALLENGE);
    for (const setting of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_STS']) {
      process.env[setting] = endpoint;
      await expect(provenIdentity(proof, CHALLENGE)).rejects.toMatchObject({
        code: 'BadParameter',
        message: `${setting}: "${endpoint}" is not the address of STS`,
      });
    }
    expect(isAsked()).toBe(0);
  },
);

test('R-C-L2 hosts of STS, of the partitions that the DNS of everybody knows', () => {
  const hosts = [
    'sts.amazonaws.com',
    'sts.eu-central-1.amazonaws.com',
    'sts-fips.us-east-2.amazonaws.com',
    'sts.us-gov-west-1.amazonaws.com',
    'sts.cn-northwest-1.amazonaws.com.cn',
  ];
  expect(hosts.map(partitionOfSts)).toEqual(['aws', 'aws', 'aws', 'aws-us-gov', 'aws-cn']);
  const others = [
    '',
    'sts',
    'amazonaws.com',
    'sts.eu-central-1.amazonaws.com.',
    'STS.amazonaws.com',
    'x.sts.amazonaws.com',
    'sts.eu-central-1.amazonaws.com.cn',
    'sts.zz-evil-1.amazonaws.com',
    // Out here somebody else could have these domains.
    'sts.us-iso-east-1.c2s.ic.gov',
    'sts.us-isob-east-1.sc2s.sgov.gov',
    's3.eu-central-1.amazonaws.com',
    'sts.x.eu-central-1.amazonaws.com',
    'sts.amazonaws.com:443',
    'sts.amazonaws.com@evil.example.com',
  ];
  expect(others.filter(partitionOfSts)).toEqual([]);
});
