import { describe, expect, test } from '@jest/globals';
import { chooseDbName, chooseDbUser } from '../../../src/access/cluster/choose-names.js';

describe('the database user or name that was not typed', () => {
  test.each([
    { roles: 'one explicit value', allowed: ['a'], denied: [], chosen: 'a' },
    { roles: 'a wildcard beside one explicit value', allowed: ['*', 'a'], denied: [], chosen: 'a' },
  ])('is $chosen with $roles', ({ allowed, denied, chosen }) => {
    expect(chooseDbUser('pg', { allowed, denied })).toBe(chosen);
    expect(chooseDbName('pg', { allowed, denied })).toBe(chosen);
  });

  test.each([
    { allowed: ['b', 'a'], denied: [], list: '[a b]' },
    { allowed: ['*'], denied: [], list: '[*]' },
    { allowed: ['*'], denied: ['root'], list: '[*] except [root]' },
    { allowed: ['*', 'a', 'b'], denied: ['z', 'y'], list: '[* a b] except [y z]' },
  ])('must be typed where the roles allow $list', ({ allowed, denied, list }) => {
    expect(() => chooseDbUser('pg', { allowed, denied })).toThrow(
      `please provide the database user using the --db-user flag, allowed database users for pg: ${list}`,
    );
    expect(() => chooseDbName('pg', { allowed, denied })).toThrow(
      `please provide the database name using the --db-name flag, allowed database names for pg: ${list}`,
    );
  });

  test('is refused where the roles allow none', () => {
    expect(() => chooseDbName('pg', { allowed: [], denied: [] })).toThrow(
      'you are not allowed access to any database name for pg, ask a cluster administrator to ensure your Teleport user has appropriate db_names set',
    );
  });

  test('must be typed where the roles could not be read, and nobody is told that they allow nothing', () => {
    expect(() => chooseDbUser('pg', { allowed: [], denied: [], unknown: true })).toThrow(
      /^please provide the database user using the --db-user flag$/,
    );
  });
});
