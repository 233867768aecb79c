/**
 * Tests: src/net/ports.ts, src/resources/config-address.ts, src/resources/kept-keys.ts, src/teleport/config-auth.ts
 * Tests: src/teleport/config-databases.ts, src/teleport/config-discovery.ts, src/teleport/config-limits.ts, src/teleport/start-flags.ts
 */
import { hostname } from 'node:os';
import { isTeleportError, type TeleportError } from '../../src/errors.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { readConfigFile, type TeleportConfig, teleportConfig } from '../../src/teleport/config.js';
import type { StartFlags } from '../../src/teleport/start-flags.js';

const FILE = '/etc/teleport.yaml';

function from(text: string, flags: StartFlags = {}): TeleportConfig {
  return teleportConfig(flags, FILE, parseConfigText(text, FILE));
}

function refusal(text: string, flags: StartFlags = {}): TeleportError {
  try {
    from(text, flags);
  } catch (error) {
    if (isTeleportError(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

test('a Discovery Service has to be asked for, and its section says what it looks for', () => {
  const section = 'aws: [{types: [redshift], regions: [us-east-1]}]';
  const file = (more: string) => `{discovery_service: {enabled: yes, ${more}}}`;
  const matchers = [{ types: ['redshift'], regions: ['us-east-1'], tags: { '*': '*' } }];
  expect(from(file(section)).discovery).toEqual({ group: '', matchers });
  expect(from(file(`discovery_group: g, poll_interval: 1m, ${section}`)).discovery).toEqual({
    group: 'g',
    intervalMs: 60_000,
    matchers,
  });
  expect(from(`{discovery_service: {${section}}}`)).not.toHaveProperty('discovery');
  expect(
    from(`{discovery_service: {${section}}, db_service: {}}`, { roles: ['discovery'], authServer: ['a:443'] }),
  ).toEqual(expect.objectContaining({ discovery: { group: '', matchers } }));
  expect(from(file(`azure: [{types: [vm]}], ${section}`)).unused).toEqual(['discovery_service.azure']);
  expect(refusal(file('')).message).toBe('discovery_service: there is nothing to look for');
  // A timer of more than 24.8 days would fire at once.
  for (const interval of ['1s', 'soon', '600h']) {
    expect(refusal(file(`poll_interval: ${interval}, ${section}`))).toMatchObject({
      message: `discovery_service.poll_interval: "${interval}" is not an interval`,
      hint: 'Write it as 5m or 1h, at least 10s and at most 24 days.',
    });
  }
  expect(refusal(file('aws: [{types: [redshift]}]')).message).toBe('discovery service requires at least one region');
});

test('without a file all three services run on this host, with every default filled in', () => {
  expect(teleportConfig({}, undefined, {})).toEqual({
    nodename: hostname(),
    dataDir: '/var/lib/teleport',
    joinMethod: 'token',
    log: { level: 'info', output: 'stderr', format: 'text' },
    caPins: [],
    insecure: false,
    ignored: [],
    unused: [],
    auth: {
      listen: { host: '127.0.0.1', port: 3025 },
      clusterName: hostname(),
      settings: { listenerMode: 'multiplex' },
      staticTokens: [],
    },
    proxy: {
      listen: { host: '127.0.0.1', port: 3080 },
      postgresListen: undefined,
      postgresPublicAddr: [],
      publicAddr: [],
      keypairs: [],
      reloadIntervalMs: 0,
      proxyHeadersFrom: [],
    },
    db: { databases: [], resources: [], aws: [] },
  });
});

test('an empty file runs Auth and Proxy; the Database Service must be asked for', () => {
  const config = from('');
  expect([config.auth !== undefined, config.proxy !== undefined, config.db]).toEqual([true, true, undefined]);
  expect(config.proxy?.listen).toEqual({ host: '0.0.0.0', port: 3080 });
});

test('the file is read in full', () => {
  const config = from(`
version: v3
teleport:
  nodename: host1
  data_dir: /data
  pid_file: /run/t.pid
  auth_token: abc
  proxy_server: proxy.example.com:443
  ca_pin: sha256:aa
  diag_addr: 127.0.0.1:3000
  log: {severity: WARN, output: stderr, format: {output: json}}
auth_service:
  enabled: no
proxy_service:
  enabled: "no"
ssh_service:
  enabled: yes
db_service:
  enabled: true
  resources:
  - labels: {env: [dev, test]}
    aws: {assume_role_arn: 'arn:aws:iam::123456789012:role/r'}
  aws:
  - types: [redshift]
    regions: [us-east-1]
    tags: {'*': '*'}
  databases:
  - name: sales
    description: the sales
    protocol: postgres
    uri: c1.abc.us-east-1.redshift.amazonaws.com:5439
    static_labels: {env: dev}
    aws: {assume_role_arn: 'arn:aws:iam::123456789012:role/r', external_id: x}
    admin_user: {name: admin}
    dynamic_labels: [{name: up, period: 5m, command: [uptime]}]
`);
  expect(config).toMatchObject({
    file: FILE,
    nodename: 'host1',
    dataDir: '/data',
    pidFile: '/run/t.pid',
    token: 'abc',
    proxyServer: { host: 'proxy.example.com', port: 443 },
    caPins: ['sha256:aa'],
    diagAddr: { host: '127.0.0.1', port: 3000 },
    log: { level: 'warn', output: 'stderr', format: 'json' },
    ignored: ['ssh_service'],
  });
  expect(config.auth ?? config.proxy).toBeUndefined();
  expect(config.db?.resources).toEqual([
    { labels: { env: ['dev', 'test'] }, aws: { assume_role_arn: 'arn:aws:iam::123456789012:role/r' } },
  ]);
  expect(config.db?.aws).toEqual([{ types: ['redshift'], regions: ['us-east-1'], tags: { '*': '*' } }]);
  expect(config.db?.databases).toEqual([
    {
      kind: 'db',
      version: 'v3',
      metadata: {
        name: 'sales',
        description: 'the sales',
        labels: { env: 'dev', 'teleport.dev/origin': 'config-file' },
      },
      spec: {
        protocol: 'postgres',
        uri: 'c1.abc.us-east-1.redshift.amazonaws.com:5439',
        tls: { mode: 'verify-full' },
        aws: { assume_role_arn: 'arn:aws:iam::123456789012:role/r', external_id: 'x', account_id: '123456789012' },
        admin_user: { name: 'admin' },
        dynamic_labels: { up: { period: '5m', command: ['uptime'] } },
      },
    },
  ]);
});

test('the command line wins over the file', () => {
  const config = from(
    'teleport: {nodename: a, data_dir: /a, auth_token: t, proxy_server: p:443, ca_pin: sha256:a, diag_addr: ":1"}',
    {
      roles: ['db'],
      nodename: 'b',
      dataDir: '/b',
      token: 'u',
      authServer: ['auth.example.com'],
      caPin: ['sha256:b'],
      diagAddr: '127.0.0.1:2',
      pidFile: '/b.pid',
      debug: true,
      insecure: true,
      database: { name: 'pg', protocol: 'postgres', uri: 'localhost:5432' },
    },
  );
  expect(config).toMatchObject({
    nodename: 'b',
    dataDir: '/b',
    token: 'u',
    authServer: { host: 'auth.example.com', port: 3025 },
    caPins: ['sha256:b'],
    diagAddr: { host: '127.0.0.1', port: 2 },
    pidFile: '/b.pid',
    log: { level: 'debug' },
    insecure: true,
  });
  expect(config.proxyServer ?? config.auth ?? config.proxy).toBeUndefined();
  expect(config.db?.databases.map(({ metadata }) => metadata.name)).toEqual(['pg']);
});

test('S2 files of a token and of CA pins are not read with the configuration', () => {
  const flags = { token: '/nowhere/token', caPin: ['/nowhere/pin'] };
  expect(teleportConfig(flags, undefined, {})).toMatchObject({ token: '/nowhere/token', caPins: ['/nowhere/pin'] });
  expect(() => readConfigFile('/nowhere/none.yaml')).toThrow("path '/nowhere/none.yaml' does not exist");
});

test('an unknown key is refused with its line, its place and what is allowed there', () => {
  const { message } = refusal('version: v3\nteleport:\n  nodenamez: a\n');
  expect(message).toMatch(
    /^failed parsing the config file: \/etc\/teleport\.yaml\n\tline 3: field nodenamez not found in teleport, allowed: nodename, data_dir, /,
  );
  expect(refusal('teleports: {}').message).toContain(
    'line 1: field teleports not found in the file, allowed: version,',
  );
});

test('all mistakes of a file are told at once', () => {
  const { message, hint } = refusal(`version: v4
auth_service:
  enabled: maybe
db_service:
  databases:
  - name: a
    tls: {mode: verify_full}
    urii: x
  aws: redshift
`);
  expect(message.split('\n')).toEqual([
    'failed parsing the config file: /etc/teleport.yaml',
    '\tline 1: version: expected one of v1, v2, v3, got "v4"',
    '\tline 3: auth_service.enabled: expected yes or no',
    '\tline 7: db_service.databases[0].tls.mode: expected one of verify-full, verify-ca, insecure, got "verify_full"',
    expect.stringMatching(
      /^\tline 8: field urii not found in db_service\.databases\[0\], allowed: name, description, /,
    ),
    '\tline 9: db_service.aws: expected a list',
  ]);
  expect(hint).toContain('teleport configure --test=/etc/teleport.yaml');
});

test('broken YAML is refused with its line', () => {
  expect(refusal('a: [1\nb: 2').message).toMatch(/^failed parsing the config file: \/etc\/teleport\.yaml\n\tline \d: /);
});

test.each([
  ['teleport: {nodename: a}', { roles: ['bogus'] }, "unknown role: 'bogus'"],
  ['{auth_service: {enabled: no}, proxy_service: {enabled: no}}', {}, 'config: enable at least one of auth_service'],
  ['{auth_service: {enabled: no}}', {}, 'config: auth_server or proxy_server is required'],
  ['teleport: {log: {severity: loud}}', {}, 'unsupported logger severity: "loud"'],
  ['teleport: {diag_addr: "a:b:c"}', {}, 'diag_addr: "a:b:c" is not an address'],
  ['proxy_service: {https_key_file: /k}', {}, 'please provide both https_key_file and https_cert_file'],
  ['proxy_service: {acme: {enabled: yes}}', {}, 'no certificate can be had without a DNS name in public_addr'],
  ['proxy_service: {acme: {enabled: yes}, public_addr: "10.0.0.1:443"}', {}, 'without a DNS name in public_addr'],
  [
    'proxy_service: {acme: {enabled: yes, uri: "http://acme.example.com"}, public_addr: t.example.com}',
    {},
    'is not the https:// URL of a directory',
  ],
  [
    'proxy_service: {acme: {enabled: yes, eab: {key_id: x}}, public_addr: t.example.com}',
    {},
    'eab needs key_id and hmac_key_file',
  ],
  [
    'proxy_service: {acme: {enabled: yes}, https_key_file: /k, https_cert_file: /c, public_addr: t.example.com}',
    {},
    'it excludes https_keypairs',
  ],
  [
    'proxy_service: {proxy_protocol: on}',
    {},
    'proxy_service.proxy_protocol: on needs proxy_service.proxy_protocol_from',
  ],
  [
    'proxy_service: {proxy_protocol: on, proxy_protocol_from: [10.0.0.0/8, 10.0.0.0/33]}',
    {},
    'proxy_service.proxy_protocol_from: "10.0.0.0/33" is neither an address nor a network',
  ],
  [
    'teleport: {connection_limits: {max_connections: -1}}',
    {},
    'teleport.connection_limits.max_connections: -1 is not a number from 1 to 1000000',
  ],
  [
    'teleport: {connection_limits: {rates: [{period: 1s, average: 10, burst: 20}, {period: 0s, average: 1, burst: 1}]}}',
    {},
    'teleport.connection_limits.rates[1].period: "0s" is not a period of 1ms to 24h',
  ],
  [
    'teleport: {connection_limits: {rates: [{period: 1m, average: 9300000000000000000, burst: 1}]}}',
    {},
    'teleport.connection_limits.rates[0].average: 9300000000000000000 is not a number from 1 to 1000000',
  ],
  ['proxy_service: {https_keypairs_reload_interval: often}', {}, '"often" is not an interval'],
  ['proxy_service: {https_keypairs_reload_interval: 999h}', {}, '"999h" is not an interval'],
  ['auth_service: {authentication: {second_factors: [webauthn]}}', {}, 'second factor "webauthn" is not supported'],
])('%s %j is refused', (text, flags, message) => {
  expect(refusal(text, flags).message).toContain(message);
});

test('settings without effect are named, those of services that do not run are not', () => {
  const { unused } = from(
    `teleport: {auth_token: t, proxy_server: "p:443", advertise_ip: 192.0.2.1, cache: {}, storage: {path: /x}}
auth_service: {enabled: no, license_file: /l}
proxy_service: {enabled: yes, mysql_listen_addr: ":3036", https_keypairs_reload_interval: 1h}
`,
    { fips: true },
  );
  expect(unused).toEqual(['teleport.advertise_ip', 'teleport.storage', 'proxy_service.mysql_listen_addr', '--fips']);
});

describe('U3 a setting that would keep people out and is not held to ends the start', () => {
  const auth = (authentication: string) => `auth_service:\n  authentication: {${authentication}}\n`;
  test.each<[string, string]>([
    ['require_session_mfa: hardware_key', 'require_session_mfa: hardware_key is not supported'],
    [
      'require_session_mfa: hardware_key_touch_and_pin',
      'require_session_mfa: hardware_key_touch_and_pin is not supported',
    ],
    ['require_session_mfa: maybe', 'require_session_mfa: expected yes or no, got "maybe"'],
    ['local_auth: no', 'local_auth: no is not supported'],
    ['device_trust: {mode: required}', 'device_trust.mode: required is not supported'],
    ['device_trust: {mode: required-for-humans}', 'device_trust.mode: required-for-humans is not supported'],
  ])('%s', (setting, message) => {
    expect(refusal(auth(setting)).message).toBe(`auth_service.authentication.${message}`);
  });

  test.each(['require_session_mfa: yes', 'locking_mode: strict', 'local_auth: yes', 'device_trust: {mode: off}'])(
    '%s is fine',
    (setting) => expect(from(auth(setting)).auth).toBeDefined(),
  );

  test('the audit log is kept for a number of whole days', () => {
    expect(from('auth_service: {audit_retention: 90d, audit_signing_key: /k}').auth).toMatchObject({
      auditKeepDays: 90,
      auditSigningKey: '/k',
    });
    expect(from('auth_service: {enabled: yes}').auth?.auditKeepDays).toBeUndefined();
    for (const text of ['0d', '12h', '-1d', '1d12h', 'for ever']) {
      expect(refusal(`auth_service: {audit_retention: ${text}}`).message).toBe(
        `auth_service.audit_retention: "${text}" is not a number of days`,
      );
    }
  });

  test('R-A-H1 a cluster has a name that certificates, files and known_hosts can bear', () => {
    for (const name of ['our leaf', 'a,b', '*', '../x', 'x'.repeat(129)]) {
      const { message, hint } = refusal(`auth_service: {cluster_name: ${JSON.stringify(name)}}`);
      expect(message).toContain(`auth_service.cluster_name: ${JSON.stringify(name)} cannot be the name of a cluster`);
      expect(hint).toContain('letters, digits');
    }
    expect(refusal('teleport: {nodename: "my laptop"}').message).toContain(
      'without auth_service.cluster_name: "my laptop"',
    );
    expect(from('teleport: {nodename: "my laptop"}\nauth_service: {cluster_name: main}').auth?.clusterName).toBe(
      'main',
    );
  });

  test('an idle timeout is a duration or never', () => {
    expect(refusal('auth_service: {client_idle_timeout: soon}').message).toBe(
      'auth_service.client_idle_timeout: "soon" is not a duration',
    );
    const networking = (text: string) => from(`auth_service: {${text}}`).auth?.settings.cluster_networking_config;
    expect(networking('client_idle_timeout: never')).toEqual({});
    expect(networking('client_idle_timeout: 15m')).toEqual({ client_idle_timeout: '15m' });
    expect(networking('')).toBeUndefined();
  });

  test('of the settings of the cluster it has those that the file names, and no kind that the file does not', () => {
    const settings = (text: string) => from(`auth_service: {${text}}`).auth?.settings;
    expect(settings('authentication: {type: local}')).toEqual({ listenerMode: 'multiplex' });
    expect(settings('authentication: {locking_mode: strict}, session_recording: "off"')).toEqual({
      cluster_auth_preference: { locking_mode: 'strict' },
      session_recording_config: { mode: 'off' },
      listenerMode: 'multiplex',
    });
    expect(settings('authentication: {second_factors: [otp]}')?.cluster_auth_preference).toEqual({
      second_factor: 'otp',
    });
    expect(refusal('auth_service: {authentication: {default_session_ttl: 12}}').message).toBe(
      'auth_service.authentication.default_session_ttl: "12" is not a duration',
    );
    expect(refusal('auth_service: {authentication: {second_factor: off, second_factors: [otp]}}').message).toBe(
      'auth_service.authentication.second_factor: off contradicts second_factors: [otp]',
    );
  });

  test('what databases of other kinds need is named as without effect, a misspelt key with what was meant', () => {
    const entry = '{name: a, protocol: postgres, uri: "h:1", gcp: {project_id: p}, admin_user: {name: adm}}';
    expect(from(`db_service:\n  enabled: yes\n  databases: [${entry}]\n`).unused).toEqual([
      'db_service.databases[0].gcp',
    ]);
    expect(refusal('db_service:\n  enabled: yes\n  databases: [{name: a, protcol: postgres}]\n').message).toMatch(
      /line 3: field protcol not found in db_service\.databases\[0\], allowed: .*, did you mean "protocol"\?/,
    );
  });
});

test('X6 connection_limits, by the names of Teleport', () => {
  const limits = (text: string) => from(`teleport: {connection_limits: ${text}}`).connectionLimits;
  expect(limits('{}')).toEqual({});
  expect(limits('{max_connections: 0}')).toEqual({});
  expect(limits('{max_connections: 200, rates: [{period: 10s, average: 5, burst: 50}]}')).toEqual({
    maxConnections: 200,
    rates: [{ perMinute: 30, burst: 50 }],
  });
  expect(from('teleport: {connection_limits: {max_users: 7}}').unused).toContain(
    'teleport.connection_limits.max_users',
  );
});

describe('W5 a port alone', () => {
  test.each(['13000', ':13000', '127.0.0.1:13000'])('--diag-addr=%s and diag_addr are on 127.0.0.1', (diagAddr) => {
    const at = { host: '127.0.0.1', port: 13_000 };
    expect(teleportConfig({ diagAddr }, undefined, {}).diagAddr).toEqual(at);
    expect(from(`teleport: {diag_addr: "${diagAddr}"}`).diagAddr).toEqual(at);
  });

  test('in the file may be a number', () => {
    expect(from('teleport: {diag_addr: 13000}').diagAddr).toEqual({ host: '127.0.0.1', port: 13_000 });
  });

  test('of what is dialled is on this machine, of a listener on all its addresses', () => {
    for (const [value, port] of [
      ['3025', 3025],
      [':3026', 3026],
    ] as const) {
      expect(from('auth_service: {enabled: no}', { authServer: [value] }).authServer).toEqual({
        host: '127.0.0.1',
        port,
      });
      expect(from(`{auth_service: {enabled: no}, teleport: {proxy_server: "${value}"}}`).proxyServer).toEqual({
        host: '127.0.0.1',
        port,
      });
      expect(from(`auth_service: {listen_addr: "${value}"}`).auth?.listen).toEqual({ host: '0.0.0.0', port });
      expect(from(`proxy_service: {web_listen_addr: "${value}"}`).proxy?.listen).toEqual({ host: '0.0.0.0', port });
    }
  });

  test('is refused where others must find a host', () => {
    for (const value of ['443', ':443'])
      expect(refusal(`proxy_service: {public_addr: "${value}"}`).message).toBe(
        `proxy_service.public_addr: "${value}" is not an address, expected HOST or HOST:PORT`,
      );
    expect(from('proxy_service: {public_addr: ["p", "[2001:db8::1]:3080"]}').proxy?.publicAddr).toEqual([
      'p:443',
      '[2001:db8::1]:3080',
    ]);
  });

  test('--listen-ip takes an address, IPv6 as well, and nothing else', () => {
    const config = teleportConfig({ listenIp: '::1' }, undefined, {});
    expect([config.auth?.listen, config.proxy?.listen]).toEqual([
      { host: '::1', port: 3025 },
      { host: '::1', port: 3080 },
    ]);
    expect(refusal('', { listenIp: '3080' }).message).toBe('--listen-ip: "3080" is not an IP address');
  });
});
