/**
 * Who may ask about whom, and what of it is said.
 * Tests: src/auth/grpc/access-reader.ts
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { TestAuth } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
const clients: Record<string, AuthClient> = {};
const ALL = { values: { '*': { values: ['*'] } } };

const role = (name: string, allow: object) =>
  admin.auth.upsertRoleV2({ role: { version: 'v7', metadata: { name }, spec: { allow } } });

beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
  await role('dev', { dbLabels: ALL, dbUsers: ['{{internal.db_users}}'], dbNames: ['dev'] });
  await role('reader', { rules: [{ resources: ['user', 'role'], verbs: ['read', 'list'] }] });
  await role('secret', { dbLabels: ALL, dbUsers: ['*'], dbNames: ['*'] });
  for (const [name, roles] of Object.entries({ alice: ['dev'], ed: ['editor'], rita: ['reader'] })) {
    clients[name] = await cluster.as(await cluster.login(name, await cluster.invite(name, roles)));
  }
  const database = (name: string) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name },
    spec: { protocol: 'postgres', uri: 'h:1' },
  });
  for (const name of ['sales', 'stock']) {
    const server = { hostId: 'h', hostname: 'h', version: '18.3.0', database: database(name) };
    await admin.auth.upsertDatabaseServer({
      server: { kind: 'db_server', version: 'v3', metadata: { name }, spec: server },
    });
  }
});
afterAll(() => cluster.remove());

const about = (user: string) => ({ user, database: 'sales', dbUser: 'u', dbName: 'dev' });

describe('about others', () => {
  test('whoever may read users and roles; a reader who sees no database hears of none', async () => {
    await expect(clients.alice!.accessReader.explainAccess(about('ed'))).rejects.toThrow(
      'access denied to perform action "read" on "user"',
    );
    await expect(clients.alice!.accessReader.listAccess({ database: 'sales' })).rejects.toThrow('access denied');
    await expect(clients.rita!.accessReader.explainAccess(about('alice'))).rejects.toThrow(
      'database "sales" not found',
    );
    await expect(clients.rita!.accessReader.listAccess({ database: 'sales' })).rejects.toThrow(
      'database "sales" not found',
    );
    expect((await clients.rita!.accessReader.listAccess({ user: 'alice' })).entrances).toEqual([]);
  });

  test('an editor, who could give herself every label, hears of all roles', async () => {
    const { allowed, changes } = await clients.ed!.accessReader.explainAccess(about('alice'));
    expect(allowed).toBe(false);
    expect(changes).toMatchObject([{ kind: 'trait', target: 'db_users', values: ['u'] }]);
    const two = await clients.ed!.accessReader.explainAccess({ ...about('alice'), dbName: 'other' });
    expect(two.changes).toMatchObject([{ kind: 'assign', target: 'secret', values: ['dev', 'secret'] }]);
  });

  test('lists say each way in, page by page', async () => {
    await admin.users.createUser({ user: { metadata: { name: 'sam' }, spec: { roles: ['secret'] } } });
    const ways = (await admin.accessReader.listAccess({ database: 'sales' })).entrances;
    expect(ways.map(({ user, role, dbUsers }) => [user, role, dbUsers.join()])).toEqual([['sam', 'secret', '*']]);
    const where = await admin.accessReader.listAccess({ user: 'sam', start: 'stock' });
    expect(where).toMatchObject({ entrances: [{ database: 'stock', role: 'secret' }], next: '' });
    await role('secret', { dbLabels: ALL, dbUsers: ['*'], dbNames: ['other'] });
    // What was worked out for a page is not for roles that have changed since.
    expect((await admin.accessReader.listAccess({ user: 'sam' })).entrances[0]).toMatchObject({ dbNames: ['other'] });
    await role('secret', { dbLabels: ALL, dbUsers: ['*'], dbNames: ['*'] });
    await expect(admin.accessReader.listAccess({})).rejects.toThrow('name either a user or a database');
    await expect(admin.accessReader.listAccess({ user: 'x', database: 'y' })).rejects.toThrow('either');
  });
});

test('R-D-7 of a database that two agents offer with different labels, every answer is about the same one', async () => {
  const team = (value: string) => ({ values: { team: { values: [value] } } });
  for (const one of ['red', 'blue']) await role(one, { dbLabels: team(one), dbUsers: ['u'], dbNames: ['dev'] });
  await admin.users.createUser({ user: { metadata: { name: 'tess' }, spec: { roles: ['red'] } } });
  await admin.users.createUser({ user: { metadata: { name: 'theo' }, spec: { roles: ['blue'] } } });
  for (const [hostId, value] of [
    ['h1', 'red'],
    ['h2', 'blue'],
  ] as const) {
    const metadata = { name: 'twice', labels: { team: value } };
    const database = { kind: 'db', version: 'v3', metadata, spec: { protocol: 'postgres', uri: 'h:1' } };
    const server = { hostId, hostname: 'h', version: '18.3.0', database };
    await admin.auth.upsertDatabaseServer({
      server: { kind: 'db_server', version: 'v3', metadata: { name: 'twice' }, spec: server },
    });
  }
  const who = (await admin.accessReader.listAccess({ database: 'twice' })).entrances.map(({ user }) => user);
  for (const user of ['tess', 'theo']) {
    const asked = { user, database: 'twice', dbUser: 'u', dbName: 'dev' };
    const { allowed } = await admin.accessReader.explainAccess(asked);
    const { entrances } = await admin.accessReader.listAccess({ user });
    expect([user, allowed, entrances.length]).toEqual([user, who.includes(user), who.includes(user) ? 1 : 0]);
  }
});

describe('about oneself', () => {
  test('everything of the own roles, nothing of others', async () => {
    const { user, allowed, blocks, changes } = await clients.alice!.accessReader.explainAccess({
      ...about(''),
      dbName: 'other',
    });
    expect([user, allowed]).toEqual(['alice', false]);
    expect(blocks.map(({ role }) => role)).toEqual(['dev']);
    expect(changes.map(({ kind, target }) => [kind, target])).toEqual([
      ['trait', 'db_users'],
      ['role', 'dev'],
    ]);
  });

  test('roles and traits of now, whatever the certificate says', async () => {
    await admin.users.updateUser({
      user: {
        kind: 'user',
        version: 'v2',
        metadata: { name: 'alice' },
        spec: { roles: ['dev'], traits: { values: { db_users: { values: ['u'] } } } },
      },
    });
    expect(await clients.alice!.accessReader.explainAccess(about(''))).toMatchObject({
      allowed: true,
      changes: [],
      message: '',
    });
  });

  test('R-A-H4 what is asked has a bound, which the refusal names', async () => {
    const ask = (more: object) => clients.alice!.accessReader.explainAccess({ ...about(''), ...more });
    const names = (count: number) => Array.from({ length: count }, (_, at) => `r${at}`);
    await expect(ask({ dbRoles: names(257) })).rejects.toThrow('the request has 257 db_roles, and 256 are the most');
    await expect(ask({ dbRoles: ['x'.repeat(1_025)] })).rejects.toThrow('characters in one of db_roles');
    const long = 'x'.repeat(1_025);
    for (const [member, field] of Object.entries({
      user: 'user',
      database: 'database',
      dbUser: 'db_user',
      dbName: 'db_name',
    }))
      await expect(ask({ [member]: long })).rejects.toThrow(`1025 characters in ${field}, and 1024 are the most`);
    await expect(admin.accessReader.listAccess({ user: long })).rejects.toThrow('1025 characters in user');
    expect((await ask({ dbRoles: names(256) })).user).toBe('alice');
    const targets = names(257).map((user) => ({ user }));
    await expect(admin.auth.getLocks({ targets })).rejects.toThrow('257 Targets, and 256 are the most');
    await expect(admin.auth.listProvisionTokens({ filterRoles: names(257) })).rejects.toThrow('257 FilterRoles');
  });
});
