/**
 * Settings of the cluster that `tctl` writes: they count at once, and after a restart; the configuration file wins over them.
 * Tests: src/auth/settings.ts, src/auth/kept-settings.ts
 */
import { X509Certificate } from 'node:crypto';
import { parse } from 'yaml';
import { fromMessage } from '../../src/api/convert.js';
import { newIdentity } from '../../src/identity/identity.js';
import { sessionLimitsOf } from '../../src/rbac/limits.js';
import { standingOf } from '../../src/rights/rights-watch.js';
import { PASSWORD, TestAuth } from '../auth/test-auth.js';
import { documents, type Outcome } from '../support/cluster.js';

let cluster: TestAuth;
let secret: string;

beforeAll(async () => {
  cluster = await TestAuth.start();
  secret = await cluster.invite('alice', ['access']);
});
afterEach(async () => {
  for (const kind of ['cap', 'netconfig', 'recconfig']) fine(await cluster.tctl('', 'rm', kind));
});
afterAll(() => cluster?.remove());

const PREFERENCE = 'cluster_auth_preference';
const NETWORKING = 'cluster_networking_config';
const RECORDING = 'session_recording_config';
const settings = (kind: string, spec: object, metadata: object = { name: kind }) =>
  documents([{ kind, version: 'v2', metadata, spec }]);
const create = (kind: string, spec: object, ...flags: string[]) =>
  cluster.tctl(settings(kind, spec), 'create', ...flags);
const shown = async (kind: string, of = cluster) =>
  parse(fine(await of.tctl('', 'get', kind))) as { metadata: { labels: object; revision?: string }; spec: object };

function fine({ status, stdout, stderr }: Outcome): string {
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.not.stringContaining('ERROR') });
  return stdout;
}
function refused({ status, stdout, stderr }: Outcome): string {
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  return stderr;
}

test('created, shown, created again with -f only, reset', async () => {
  const before = await shown(PREFERENCE);
  expect(before.metadata.labels).toEqual({ 'teleport.dev/origin': 'defaults' });
  const spec = { message_of_the_day: 'hello', default_session_ttl: '1h0m0s' };
  expect(fine(await create(PREFERENCE, spec))).toBe('cluster auth preference has been created\n');
  expect(await shown('cap')).toMatchObject({ metadata: { labels: { 'teleport.dev/origin': 'dynamic' } }, spec });
  expect(refused(await create(PREFERENCE, spec))).toContain('non-default cluster auth preference already exists');
  fine(await create(PREFERENCE, spec, '-f'));
  expect(fine(await cluster.tctl('', 'rm', 'cap'))).toBe('cluster auth preference has been reset to defaults\n');
  expect(await shown(PREFERENCE)).toEqual(before);

  expect(fine(await create(NETWORKING, { client_idle_timeout: '15m' }))).toBe(
    'cluster networking configuration has been updated\n',
  );
  expect(fine(await create(RECORDING, { mode: 'off' }))).toBe('session recording configuration has been updated\n');
});

test('given back unchanged, in YAML and in JSON, and part of "get all" once they are written', async () => {
  expect(fine(await cluster.tctl('', 'get', 'all'))).not.toContain('cluster-');
  fine(
    await create(PREFERENCE, {
      second_factor: 'optional',
      require_session_mfa: true,
      idp: { saml: { enabled: false } },
      hardware_key: { pin_cache_ttl: '5m0s' },
      device_trust: { mode: 'optional' },
      stable_unix_user_config: { enabled: true, first_uid: 2, last_uid: 3 },
    }),
  );
  fine(
    await create(NETWORKING, {
      client_idle_timeout: '15m',
      tunnel_strategy: { proxy_peering: { agent_connection_count: 2 } },
    }),
  );
  fine(await create(RECORDING, { mode: 'proxy-sync', proxy_checks_host_keys: false }));
  const withoutRevisions = (text: string) => text.replace(/^ *"?revision"?:.*\n/gm, '');
  for (const format of ['yaml', 'json']) {
    for (const what of [PREFERENCE, NETWORKING, RECORDING, 'all']) {
      const text = fine(await cluster.tctl('', 'get', what, `--format=${format}`));
      expect(text).toMatch(/idp|15m0s|proxy-sync/);
      fine(await cluster.tctl(text, 'create', '-f'));
      expect(withoutRevisions(fine(await cluster.tctl('', 'get', what, `--format=${format}`)))).toBe(
        withoutRevisions(text),
      );
    }
  }
});

