/**
 * Tests: src/api/host-identity.ts, src/auth/databases.ts, src/auth/grpc/databases.ts, src/auth/grpc/tokens.ts
 * Tests: src/auth/grpc/users-service.ts, src/auth/grpc/users.ts, src/auth/list-resources.ts, src/auth/tokens.ts
 * Tests: src/auth/users.ts
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { codeAt, PASSWORD, TestAuth } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
let agent: AuthClient;
let alice: AuthClient;
let editor: AuthClient;
const HOST = () => cluster.auth.hostId;

beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
  agent = await cluster.asHost('Db');
  await admin.auth.upsertRoleV2({
    role: {
      version: 'v7',
      metadata: { name: 'dev' },
      spec: { allow: { dbLabels: { values: { env: { values: ['dev'] } } }, dbUsers: ['*'], dbNames: ['*'] } },
    },
  });
  alice = await cluster.as(await cluster.login('alice', await cluster.invite('alice', ['dev'])));
  editor = await cluster.as(await cluster.login('ed', await cluster.invite('ed', ['editor'])));
});
afterAll(() => cluster.remove());

const server = (name: string, labels: Record<string, string>, hostId = HOST()) => ({
  server: {
    kind: 'db_server',
    version: 'v3',
    metadata: { name },
    spec: {
      version: '18.3.0',
      hostname: 'agent-1',
      hostId,
      database: {
        kind: 'db',
        version: 'v3',
        metadata: { name, labels },
        spec: { protocol: 'postgres', uri: `${name}:5432` },
      },
    },
  },
});
const listed = async (client: AuthClient, more: object = {}) => {
  const { resources, nextKey } = await client.auth.listResources({ resourceType: 'db_server', limit: 1000, ...more });
  const names = resources.map(({ resource }) =>
    resource.case === 'databaseServer' ? resource.value.metadata?.name : '',
  );
  return { names, nextKey };
};

describe('ListResources', () => {
  beforeAll(async () => {
    await agent.auth.upsertDatabaseServer(server('sales', { env: 'dev', team: 'Sales' }));
    await agent.auth.upsertDatabaseServer(server('stock', { env: 'dev' }));
    await agent.auth.upsertDatabaseServer(server('payroll', { env: 'prod' }));
  });

  test('a user sees what the labels of her roles select, a host sees all', async () => {
    expect((await listed(alice)).names).toEqual(['sales', 'stock']);
    expect((await listed(editor)).names).toEqual([]);
    expect((await listed(admin)).names).toEqual(['payroll', 'sales', 'stock']);
  });

  test('labels, keywords and predicate narrow together', async () => {
    expect((await listed(alice, { labels: { team: 'Sales' } })).names).toEqual(['sales']);
    expect((await listed(alice, { searchKeywords: ['SALES', 'postgres'] })).names).toEqual(['sales']);
    expect((await listed(alice, { predicateExpression: 'name == "stock"' })).names).toEqual(['stock']);
    const query = '(hasPrefix(name, "s")) && !(labels["team"] == "Sales")';
    expect((await listed(alice, { predicateExpression: query })).names).toEqual(['stock']);
    expect((await listed(alice, { predicateExpression: 'name == "payroll"' })).names).toEqual([]);
    await expect(listed(alice, { predicateExpression: 'name ==' })).rejects.toThrow('parsing expression');
  });

  test('pages are as long as asked for and the last one says so', async () => {
    const first = await listed(admin, { limit: 2 });
    expect(first.names).toEqual(['payroll', 'sales']);
    const last = await listed(admin, { limit: 2, startKey: first.nextKey });
    expect(last).toEqual({ names: ['stock'], nextKey: '' });
  });

  test('an offer ends with its time, its withdrawal or its agent, and nobody offers for another host', async () => {
    await expect(agent.auth.upsertDatabaseServer(server('x', {}, 'other-host'))).rejects.toMatchObject({
      code: 'AccessDenied',
    });
    const nameless = server('x', {});
    for (const metadata of [undefined, { name: 'y' }]) {
      const database = { ...nameless.server.spec.database, metadata };
      const offer = { server: { ...nameless.server, spec: { ...nameless.server.spec, database } } };
      await expect(agent.auth.upsertDatabaseServer(offer as typeof nameless)).rejects.toMatchObject({
        code: 'BadParameter',
      });
    }
    await expect(alice.auth.upsertDatabaseServer(server('x', {}))).rejects.toMatchObject({ code: 'AccessDenied' });
    await agent.auth.deleteDatabaseServer({ hostId: HOST(), name: 'payroll' });
    await expect(agent.auth.deleteDatabaseServer({ hostId: HOST(), name: 'payroll' })).rejects.toMatchObject({
      code: 'NotFound',
    });
    cluster.ahead = 11 * 60_000;
    expect((await listed(admin)).names).toEqual([]);
    cluster.ahead = 0;
  });
});

describe('who may do what', () => {
  test('a refusal names every verb and the kind', async () => {
    await expect(alice.auth.listRoles({})).rejects.toMatchObject({
      code: 'AccessDenied',
      message: 'access denied to perform action "list" on "role", access denied to perform action "read" on "role"',
    });
    await expect(alice.users.createUser({ user: { metadata: { name: 'x' } } })).rejects.toMatchObject({
      message: 'access denied to perform action "create" on "user"',
    });
    await expect(alice.auth.deleteToken({ name: 'x' })).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(alice.auth.upsertLock({ spec: { target: { user: 'ed' } } })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
    await expect(agent.users.createUser({ user: { metadata: { name: 'x' } } })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
    await expect(alice.databaseAgent.getSessionAccess({ user: 'ed' })).rejects.toMatchObject({ code: 'AccessDenied' });
  });

  test('everybody may read herself, her roles and the settings', async () => {
    expect((await alice.users.getUser({ currentUser: true })).user?.metadata?.name).toBe('alice');
    const roles: string[] = [];
    for await (const role of alice.auth.getCurrentUserRoles({})) roles.push(role.metadata?.name ?? '');
    expect(roles).toEqual(['dev']);
    expect((await alice.clusterConfig.getAuthPreference({})).spec?.signatureAlgorithmSuite).toBe(2);
    expect((await alice.presence.listRemoteClusters({})).remoteClusters).toEqual([]);
    await alice.auth.getClusterAlerts({});
    await alice.auth.getAccessCapabilities({ user: 'alice' });
    const user = (await admin.users.getUser({ name: 'alice' })).user;
    expect(user?.status).toMatchObject({ passwordState: 2, mfaWeakestDevice: 2 });
  });

  test('an editor manages users, and databases only where labels let her', async () => {
    await editor.users.createUser({ user: { metadata: { name: 'made' }, spec: { roles: ['dev'] } } });
    const made = (await editor.users.getUser({ name: 'made' })).user;
    expect(made?.spec?.createdBy?.user?.name).toBe('ed');
    const db = {
      metadata: { name: 'pg1', labels: { env: 'dev' } },
      spec: { protocol: 'postgres', uri: 'db.example.com:5432' },
    };
    await expect(editor.auth.createDatabase(db)).rejects.toMatchObject({ code: 'AccessDenied' });
    await admin.auth.createDatabase(db);
    expect((await alice.auth.listDatabases({})).databases.map(({ metadata }) => metadata?.name)).toEqual(['pg1']);
    await expect(admin.auth.createDatabase(db)).rejects.toMatchObject({
      code: 'AlreadyExists',
      message: 'database "pg1" already exists',
    });
    await admin.auth.deleteDatabase({ name: 'pg1' });
    await expect(admin.auth.getDatabase({ name: 'pg1' })).rejects.toMatchObject({
      message: 'database "pg1" not found',
    });
  });

  test('a user who was deleted is refused at the next call', async () => {
    const gone = await cluster.as(await cluster.login('gone', await cluster.invite('gone', ['dev'])));
    await gone.users.getUser({ currentUser: true });
    await admin.users.deleteUser({ name: 'gone' });
    await expect(gone.users.getUser({ currentUser: true })).rejects.toMatchObject({ code: 'AccessDenied' });
    await expect(admin.users.deleteUser({ name: 'gone' })).rejects.toMatchObject({ message: 'user "gone" not found' });
  });
});

describe('texts and rules of resources', () => {
  test.each([
    [
      'a taken user',
      () => admin.users.createUser({ user: { metadata: { name: 'alice' }, spec: { roles: ['dev'] } } }),
      'user "alice" already registered',
    ],
    [
      'a user with an unknown role',
      () => admin.users.createUser({ user: { metadata: { name: 'n' }, spec: { roles: ['nope'] } } }),
      'role nope is not found',
    ],
    ['an unknown user', () => admin.users.getUser({ name: 'nope' }), '"user" "nope" does not exist'],
    [
      'an update of an unknown user',
      () => admin.users.updateUser({ user: { metadata: { name: 'nope' } } }),
      '"user" "nope" does not exist',
    ],
    ['an unknown role', () => admin.auth.getRole({ name: 'nope' }), 'role nope is not found'],
    ['deleting an unknown role', () => admin.auth.deleteRole({ name: 'nope' }), 'role "nope" is not found'],
    [
      'deleting a role in use',
      () => admin.auth.deleteRole({ name: 'dev' }),
      'failed to delete a role that is still in use by a user',
    ],
    [
      'a role with a built-in name',
      () => admin.auth.upsertRoleV2({ role: { version: 'v7', metadata: { name: 'Admin' }, spec: {} } }),
      'Admin',
    ],
    [
      'an unknown token',
      () => admin.auth.deleteToken({ name: 'secret-token0002' }),
      `provisioning token(${'*'.repeat(12)}0002) not found`,
    ],
    [
      'a lock without target',
      () => admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target: {} } }),
      'at least one target field must be set',
    ],
  ])('%s', async (_, call, message) => {
    await expect(call()).rejects.toThrow(message);
  });

  test('of two editors with the same revision the second one is told', async () => {
    const role = await admin.auth.getRole({ name: 'dev' });
    await admin.auth.updateRole({ role });
    await expect(admin.auth.updateRole({ role })).rejects.toMatchObject({ code: 'CompareFailed' });
  });

  test('changes are written to the audit log', async () => {
    await admin.auth.upsertRoleV2({ role: { version: 'v7', metadata: { name: 'short' }, spec: {} } });
    await admin.auth.deleteRole({ name: 'short' });
    const events = await cluster.events('role.created', 'role.deleted');
    expect(events.filter(({ name }) => name === 'short').map(({ code }) => code)).toEqual(['T9000I', 'T9001I']);
    expect(events[0]).toMatchObject({ cluster_name: 'root.example.com', uid: expect.any(String) });
  });
});

test('A-L3 a refusal that is cut inside of a character is answered', async () => {
  const resourceType = `a${'😀'.repeat(5_000)}`;
  const refusal = await alice.auth.listResources({ resourceType, limit: 1 }).catch((error: Error) => error);
  expect(refusal).toMatchObject({ message: expect.stringMatching(/😀 …$/) });
});

describe('what a Database Service asks', () => {
  test('roles and locks of a user in one call', async () => {
    await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { role: 'nobody' } } });
    const access = await agent.databaseAgent.getSessionAccess({ user: 'alice', roles: ['dev'] });
    expect(access.roles.map(({ metadata }) => metadata?.name)).toEqual(['dev']);
    expect(access.locks.map(({ metadata }) => metadata?.name)).toEqual(['l1']);
    expect((await agent.databaseAgent.getSessionAccess({ user: 'nobody', roles: ['dev'] })).userExists).toBe(false);
    const claimed = await agent.databaseAgent.getSessionAccess({ user: 'alice', roles: ['editor'] });
    expect(claimed.roles.map(({ metadata }) => metadata?.name)).toEqual(['dev']);
  });

  test('events are durable when acknowledged, once each, and only those of sessions', async () => {
    const event = JSON.stringify({
      event: 'db.session.query',
      uid: 'u-1',
      time: new Date().toISOString(),
      db_query: 'select 1',
    });
    await agent.databaseAgent.emitAuditEvents({ events: [event] });
    await agent.databaseAgent.emitAuditEvents({ events: [event] });
    expect((await cluster.events('db.session.query')).filter(({ uid }) => uid === 'u-1')).toHaveLength(1);
    const forged = JSON.stringify({ event: 'user.login', uid: 'u-2' });
    const { refused } = await agent.databaseAgent.emitAuditEvents({ events: [forged] });
    expect(refused.map(({ uid }) => uid)).toEqual(['u-2']);
    expect(await cluster.events('user.login')).not.toContainEqual(expect.objectContaining({ uid: 'u-2' }));
    await expect(alice.databaseAgent.emitAuditEvents({ events: [event] })).rejects.toMatchObject({
      code: 'AccessDenied',
    });
  });

  test('the databases of the cluster now, then each change', async () => {
    const db = (name: string) => ({ metadata: { name }, spec: { protocol: 'postgres', uri: 'db.example.com:5432' } });
    await admin.auth.createDatabase(db('first'));
    const stop = new AbortController();
    const seen: string[] = [];
    try {
      for await (const { initial, put, deleted } of agent.databaseAgent.watchDatabases({}, { signal: stop.signal })) {
        seen.push(`${initial} +${put.map(({ metadata }) => metadata?.name).join()} -${deleted.join()}`);
        if (seen.length === 1) await admin.auth.createDatabase(db('second'));
        if (seen.length === 2) await admin.auth.deleteDatabase({ name: 'first' });
        if (seen.length === 3) break;
      }
    } finally {
      stop.abort();
    }
    expect(seen).toEqual(['true +first -', 'false +second -', 'false + -first']);
  });

  test.each(['watchDatabases', 'watchAuthorities'] as const)(
    'a host has one %s: a new one ends the one before',
    async (name) => {
      const follow = () => agent.databaseAgent[name]({}, { timeoutMs: 0 })[Symbol.asyncIterator]();
      const first = follow();
      await first.next();
      const ended = first.next();
      const second = follow();
      await second.next();
      await expect(ended).rejects.toThrow('another watch has taken the place of this one');
      await second.return?.();
    },
  );
});

test('after a restart authorities, users, secrets and static order are as before', async () => {
  const other = await TestAuth.start({
    settings: { cluster_auth_preference: { signature_algorithm_suite: 'fips-v1' } },
  });
  try {
    const pins = await other.auth.caPins();
    const secret = await other.invite('alice', ['access']);
    const credentials = await other.login('alice', secret);
    await other.stop();
    await other.open();
    expect(await other.auth.caPins()).toEqual(pins);
    const again = await other.as(credentials);
    expect((await again.users.getUser({ currentUser: true })).user?.metadata?.name).toBe('alice');
    const proxy = await other.asHost('Proxy');
    expect(await proxy.proxyGateway.loginBegin({ user: 'alice', password: PASSWORD })).toMatchObject({
      totpChallenge: true,
    });
    const spent = codeAt(secret, other.now(), 1);
    await expect(
      proxy.proxyGateway.loginFinish({
        user: 'alice',
        password: PASSWORD,
        totpCode: spent,
        sshPublicKey: Buffer.from(credentials.sshCert),
      }),
    ).rejects.toThrow();
  } finally {
    await other.remove();
  }
});

test('static tokens are read with the rule for tokens, as tctl of an editor asks', async () => {
  const { spec } = await editor.auth.getStaticTokens({});
  expect(spec?.staticTokens).toEqual([]);
  await expect(alice.auth.getStaticTokens({})).rejects.toMatchObject({
    message: 'access denied to perform action "list" on "token", access denied to perform action "read" on "token"',
  });
});
