/** F7: a change that cannot be recorded is not made, whichever method asks for it; and one that fails has a record of that. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { becomeLeaf, codeAt, hostAuthorityOf, PASSWORD, SERVICES, shown, TestAuth } from './test-auth.js';

/** They change nothing that Auth keeps. */
const READS = /^\w+\.(get|list|is|ping|watch|createAuthenticateChallenge|search|stream|read|explain)/;
/** They issue something, or record something, and change nothing that Auth keeps. */
const ISSUES = /^(auth\.(generate|sign)\w+|join\.registerUsing\w+|databaseAgent\.(emitAuditEvents|holdDatabaseUser))$/;
/** What hosts say of themselves, which ends by itself; and what counts attempts to log in, recorded or not. */
const HEARTBEATS =
  /^(auth\.(upsertDatabaseServer|sendKeepAlives)|proxyGateway\.(registerProxy|reportLeafs|loginBegin|loginFinish|getUserToken)|discovery\.reportSearches)$/;
const NOT_SERVED = /^auth\.(updateHeadless\w+|createAccessRequestV2|submitAccessReview)$/;

let cluster: TestAuth;
let admin: AuthClient;
let proxy: AuthClient;

const named = (name: string) => ({ metadata: { name } });
const role = (name: string) => ({ version: 'v7', ...named(name), spec: {} });
const user = (name: string) => ({ kind: 'user', version: 'v2', ...named(name), spec: { roles: ['old'] } });
const database = (name: string, uri = 'localhost:5432') => ({
  kind: 'db',
  version: 'v3',
  ...named(name),
  spec: { protocol: 'postgres', uri },
});
const token = (name: string) => ({
  token: { case: 'v2' as const, value: { kind: 'token', version: 'v2', ...named(name), spec: { roles: ['Db'] } } },
});
const lock = (name: string) => ({ ...named(name), spec: { target: { user: 'x' } } });

/** An update goes by the revision that there is, which is none before the first. */
function settingsChanges(): Record<string, () => Promise<unknown>> {
  const config = () => admin.clusterConfig;
  const preference = (messageOfTheDay: string) => ({ authPreference: { spec: { messageOfTheDay } } });
  const networking = (idle: bigint) => ({ clusterNetworkConfig: { spec: { clientIdleTimeout: idle } } });
  const recording = (mode: string) => ({ sessionRecordingConfig: { spec: { mode } } });
  return {
    'clusterConfig.updateAuthPreference': () => config().updateAuthPreference(preference('one')),
    'clusterConfig.upsertAuthPreference': () => config().upsertAuthPreference(preference('two')),
    'clusterConfig.resetAuthPreference': () => config().resetAuthPreference({}),
    'clusterConfig.updateClusterNetworkingConfig': () =>
      config().updateClusterNetworkingConfig(networking(60_000_000_000n)),
    'clusterConfig.upsertClusterNetworkingConfig': () =>
      config().upsertClusterNetworkingConfig(networking(90_000_000_000n)),
    'clusterConfig.resetClusterNetworkingConfig': () => config().resetClusterNetworkingConfig({}),
    'clusterConfig.updateSessionRecordingConfig': () => config().updateSessionRecordingConfig(recording('off')),
    'clusterConfig.upsertSessionRecordingConfig': () => config().upsertSessionRecordingConfig(recording('node-sync')),
    'clusterConfig.resetSessionRecordingConfig': () => config().resetSessionRecordingConfig({}),
  };
}

