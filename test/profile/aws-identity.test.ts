/** AWS logins on disk: which one counts, and what is left of a broken file. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type AwsIdentity, awsIdentities } from '../../src/profile/aws-identity.js';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'aws-identity-'));
});
afterEach(() => rmSync(base, { recursive: true }));

const identity = (name: string): AwsIdentity => ({
  name,
  regions: ['us-east-1'],
  accountId: '123456789012',
  arn: 'arn:aws:iam::123456789012:user/alice',
  databases: [],
});
const database = { name: 'sales', uri: 'h:1', aws: {}, dbUser: '', dbName: 'dev' };

test('the later of two logins counts: at AWS, or at a cluster with whichever tsh', async () => {
  const identities = awsIdentities(base);
  expect(await identities.currentName()).toBeUndefined();
  await identities.save(identity('dev'));
  expect(await identities.currentName()).toBe('dev');
  const cluster = join(base, 'current-profile');
  writeFileSync(cluster, 'teleport.example.com\n');
  utimesSync(cluster, new Date(), new Date(Date.now() + 3_600_000));
  expect(await identities.currentName()).toBeUndefined();
  utimesSync(cluster, new Date(), new Date(Date.now() - 3_600_000));
  expect(await identities.currentName()).toBe('dev');
  await identities.stepBack();
  expect(await identities.currentName()).toBeUndefined();
  expect(await identities.lastName()).toBe('dev');
});

test('files are for their owner only, whatever the name of the profile', async () => {
  const identities = awsIdentities(base);
  await identities.save(identity('../work/eu'));
  const path = join(base, 'aws-profiles', '%2E%2E%2Fwork%2Feu.json');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(base, 'aws-profiles')).mode & 0o777).toBe(0o700);
  expect((await identities.list()).map(({ name }) => name)).toEqual(['../work/eu']);
});

test('changes of two commands at once are both kept', async () => {
  const identities = awsIdentities(base);
  await identities.save(identity('dev'));
  const add = (name: string) => identities.changeDatabases('dev', (all) => [...all, { ...database, name }]);
  await Promise.all(['a', 'b', 'c', 'd'].map(add));
  expect((await identities.read('dev'))!.databases.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c', 'd']);
});

test('a login keeps the databases of the same identity, also one that came meanwhile; another begins without', async () => {
  const identities = awsIdentities(base);
  const again = { ...identity('dev'), regions: ['eu-west-1'] };
  await identities.save(identity('dev'));
  await identities.changeDatabases('dev', () => [database]);
  expect(await identities.save(again)).toEqual({ ...again, databases: [database] });
  expect(await identities.read('dev')).toEqual({ ...again, databases: [database] });
  const other = { ...again, arn: 'arn:aws:iam::123456789012:user/bob' };
  expect(await identities.save(other)).toEqual(other);
});

test('a broken file is named and stays whole; the others are listed', async () => {
  const identities = awsIdentities(base);
  await identities.save(identity('good'));
  mkdirSync(join(base, 'aws-profiles'), { recursive: true });
  const path = join(base, 'aws-profiles', 'bad.json');
  writeFileSync(path, '{"name": "bad"');
  await expect(identities.read('bad')).rejects.toThrow(`the AWS login ${path} cannot be read`);
  expect((await identities.list()).map(({ name }) => name)).toEqual(['good']);
  expect(readFileSync(path, 'utf8')).toBe('{"name": "bad"');
});

test('a deleted one is not the current one any more', async () => {
  const identities = awsIdentities(base);
  await identities.save(identity('dev'));
  expect(await identities.delete('dev')).toBe(true);
  expect(await identities.delete('dev')).toBe(false);
  expect(await identities.currentName()).toBeUndefined();
});
