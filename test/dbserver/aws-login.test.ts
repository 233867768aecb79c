/** Whose rights a password is made with, what it is kept under, and how long one waits for it. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CredentialCache } from '../../src/aws/credential-cache.js';
import { createAwsLogins, type LoginAs, type Principal } from '../../src/dbserver/aws-login.js';
import { databaseWithDefaults } from '../../src/resources/defaults.js';
import type { Database } from '../../src/resources/types.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';

const before = { ...process.env };
let aws: AwsDouble;

beforeEach(async () => {
  aws = await startAwsDouble();
  const may = { Statement: { Effect: 'Allow' as const, Action: '*', Resource: '*' } };
  process.env = { ...before, ...aws.env(aws.addUser('alice', { policies: [may] })) };
  aws.addRedshiftCluster({ id: 'c1' });
  aws.addServerlessWorkgroup({ name: 'wg1' });
});
afterEach(async () => {
  process.env = { ...before };
  await aws.stop();
});

function database(more: object = { redshift: { cluster_id: 'c1' } }): Database {
  return databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name: 'db', labels: {} },
    spec: { protocol: 'postgres', uri: 'db.example.com:5439', aws: { region: aws.region, ...more } },
  } as unknown as Database);
}

const person: Principal = { asker: 'person' };
const bob: LoginAs = { dbUser: 'bob', dbName: 'dev' };
const cache = () => new CredentialCache({ now: () => new Date() });

test('a person without a database user is who IAM says, in a cluster and in a workgroup', async () => {
  const logins = createAwsLogins(cache(), person);
  const self = { dbUser: '', dbName: 'dev' };
  expect(await logins.credential(database(), self)).toMatchObject({ user: 'IAM:alice', isCached: false });
  const workgroup = database({ redshift_serverless: { workgroup_name: 'wg1' } });
  expect(await logins.credential(workgroup, self)).toMatchObject({ user: 'IAM:alice' });
  expect(aws.count('sts:AssumeRole')).toBe(0);
});

test('a password is kept for exactly one principal, database, role, user, name and set of groups', async () => {
  const shared = cache();
  const trust = {
    Statement: { Effect: 'Allow' as const, Principal: { AWS: aws.accountId }, Action: 'sts:AssumeRole' },
  };
  const role = aws.addRole('r', { trust, policies: [{ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }] });
  const own = { redshift: { cluster_id: 'c1' }, account_id: aws.accountId };
  const asks: [Principal, Database, LoginAs][] = [
    [person, database(), bob],
    [{ ...person, identity: { arn: 'arn:aws:iam::123456789012:user/x', accountId: aws.accountId } }, database(), bob],
    [{ ...person, chain: [{ roleArn: role.arn }] }, database(), bob],
    [person, database({ ...own, assume_role_arn: role.arn }), bob],
    [person, database({ ...own, assume_role_arn: role.arn, external_id: 'e1' }), bob],
    [person, database({ ...own, assume_role_arn: role.arn, session_tags: { a: 'b' } }), bob],
    [person, database(), { ...bob, dbUser: 'eve' }],
    [person, database(), { ...bob, dbName: 'other' }],
    [person, database(), { ...bob, autoCreate: true }],
    [person, database(), { ...bob, dbGroups: ['b', 'a'] }],
  ];
  aws.setTrust(role, { Statement: { ...trust.Statement, Action: 'sts:*' } } as never);
  const passwords = new Map<string, boolean>();
  for (const [principal, db, as] of asks) {
    const { password, isCached } = await createAwsLogins(shared, principal).credential(db, as);
    passwords.set(password, isCached);
  }
  expect([...passwords.values()]).toEqual(asks.map(() => false));
  // The same in other words.
  const again = createAwsLogins(shared, person);
  expect((await again.credential(database(), { ...bob, autoCreate: false, dbGroups: [] })).isCached).toBe(true);
  expect((await again.credential(database(), { ...bob, dbGroups: ['a', 'b'] })).isCached).toBe(true);
});

test('only a role is taken for one person alone: a database user is the same for all', async () => {
  const trust = {
    Statement: { Effect: 'Allow' as const, Principal: { AWS: aws.accountId }, Action: 'sts:AssumeRole' },
  };
  aws.addRole('r', { trust, policies: [{ Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }] });
  const logins = createAwsLogins(cache());
  const ask = async (dbUser: string, askedBy: string) =>
    (await logins.credential(database(), { dbUser, dbName: 'dev', askedBy })).isCached;
  expect([await ask('bob', 'alice'), await ask('bob', 'carol')]).toEqual([false, true]);
  expect([await ask('role/r', 'alice'), await ask('role/r', 'carol'), await ask('role/r', 'alice')]).toEqual([
    false,
    false,
    true,
  ]);
});

test('an AWS that never answers is not waited for beyond the time of a login', async () => {
  const sockets = new Set<Socket>();
  const silent = createServer((socket) => void sockets.add(socket.on('error', () => {})));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const logins = createAwsLogins(cache(), { asker: 'agent' }, { timeoutMs: 200 });
  await expect(logins.credential(database(), bob)).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: 'timed out after 1 s waiting for a password for "db" from AWS in us-east-1',
    hint: expect.stringContaining('HTTPS_PROXY'),
  });
  silent.close();
  for (const socket of sockets) socket.destroy();
});

test('an AWS that is not reached is named, without a policy that would not help', async () => {
  process.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:1';
  await expect(createAwsLogins(cache()).credential(database(), bob)).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: expect.stringMatching(/^Could not generate Redshift IAM auth token:\n\n {2}.*ECONNREFUSED.*\n$/),
    hint: expect.stringContaining('AWS was not reached'),
  });
});