test('what has no effect is named', async () => {
  expect((await create(RECORDING, { mode: 'off' })).stderr).toBe(
    'WARNING: session_recording_config "session-recording-config": spec.mode, spec.proxy_checks_host_keys are kept but have no effect on this cluster\n',
  );
  expect((await create(NETWORKING, { web_idle_timeout: '5m' })).stderr).toContain('spec.web_idle_timeout is kept');
});

test('what is wrong is refused by tctl and by Auth', async () => {
  expect(refused(await create(PREFERENCE, { allow_local_auth: false }))).toContain('spec.allow_local_auth: no is not');
  expect(refused(await create(PREFERENCE, { lockin_mode: 'strict' }))).toContain('did you mean spec.locking_mode?');
  const admin = await cluster.asHost('Admin');
  await expect(
    admin.clusterConfig.upsertAuthPreference({ authPreference: { spec: { requireSessionMfa: 2 } } }),
  ).rejects.toMatchObject({ message: expect.stringContaining('require_session_mfa: hardware_key is not supported') });
});

test('the mode of the listeners cannot change, and is not lost', async () => {
  for (const mode of [0, 'separate']) {
    const said = refused(await create(NETWORKING, { proxy_listener_mode: mode }));
    expect(said).toContain('spec.proxy_listener_mode cannot change while the cluster runs');
    expect(said).toContain('Set auth_service.proxy_listener_mode');
  }
  fine(await create(NETWORKING, { proxy_listener_mode: 'multiplex', client_idle_timeout: '1m' }));
  expect(await shown(NETWORKING)).toMatchObject({ spec: { proxy_listener_mode: 1, client_idle_timeout: '1m0s' } });
});

test('there is one of each kind, which has no name', async () => {
  for (const command of ['get', 'rm']) {
    expect(refused(await cluster.tctl('', command, 'cap/other'))).toContain(
      `only simple \`tctl ${command} ${PREFERENCE}\``,
    );
  }
});

test('edited, whether or not somebody wrote them before', async () => {
  cluster.vars = { TELEPORT_EDITOR: 'sed -i s/12h0m0s/8h0m0s/' };
  expect(fine(await cluster.tctl('', 'edit', 'cap'))).toBe('cluster auth preference has been updated\n');
  cluster.vars = { TELEPORT_EDITOR: 'sed -i s/8h0m0s/4h0m0s/' };
  fine(await cluster.tctl('', 'edit', 'cap'));
  expect(await shown('cap')).toMatchObject({ spec: { default_session_ttl: '4h0m0s' } });
  cluster.vars = { TELEPORT_EDITOR: 'sed -i s/best_effort/Strict/' };
  expect(refused(await cluster.tctl('', 'edit', 'cap'))).toContain('expected one of best_effort, strict');
});

test('an update of what somebody else has written meanwhile is refused', async () => {
  const admin = await cluster.asHost('Admin');
  fine(await create(PREFERENCE, { message_of_the_day: 'one' }));
  const read = await admin.clusterConfig.getAuthPreference({});
  fine(await create(PREFERENCE, { message_of_the_day: 'two' }, '-f'));
  await expect(admin.clusterConfig.updateAuthPreference({ authPreference: read })).rejects.toMatchObject({
    code: 'CompareFailed',
  });
  expect(await shown('cap')).toMatchObject({ spec: { message_of_the_day: 'two' } });
});

const lifeMs = async () => {
  const { certPem } = await cluster.login('alice', secret, { totpCode: '' });
  return Math.round((Date.parse(new X509Certificate(certPem).validTo) - Date.now()) / 60_000);
};

