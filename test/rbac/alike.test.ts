/** What is decided once for databases that roles cannot tell apart is what is decided for each of them. */
import { expect, test } from '@jest/globals';
import { oncePerKind } from '../../src/rbac/alike.js';
import { allowedNames, allowedUsers, entrances } from '../../src/rbac/allowed.js';
import { databaseWithDefaults, roleWithDefaults } from '../../src/resources/defaults.js';
import type { Database, Role } from '../../src/resources/types.js';

const roleOf = (name: string, allow: object, deny: object = {}, options: object = {}): Role =>
  roleWithDefaults({ kind: 'role', version: 'v7', metadata: { name }, spec: { allow, deny, options } } as never);

const databaseOf = (name: string, labels: Record<string, string>, spec: object = {}): Database =>
  databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels },
    spec: { protocol: 'postgres', uri: `${name}:5432`, ...spec },
  } as never);

const redshift = (account: string, region = 'eu-central-1') => ({
  aws: { region, account_id: account, redshift: { cluster_id: 'c' } },
});

/** Each differs from the first in one thing that a role below looks at. */
const DATABASES = [
  databaseOf('plain', { env: 'prod', team: 'a', owner: 'x' }),
  databaseOf('env', { env: 'stage', team: 'a', owner: 'x' }),
  databaseOf('team', { env: 'prod', team: 'b', owner: 'x' }),
  databaseOf('no-label', {}),
  databaseOf('inherited', { constructor: 'x' }),
  databaseOf('command', {}, { dynamic_labels: { env: { period: '1m', command: ['x'], result: 'prod' } } }),
  databaseOf('redshift', { env: 'prod', team: 'a' }, redshift('111111111111')),
  databaseOf('account', { env: 'prod', team: 'a' }, redshift('222222222222')),
  databaseOf('region', { env: 'prod', team: 'a' }, redshift('111111111111', 'cn-north-1')),
  databaseOf('serverless', { env: 'prod', team: 'a' }, { aws: { redshift_serverless: { workgroup_name: 'w' } } }),
  databaseOf('mysql', { env: 'prod', team: 'a' }, { protocol: 'mysql' }),
  databaseOf('admin', { env: 'prod', team: 'a' }, { admin_user: { name: 'boss' } }),
  databaseOf('admin-label', { env: 'prod', team: 'a', 'teleport.dev/db-admin': 'boss' }),
];

const ROLES = [
  roleOf('env', { db_labels: { env: ['prod', 'st*'] }, db_users: ['u', 'role/R'], db_names: ['n'] }),
  roleOf('arn', { db_labels: { '*': '*' }, db_users: ['arn:aws:iam::111111111111:role/R'], db_names: ['n'] }),
  roleOf('deny', {}, { db_labels: { team: 'b' }, db_users: ['arn:aws:iam::222222222222:role/R'] }),
  roleOf('auto', { db_labels: { env: 'prod' }, db_names: ['n'] }, {}, { create_db_user_mode: 'keep' }),
  roleOf('expression', { db_labels_expression: 'labels["owner"] == "x"', db_users: ['e'], db_names: ['n'] }),
];

const sets = Array.from({ length: 2 ** ROLES.length }, (_, bits) => ROLES.filter((_role, at) => (bits >> at) & 1));

test('with every set of roles, for ways in and for users and names', () => {
  for (const roles of sets) {
    const work = (database: Database) => [
      entrances({ username: 'alice', roles, traits: {}, database }),
      allowedUsers(roles, database, 'alice'),
      allowedNames(roles, database),
    ];
    const once = oncePerKind(roles, work);
    for (const database of DATABASES) expect(once(database)).toEqual(work(database));
  }
});

test('a long list of few kinds is decided few times, whatever else their labels say', () => {
  const asked: string[] = [];
  const once = oncePerKind([ROLES[0]!], ({ metadata }) => asked.push(metadata.name));
  for (let at = 0; at < 1000; at++)
    once(databaseOf(`db${at}`, { env: at % 2 ? 'prod' : 'dev', Name: `cluster ${at}` }));
  expect(asked).toEqual(['db0', 'db1']);
});

test('of very many kinds some are decided each time, and all rightly', () => {
  let asked = 0;
  const once = oncePerKind([ROLES[0]!], ({ metadata }) => {
    asked += 1;
    return metadata.name;
  });
  const kinds = Array.from({ length: 6000 }, (_, at) => databaseOf(`db${at}`, { env: `env${at}` }));
  for (const _ of ['once', 'again']) for (const database of kinds) expect(once(database)).toBe(database.metadata.name);
  expect(asked).toBeLessThan(8000);
});
