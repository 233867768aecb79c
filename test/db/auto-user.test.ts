/** Which sessions have a user that is made for them, and what is refused before anything is made. */
import { expect, test } from '@jest/globals';
import { autoUserOf, notActivated } from '../../src/db/auto-user.js';
import { messageOf, TeleportError } from '../../src/errors.js';
import type { Database } from '../../src/resources/types.js';
import { role } from './agent.js';

const database = (spec: object = {}, labels: Record<string, string> = {}): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name: 'd', labels },
  spec: { protocol: 'postgres', uri: 'h:5432', admin_user: { name: 'boss' }, ...spec },
});
const wish = (given: Database, dbRoles: string[] = []) =>
  autoUserOf({
    username: 'Alice',
    roles: [role({ db_roles: ['writer', 'reader'] }, { create_db_user_mode: 'keep' })],
    traits: {},
    database: given,
    dbName: 'dev',
    dbRoles,
  });
const refused = (given: Database): TeleportError => {
  try {
    wish(given);
  } catch (error) {
    return error as TeleportError;
  }
  throw new Error('was taken');
};

test('the user has the name of the server, sorted roles, and an administrator in the session’s database', () => {
  expect(wish(database())).toEqual({
    name: 'Alice',
    owner: 'Alice',
    mode: 'keep',
    roles: ['reader', 'writer'],
    admin: { name: 'boss', database: 'dev' },
  });
  const redshift = database(
    { admin_user: undefined, aws: { redshift: { cluster_id: 'c' } } },
    {
      'teleport.dev/db-admin': 'tagged',
      'teleport.dev/db-admin-default-database': 'admin',
    },
  );
  expect(wish(redshift, ['reader'])).toEqual({
    name: 'alice',
    owner: 'Alice',
    mode: 'keep',
    roles: ['reader'],
    admin: { name: 'tagged', database: 'admin' },
  });
});

test('without a mode nobody is made', () => {
  const off = { username: 'a', traits: {}, database: database(), dbName: 'd', dbRoles: [] };
  expect(autoUserOf({ ...off, roles: [role({ db_roles: ['reader'] })] })).toBeUndefined();
});

test('Serverless, other kinds and databases without an administrator are refused in Teleport’s words, with the reason', () => {
  const needs = 'your Teleport role requires automatic database user provisioning but this database';
  const serverless = refused(database({ aws: { redshift_serverless: { workgroup_name: 'w' } } }));
  expect(serverless.message).toBe(`${needs} doesn't support it, contact your Teleport administrator`);
  expect(serverless.hint).toContain('automatic user provisioning is not compatible with Redshift Serverless');
  expect(serverless.hint).toContain('role/analyst');
  expect(refused(database({ protocol: 'mysql' })).message).toBe(serverless.message);
  const without = refused(database({ admin_user: undefined }));
  expect(without.message).toBe(`${needs} doesn't have admin user configured, contact your Teleport administrator`);
});

test('roles that are not given are refused by name', () => {
  expect(() => wish(database(), ['owner'])).toThrow('access to database role "owner" denied');
});

test('what kept a user out is in the words of whoever said it, with its hint', () => {
  const error = notActivated('alice', new TeleportError('NotFound', 'no such role', { hint: 'Make it.' }));
  expect([error.code, error.hint]).toEqual(['NotFound', 'Make it.']);
  expect(messageOf(error)).toMatch(/activate database user "alice" failed due to the following error: no such role$/);
  expect(notActivated('alice', new Error('x')).code).toBe('ConnectionProblem');
});