test('they count at once: second factor, life of a login, idle timeout, locking mode', async () => {
  const proxy = await cluster.asHost('Proxy');
  const agent = await cluster.asHost('Db');
  const begin = async () => (await proxy.proxyGateway.loginBegin({ user: 'alice', password: PASSWORD })).totpChallenge;
  const idle = async () => {
    const { networkingConfig } = await agent.databaseAgent.getSessionAccess({ user: 'alice', roles: ['access'] });
    return sessionLimitsOf([], undefined, fromMessage('cluster_networking_config', networkingConfig!))
      .clientIdleTimeoutMs;
  };
  const identity = newIdentity({
    username: 'alice',
    groups: ['access'],
    traits: {},
    teleportCluster: 'root.example.com',
    expires: new Date(),
  });
  const isStrict = async () => (await standingOf(agent, identity)).isStrict;

  expect([await begin(), await idle(), await isStrict()]).toEqual([true, undefined, false]);
  await expect(lifeMs()).rejects.toThrow('missing second factor');

  fine(await create(PREFERENCE, { second_factor: 'off', default_session_ttl: '30m', locking_mode: 'strict' }));
  fine(await create(NETWORKING, { client_idle_timeout: '90s' }));
  const changed = async () =>
    expect([await begin(), await idle(), await isStrict(), await lifeMs()]).toEqual([false, 90_000, true, 30]);
  await changed();
});

test('a restart keeps them; a configuration file that says something about a kind wins, over that kind', async () => {
  const spec = { default_session_ttl: '30m0s' };
  const settingsOfFile = (more: object) => ({ settings: more });
  const own = await TestAuth.start();
  try {
    fine(await own.tctl(settings(PREFERENCE, spec), 'create'));
    fine(await own.tctl(settings(NETWORKING, { client_idle_timeout: '5m0s' }), 'create'));
    await own.stop();
    await own.open();
    expect(await shown(PREFERENCE, own)).toMatchObject({
      metadata: { labels: { 'teleport.dev/origin': 'dynamic' } },
      spec,
    });
    await own.stop();

    own.options = settingsOfFile({ cluster_auth_preference: { locking_mode: 'strict' } });
    await own.open();
    expect(await shown(PREFERENCE, own)).toMatchObject({
      metadata: { labels: { 'teleport.dev/origin': 'config-file' } },
      spec: { locking_mode: 'strict', default_session_ttl: '12h0m0s' },
    });
    expect(await shown(NETWORKING, own)).toMatchObject({ spec: { client_idle_timeout: '5m0s' } });

    const text = settings(PREFERENCE, spec);
    const said = refused(await own.tctl(text, 'create', '-f'));
    expect(said).toContain('the cluster auth preference stands in the configuration file of the Auth Service');
    expect(said).toContain('tctl create -f --confirm');
    expect(refused(await own.tctl('', 'rm', 'cap'))).toContain('cannot be reset while it does');
    own.vars = { TELEPORT_EDITOR: 'false' };
    expect(refused(await own.tctl('', 'edit', 'cap'))).toContain('stands in the configuration file');
    fine(await own.tctl(text, 'create', '-f', '--confirm'));
    expect(await shown(PREFERENCE, own)).toMatchObject({ spec });

    await own.stop();
    await own.open();
    expect(await shown(PREFERENCE, own)).toMatchObject({ spec: { locking_mode: 'strict' } });
    await own.stop();
    own.options = {};
    await own.open();
    expect(await shown(PREFERENCE, own)).toMatchObject({ metadata: { labels: { 'teleport.dev/origin': 'defaults' } } });
  } finally {
    await own.remove();
  }
});

test('each change is recorded, by whom', async () => {
  const events = await cluster.events(
    'auth_preference.update',
    'cluster_networking_config.update',
    'session_recording_config.update',
  );
  const codes = new Set(events.map(({ code, name }) => `${code} ${name}`));
  expect(codes).toEqual(
    new Set([
      'TCAUTH001I cluster-auth-preference',
      'TCNET002I cluster-networking-config',
      'TCREC003I session-recording-config',
    ]),
  );
});
