/** Which names GetClusterCredentials takes. Source: Amazon Redshift API Reference. */
import { isDbGroup, isDbName, isDbUser } from './db-user.js';

test.each([
  ['alice', true],
  ['A', true],
  ['Alice.O+test@example.com', true],
  ['a_1-b', true],
  ['selected', true],
  ['x'.repeat(64), true],
  ['x'.repeat(65), false],
  ['', false],
  ['1alice', false],
  ['_alice', false],
  ['-alice', false],
  ['IAM:alice', false],
  ['a/b', false],
  ['a b', false],
  ['a$b', false],
  ['a"b', false],
  ['älice', false],
  ['alicé', false],
  ['alice\n', false],
  ['Public', false],
  ['SELECT', false],
  ['user', false],
  ['default', false],
])('as a user, %j: %s', (name, isRight) => {
  expect(isDbUser(name)).toBe(isRight);
});

test('a database may be called public, and not as a reserved word', () => {
  expect(['dev', 'Public', 'table', 'a:b', ''].map(isDbName)).toEqual([true, true, false, false, false]);
});

test('the name of a group has no capital letter', () => {
  expect(['readers', 'Readers', 'group', '1a'].map(isDbGroup)).toEqual([true, false, false, false]);
});
