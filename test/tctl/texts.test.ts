/**
 * Tests: src/cli/labels.ts, src/tctl/edit.ts, src/tctl/flags.ts, src/tctl/get.ts, src/tctl/tokens/ls.ts
 * Tests: src/tctl/users/link.ts
 */
import { isTeleportError } from '../../src/errors.js';
import type {
  AnyResource,
  Database,
  DatabaseServer,
  Lock,
  RemoteCluster,
  Role,
  TrustedCluster,
  User,
} from '../../src/resources/types.js';
import { program } from '../../src/tctl/commands.js';
import { sameResource } from '../../src/tctl/edit.js';
import { textOf } from '../../src/tctl/get.js';
import { expiryText, masked } from '../../src/tctl/tokens/ls.js';
import { checkTtl } from '../../src/tctl/users/link.js';
import { memoryEnv } from '../support/env.js';

const form = { verbose: false };
const env = memoryEnv();

test('three quarters of a token are hidden, a short one altogether', () => {
  expect(masked('0123456789abcdef0123456789abcdef')).toBe('************************89abcdef');
  expect(masked('capture-token-value')).toBe('**************value');
  expect(masked('short')).toBe('*****');
  expect(masked('')).toBe('');
});

test('an expiry is said in UTC and as what is left', () => {
  const now = new Date('2030-11-21T01:47:56.400Z');
  expect(expiryText('2030-11-21T02:17:00Z', now)).toBe('21 Nov 30 02:17 UTC (29m4s)');
  expect(expiryText('2030-11-21T02:47:56.4Z', now)).toBe('21 Nov 30 02:47 UTC (1h0m0s)');
  expect(expiryText(undefined, now)).toBe('never');
});

test('a link is valid for more than nothing and at most so long', () => {
  expect(() => checkTtl(1, 3_600_000)).not.toThrow();
  expect(() => checkTtl(3_600_000, 3_600_000)).not.toThrow();
  for (const ttlMs of [0, -1, 3_600_001]) expect(() => checkTtl(ttlMs, 3_600_000)).toThrow('at most 1h0m0s');
});

const database = (name: string, uri: string, labels: Record<string, string>): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name, labels },
  spec: { protocol: 'postgres', uri },
});
const dynamic = database('capture-db', 'db.example.com:5432', { env: 'dev', 'teleport.dev/origin': 'dynamic' });
const fixed = database('pg', 'localhost:47432', { env: 'dev', 'teleport.dev/origin': 'config-file' });
const server = (db: Database): DatabaseServer => ({
  kind: 'db_server',
  version: 'v3',
  metadata: { name: db.metadata.name },
  spec: { version: '18.3.0', hostname: 'peer', host_id: 'id', database: db },
});

// Recorded with Teleport 18.3.0.
test('tables are those of Teleport, trailing spaces too', async () => {
  expect(await textOf(env, 'db_server', [dynamic, fixed].map(server), form)).toBe(
    [
      'Host Name       Protocol URI                 Labels  Version ',
      '---- ---------- -------- ------------------- ------- ------- ',
      'peer capture-db postgres db.example.com:5432 env=dev 18.3.0  ',
      'peer pg         postgres localhost:47432     env=dev 18.3.0  ',
      '',
    ].join('\n'),
  );
  expect(await textOf(env, 'db_server', [dynamic, fixed].map(server), { ...form, verbose: true })).toBe(
    [
      'Host Name       Protocol URI                 Labels                                  Version ',
      '---- ---------- -------- ------------------- --------------------------------------- ------- ',
      'peer capture-db postgres db.example.com:5432 env=dev,teleport.dev/origin=dynamic     18.3.0  ',
      'peer pg         postgres localhost:47432     env=dev,teleport.dev/origin=config-file 18.3.0  ',
      '',
    ].join('\n'),
  );
  const withAdmin = server({ ...dynamic, spec: { ...dynamic.spec, admin_user: { name: 'admin' } } });
  const shown = await textOf(env, 'db_server', [withAdmin, server(fixed)], { ...form, verbose: true });
  expect(
    shown
      ?.split('\n')
      .slice(0, 4)
      .map((line) => line.slice(0, 57)),
  ).toEqual([
    'Host Name       Protocol URI                 Admin User L',
    '---- ---------- -------- ------------------- ---------- -',
    'peer capture-db postgres db.example.com:5432 admin      e',
    'peer pg         postgres localhost:47432                e',
  ]);
  expect(await textOf(env, 'db', [dynamic], form)).toBe(
    [
      'Name       Protocol URI                 Labels  ',
      '---------- -------- ------------------- ------- ',
      'capture-db postgres db.example.com:5432 env=dev ',
      '',
    ].join('\n'),
  );
  const role: Role = {
    kind: 'role',
    version: 'v7',
    metadata: { name: 'capture-reader' },
    spec: { options: {}, allow: {}, deny: {} },
  };
  expect(await textOf(env, 'role', [role], form)).toBe(
    [
      'Role           Allowed to login as Node Labels Access to resources ',
      '-------------- ------------------- ----------- ------------------- ',
      'capture-reader                                                     ',
      '',
    ].join('\n'),
  );
});