/** Each one a change of what is there. */
const CHANGES: Record<string, () => Promise<unknown>> = {
  'auth.createUser': () => admin.auth.createUser(user('u1')),
  'auth.updateUser': () => admin.auth.updateUser(user('old1')),
  'auth.deleteUser': () => admin.auth.deleteUser({ name: 'old2' }),
  'auth.createResetPasswordToken': () => admin.auth.createResetPasswordToken({ name: 'known', type: 'password' }),
  'auth.createRole': () => admin.auth.createRole({ role: role('r1') }),
  'auth.updateRole': () => admin.auth.updateRole({ role: role('old') }),
  'auth.upsertRoleV2': () => admin.auth.upsertRoleV2({ role: role('r2') }),
  'auth.deleteRole': () => admin.auth.deleteRole({ name: 'unused' }),
  'auth.createDatabase': () => admin.auth.createDatabase(database('d1')),
  'auth.updateDatabase': () => admin.auth.updateDatabase(database('old1', 'localhost:5433')),
  'auth.deleteDatabase': () => admin.auth.deleteDatabase({ name: 'old2' }),
  'auth.deleteDatabaseServer': () => admin.auth.deleteDatabaseServer({ hostId: 'h', name: 'offer' }),
  'auth.createTokenV2': () => admin.auth.createTokenV2(token('t1')),
  'auth.upsertTokenV2': () => admin.auth.upsertTokenV2(token('t2')),
  'auth.deleteToken': () => admin.auth.deleteToken({ name: 'old' }),
  'auth.upsertLock': () => admin.auth.upsertLock(lock('l1')),
  'auth.deleteLock': () => admin.auth.deleteLock({ name: 'old' }),
  'users.createUser': () => admin.users.createUser({ user: user('u2') }),
  'users.updateUser': () => admin.users.updateUser({ user: user('old3') }),
  'users.upsertUser': () => admin.users.upsertUser({ user: user('u3') }),
  'users.deleteUser': () => admin.users.deleteUser({ name: 'old4' }),
  'trust.rotateCertAuthority': () =>
    admin.trust.rotateCertAuthority({ type: 'openssh', gracePeriod: { seconds: 3_600n, nanos: 0 } }),
  ...settingsChanges(),
  'auth.upsertTrustedCluster': () => admin.auth.upsertTrustedCluster(trusted('root1')),
  'auth.deleteTrustedCluster': () => admin.auth.deleteTrustedCluster({ name: 'root2' }),
  'presence.deleteRemoteCluster': () => admin.presence.deleteRemoteCluster({ name: 'leaf1' }),
  'proxyGateway.validateTrustedCluster': async () =>
    await proxy.proxyGateway.validateTrustedCluster({
      token: 'for-a-leaf',
      certificateAuthorities: [await hostAuthorityOf(second)],
    }),
  'trustLink.offerAuthority': async () =>
    await link.trustLink.offerAuthority({ hostAuthority: await rotatedAuthority() }),
  'proxyGateway.changeUserPassword': () =>
    proxy.proxyGateway.changeUserPassword({
      token: invited.token,
      password: Buffer.from(PASSWORD),
      totpCode: codeAt(invited.secret, cluster.now()),
    }),
};
/** Roots that this cluster knows without having spoken to them. */
const trusted = (name: string) => ({
  kind: 'trusted_cluster',
  version: 'v2',
  ...named(name),
  spec: { enabled: true, token: 't', webProxyAddr: 'localhost:1', tunnelAddr: 'localhost:1', roleMap: [] },
});
let leaf: TestAuth;
let second: TestAuth;
let link: AuthClient;

/** Another one than the root has. */
async function rotatedAuthority() {
  const authority = await hostAuthorityOf(leaf);
  const { spec } = await hostAuthorityOf(leaf);
  return { ...authority, spec: { ...spec!, additionalTrustedKeys: { ...spec!.activeKeys!, ssh: [] } } };
}
let invited: { token: string; secret: string };

beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
  proxy = await cluster.asHost('Proxy');
  for (const name of ['old', 'unused']) await admin.auth.createRole({ role: role(name) });
  for (const name of ['old1', 'old2', 'old3', 'old4']) await admin.users.createUser({ user: user(name) });
  for (const name of ['old1', 'old2']) await admin.auth.createDatabase(database(name));
  await admin.auth.createTokenV2(token('old'));
  await admin.auth.upsertLock(lock('old'));
  await admin.auth.upsertDatabaseServer({
    server: {
      kind: 'db_server',
      version: 'v3',
      ...named('offer'),
      spec: { hostId: 'h', hostname: 'h', version: '18.3.0', database: database('offer') },
    },
  });
  leaf = await TestAuth.start({ clusterName: 'leaf.example.com' });
  second = await TestAuth.start({ clusterName: 'second.example.com' });
  await becomeLeaf(cluster, leaf);
  link = await cluster.as(await shown(leaf, 'RemoteProxy'));
  const keep = (kind: 'trusted_cluster' | 'remote_cluster', name: string, more: object) =>
    cluster.auth.store.put(`/${kind}/${name}`, JSON.stringify({ kind, ...named(name), ...more }));
  const spec = { enabled: true, token: 't', web_proxy_addr: 'localhost:1', tunnel_addr: 'localhost:1', role_map: [] };
  for (const name of ['root1', 'root2']) await keep('trusted_cluster', name, { version: 'v2', spec });
  await keep('remote_cluster', 'leaf1', { version: 'v3', status: { connection: 'offline' } });
  await cluster.invite('known', ['old']);
  await admin.users.createUser({ user: user('invited') });
  const invite = await admin.auth.createResetPasswordToken({ name: 'invited', type: 'invite' });
  const { token: name, otpauthUrl } = await proxy.proxyGateway.getUserToken({ token: invite.metadata!.name });
  invited = { token: name, secret: new URL(otpauthUrl).searchParams.get('secret')! };
});
afterAll(async () => {
  for (const one of [cluster, leaf, second]) await one.remove();
});

const whatIsKept = async () =>
  (await cluster.auth.store.range('/')).map(({ key, value, revision }) => `${key} ${revision} ${value}`);
const METHODS = Object.entries(SERVICES).flatMap(([service, { methods }]) =>
  (methods as readonly { localName: string }[]).map(({ localName }) => `${service}.${localName}`),
);

test('F7 every method is known as one that changes something or not', () => {
  const others = [READS, ISSUES, HEARTBEATS, NOT_SERVED];
  const unknown = METHODS.filter((name) => !(name in CHANGES) && !others.some((pattern) => pattern.test(name)));
  expect(unknown).toEqual([]);
  expect(Object.keys(CHANGES).filter((name) => !METHODS.includes(name))).toEqual([]);
});

test('F7 what cannot be recorded is not done, and is done when it can be', async () => {
  const folder = join(cluster.dir, 'log');
  const before = await whatIsKept();
  renameSync(folder, `${folder}.away`);
  writeFileSync(folder, 'no folder');
  for (const [name, change] of Object.entries(CHANGES)) {
    const ended = await change().then(
      () => 'done',
      (error: Error) => error.message,
    );
    expect([name, ended]).toEqual([name, expect.stringContaining('cannot write the audit file')]);
  }
  expect(await whatIsKept()).toEqual(before);
  rmSync(folder);
  renameSync(`${folder}.away`, folder);
  for (const [name, change] of Object.entries(CHANGES)) {
    const kept = await whatIsKept();
    await change();
    expect([name, (await whatIsKept()).join('\n') === kept.join('\n')]).toEqual([name, false]);
  }
});

test('F7 a change that fails after its record has a second record that says so', async () => {
  await expect(
    admin.auth.updateRole({ role: { ...role('old'), metadata: { name: 'old', revision: 'another' } } }),
  ).rejects.toMatchObject({ code: 'CompareFailed' });
  const [updated] = (await cluster.events('role.updated')).slice(-1);
  const [failed] = await cluster.events('audit.change.failed');
  expect(failed).toMatchObject({
    code: 'TAU03W',
    success: false,
    event_of: 'role.updated',
    uid_of: updated!.uid,
    name: 'old',
  });
});
