/**
 * Passwords made with a person's own rights: nothing is assumed, and refusals speak to the person.
 * Tests: src/aws/availability.ts, src/aws/credentials.ts
 */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { absent, unavailable, whyUnavailable } from '../../src/aws/availability.js';
import { redshiftCredentials, redshiftIamCredentials, serverlessCredentials } from '../../src/aws/credentials.js';
import { isTeleportError, type TeleportError } from '../../src/errors.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';

const region = 'us-east-1';
const before = { ...process.env };
let aws: AwsDouble;
let alice: Principal;

beforeEach(async () => {
  aws = await startAwsDouble();
  alice = aws.addUser('alice');
  process.env = { ...before, ...aws.env(alice) };
  aws.addRedshiftCluster({ id: 'c1' });
  aws.addServerlessWorkgroup({ name: 'wg1' });
});
afterEach(async () => {
  process.env = { ...before };
  await aws.stop();
});

const place = () => ({ region, accountId: aws.accountId, dbName: 'dev', chain: [], asker: 'person' as const });
const may = (Action: string | string[]): PolicyDocument => ({
  Statement: [{ Effect: 'Allow', Action, Resource: '*' }],
});

async function failure(promise: Promise<unknown>): Promise<TeleportError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isTeleportError(error)) throw error ?? new Error('it did not fail');
  return error;
}

/** The one policy that a message shows. */
const shown = (message: string): PolicyDocument => JSON.parse(/^\{$[\s\S]*^\}$/m.exec(message)![0]);

describe('each kind of password: refused with the policy to paste, then given', () => {
  test.each([
    ['a database user', { dbUser: 'bob' }, 'IAM:bob'],
    ['a user made on the way, in groups', { dbUser: 'bob', autoCreate: true, dbGroups: ['sales', 'ops'] }, 'IAMA:bob'],
  ])('%s', async (_, more, user) => {
    const ask = () => redshiftCredentials({ ...place(), clusterId: 'c1', ...more });
    const { code, message } = await failure(ask());
    expect(code).toBe('AccessDenied');
    expect(message).toMatch(/Make sure that your IAM identity has permissions\nto generate Redshift credentials/);
    expect(message).not.toContain('agent');
    aws.attachPolicy(alice, shown(message));
    expect((await ask()).user).toBe(user);
    const { params } = aws.calls.at(-1)!;
    expect(params).toMatchObject(
      'autoCreate' in more
        ? { AutoCreate: 'true', 'DbGroups.DbGroup.1': 'sales', 'DbGroups.DbGroup.2': 'ops' }
        : { AutoCreate: 'false' },
    );
  });

  test('the own identity in a cluster', async () => {
    const ask = () => redshiftIamCredentials({ ...place(), clusterId: 'c1' });
    const { message } = await failure(ask());
    expect(message).toContain('Make sure that your IAM identity has permissions to generate credentials.');
    aws.attachPolicy(alice, shown(message));
    expect((await ask()).user).toBe('IAM:alice');
    expect(aws.count('sts:AssumeRole')).toBe(0);
  });

  test('the own identity in a workgroup', async () => {
    const workgroupId = aws.addServerlessWorkgroup({ name: 'wg2' }).id;
    const ask = () => serverlessCredentials({ ...place(), workgroup: 'wg2', workgroupId });
    const { message } = await failure(ask());
    expect(message).toContain('Make sure that your IAM identity has permissions to generate credentials.');
    aws.attachPolicy(alice, shown(message));
    expect((await ask()).user).toBe('IAM:alice');
    expect(aws.count('sts:AssumeRole')).toBe(0);
  });
});

describe('a database that cannot be entered', () => {
  test('does not exist: the regions that were looked in, and no policy', async () => {
    aws.attachPolicy(alice, may('*'));
    for (const [made, kind, look] of [
      [redshiftCredentials({ ...place(), clusterId: 'none', dbUser: 'bob' }), 'cluster', 'redshift describe-clusters'],
      [redshiftIamCredentials({ ...place(), clusterId: 'none' }), 'cluster', 'redshift describe-clusters'],
      [
        serverlessCredentials({ ...place(), workgroup: 'none' }),
        'Serverless workgroup',
        'redshift-serverless list-workgroups',
      ],
    ] as const) {
      expect(await failure(made)).toMatchObject({
        code: 'NotFound',
        message: `Redshift ${kind} "none" was not found. Looked in: us-east-1.`,
        hint: `It may be in another region or account. See what is there: aws ${look} --region us-east-1`,
      });
    }
    const several = absent({ kind: 'cluster', id: 'none', regions: ['us-east-1', 'eu-west-1'], profile: 'p' });
    expect(several.message).toBe('Redshift cluster "none" was not found. Looked in: us-east-1, eu-west-1.');
    expect(several.hint).toMatch(/--region us-east-1 --profile p$/);
  });

  test.each([
    ['cluster', 'paused', 'is paused', 'aws redshift resume-cluster --cluster-identifier c99 --region us-east-1'],
    ['cluster', 'resuming', 'is resuming', 'Wait until it is available: aws redshift describe-clusters'],
    ['workgroup', 'CREATING', 'is creating', 'Wait until it is available: aws redshift-serverless get-workgroup'],
    ['cluster', 'available', undefined, undefined],
    ['cluster', 'modifying', undefined, undefined],
  ] as const)('%s of status %s', async (kind, status, text, hint) => {
    aws.attachPolicy(alice, may(['redshift:*', 'redshift-serverless:*']));
    if (kind === 'cluster') aws.addRedshiftCluster({ id: 'c99', status });
    else aws.addServerlessWorkgroup({ name: 'c99', status });
    const error = await whyUnavailable({ region }, { kind, id: 'c99' });
    expect(error?.message).toEqual(text && expect.stringContaining(text));
    expect(error?.hint).toEqual(hint && expect.stringContaining(hint));
    expect(unavailable({ kind, id: 'c99' }, status, region)?.message).toBe(error?.message);
  });

  test('is not explained to whom AWS does not tell', async () => {
    expect(await whyUnavailable({ region }, { kind: 'cluster', id: 'c1' })).toBeUndefined();
    aws.attachPolicy(alice, may('redshift:*'));
    expect(await whyUnavailable({ region }, { kind: 'cluster', id: 'none' })).toMatchObject({ code: 'NotFound' });
  });
});