test('users end with an empty line; locks show target and end', async () => {
  const user = (name: string): User => ({
    kind: 'user',
    version: 'v2',
    metadata: { name },
    spec: { roles: [], traits: {} },
  });
  expect(await textOf(env, 'user', [user('alice'), user('capture-eve')], form)).toBe(
    'User        \n----------- \nalice       \ncapture-eve \n\n',
  );
  const lock: Lock = {
    kind: 'lock',
    version: 'v2',
    metadata: { name: 'l1' },
    spec: { target: { user: 'alice' }, expires: '2026-11-21T02:49:00Z' },
  };
  expect(await textOf(env, 'lock', [lock], form)).toBe(
    'ID   Target       Message Expires              \n--   ------------ ------- -------------------- \nl1   User:"alice"         Sat Nov 21 02:49 UTC \n',
  );
});

test('the two ends of a trust', async () => {
  const trusted: TrustedCluster = {
    kind: 'trusted_cluster',
    version: 'v2',
    metadata: { name: 'root' },
    spec: {
      enabled: true,
      token: 'abc',
      web_proxy_addr: 'root:443',
      tunnel_addr: 'root:3024',
      role_map: [
        { remote: 'dba', local: ['access', 'auditor'] },
        { remote: 'dev-*', local: ['dev'] },
      ],
    },
  };
  expect((await textOf(env, 'trusted_cluster', [trusted], form)).split('\n')).toEqual([
    'Name Enabled Token Proxy Address Reverse Tunnel Address Role Map                         ',
    '---- ------- ----- ------------- ---------------------- -------------------------------- ',
    'root true    abc   root:443      root:3024              dba:[access auditor] dev-*:[dev] ',
    '',
  ]);
  const leaf = (name: string, status: RemoteCluster['status']): RemoteCluster => ({
    kind: 'remote_cluster',
    version: 'v3',
    metadata: { name },
    status,
  });
  const leafs = [
    leaf('east', { connection: 'online', last_heartbeat: '2026-11-21T02:49:00Z' }),
    leaf('west', { connection: 'offline' }),
  ];
  expect((await textOf(env, 'remote_cluster', leafs, form)).split('\n')).toEqual([
    'Name Status  Last Heartbeat       ',
    '---- ------- -------------------- ',
    'east online  Sat Nov 21 02:49 UTC ',
    'west offline not available        ',
    '',
  ]);
});

test('an edit may change everything but what the resource is called', () => {
  const changed: AnyResource = { ...fixed, spec: { ...fixed.spec, uri: 'other:1' } };
  expect(sameResource(fixed, [changed])).toMatchObject({ spec: { uri: 'other:1' } });
  for (const found of [[dynamic], [fixed, dynamic], [fixed, fixed]]) {
    const error = thrown(() => sameResource(fixed, found));
    expect(isTeleportError(error, 'BadParameter') && error.message).toMatch(
      /^resource db\/(pg|capture-db) was added or removed, renaming resources is not supported with tctl edit$/,
    );
  }
  expect(() => sameResource(fixed, [{ ...fixed, spec: { ...fixed.spec, protocol: 'nope' } }])).toThrow(
    'unsupported database "pg" protocol "nope"',
  );
});

test('every trait has a flag at users add and at users update', () => {
  const flags = (path: string) => {
    const row = program.commands.find((one) => one.path === path);
    return (row?.options ?? [])
      .map(({ name }) => name)
      .filter((name) => /(logins|users|names|roles|arns|uid)$/.test(name));
  };
  const added = flags('users add <account>');
  expect(added).toContain('db-users');
  expect(flags('users update <account>').sort()).toEqual(added.map((name) => `set-${name}`).sort());
});

function thrown(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}
