/**
 * Tests: src/resources/database-type.ts, src/resources/defaults.ts, src/resources/labels.ts, src/resources/presets.ts
 * Tests: src/resources/print-order.ts, src/resources/printable.ts, src/resources/ref.ts, src/resources/types.ts
 * Tests: src/resources/validate.ts
 */
import { formatDurationMs, formatDurationNanos, parseDurationMs, parseDurationNanos } from '../../src/duration.js';
import { databaseType } from '../../src/resources/database-type.js';
import { databaseWithDefaults, roleWithDefaults, withDefaults } from '../../src/resources/defaults.js';
import { parseLabelSpec } from '../../src/resources/labels.js';
import { presetRoles } from '../../src/resources/presets.js';
import { printable } from '../../src/resources/printable.js';
import { parseRef, parseRefs } from '../../src/resources/ref.js';
import type { AnyResource, Database, Role, User } from '../../src/resources/types.js';
import { checkResource } from '../../src/resources/validate.js';
import { parseResources } from '../../src/resources/yaml.js';

function database(spec: object = {}, name = 'ok'): Database {
  return {
    kind: 'db',
    version: 'v3',
    metadata: { name },
    spec: { protocol: 'postgres', uri: 'localhost:5432', ...spec },
  };
}

function role(spec: object = {}, version = 'v7'): Role {
  return { kind: 'role', version, metadata: { name: 'r' }, spec } as Role;
}

describe('durations', () => {
  test.each([
    ['30h', '30h0m0s', 108_000_000],
    ['1.5s', '1.5s', 1_500],
    ['90s', '1m30s', 90_000],
    ['5m0s', '5m0s', 300_000],
    ['300ms', '300ms', 300],
    ['0', '0s', 0],
    ['1h2m3.004s', '1h2m3.004s', 3_723_004],
    ['-1m', '-1m0s', -60_000],
  ])('%s is %s is %d ms', (text, normal, ms) => {
    expect(formatDurationNanos(parseDurationNanos(text))).toBe(normal);
    expect(parseDurationMs(text)).toBe(ms);
    expect(formatDurationMs(ms)).toBe(normal);
  });
  test.each(['', '5', 'h', '1x', '1h 2m', '9999999999h', '.s'])('%j is no duration', (text) => {
    expect(() => parseDurationMs(text)).toThrow(`time: invalid duration ${JSON.stringify(text)}`);
  });
});

describe('files', () => {
  test('several documents, empty ones skipped, YAML or JSON or a list', () => {
    const text =
      '---\nkind: role\nversion: v7\nmetadata: {name: a}\n---\n---\n{"kind": "users", "metadata": {"name": "b"}}\n';
    expect(parseResources(text)).toEqual([
      { kind: 'role', version: 'v7', metadata: { name: 'a' }, spec: {} },
      { kind: 'user', metadata: { name: 'b' }, spec: {} },
    ]);
    expect(parseResources('[{"kind":"db","metadata":{"name":"x"},"spec":{}}]')).toHaveLength(1);
  });
  test('times stay texts', () => {
    const [lock] = parseResources('kind: lock\nmetadata: {name: l}\nspec: {expires: 2030-01-02T03:04:05Z}');
    expect(lock!.spec).toEqual({ expires: '2030-01-02T03:04:05Z' });
  });
  test.each([
    ['', 'no resources found, empty input?'],
    ['---\n---\n# nothing\n', 'no resources found, empty input?'],
    ['kind: bogus\nversion: v1\nmetadata: {name: x}', 'creating resources of type "bogus" is not supported'],
    ['kind: role\nmetadata: [', 'error converting YAML to JSON: yaml: line 2:'],
    ['kind: db_object_import_rule', 'creating resources of type "db_object_import_rule" is not supported'],
    ['kind: constructor', 'creating resources of type "constructor" is not supported'],
    ['just text', 'a resource must be a map'],
    ['kind: role\nspec: [1]', 'spec must be a map'],
  ])('%j is refused', (text, message) => {
    expect(() => parseResources(text)).toThrow(message);
  });
});

describe('checks', () => {
  const cases: [string, object, string][] = [
    ['a role without a name', { ...role(), metadata: {} }, 'missing parameter Name'],
    ['a role version', role({}, 'v99'), 'role version "v99" is not supported'],
    [
      'a wildcard database role',
      role({ allow: { db_roles: ['*'] } }),
      'wildcard is not allowed in allow.database_roles',
    ],
    [
      'a wildcard permission',
      role({ allow: { db_permissions: [{ permissions: ['*'], match: {} }] } }),
      'individual database permissions cannot be wildcards strings',
    ],
    [
      'mode true',
      role({ options: { create_db_user_mode: true } }),
      'create_database_user_mode cannot be true, got true',
    ],
    ['mode drop', role({ options: { create_db_user_mode: 'drop' } }), 'invalid database user mode drop'],
    ['lock', role({ options: { lock: 'foo' } }), 'invalid value for role option lock: foo'],
    ['a selector', role({ allow: { db_labels: { '*': 'x' } } }), 'selector *:<val> is not supported'],
    [
      'a database name',
      database({}, 'bad_name'),
      'invalid database name\n\t"bad_name" does not match regex used for validation "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"',
    ],
    ['no protocol', database({ protocol: '' }), 'database "ok" protocol is empty'],
    ['no URI', database({ uri: '' }), 'database "ok" URI is empty'],
    ['a protocol', database({ protocol: 'pg' }), 'unsupported database "ok" protocol "pg", supported are: [postgres]'],
    [
      'no port',
      database({ uri: 'localhost' }),
      'invalid database "ok" address "localhost": address localhost: missing port in address',
    ],
    [
      'a CA',
      database({ tls: { ca_cert: 'x' } }),
      'provided database "ok" CA doesn\'t appear to be a valid x509 certificate: expected PEM-encoded block: there is no certificate in tls.ca_cert: it is not PEM text',
    ],
    ['a TLS mode', database({ tls: { mode: 'verify_full' } }), 'DatabaseTLSMode invalid value VERIFY_FULL'],
    [
      'external id',
      database({ aws: { external_id: 'x' } }),
      'AWS database "ok" has external_id "x", but assume_role_arn is empty',
    ],
    [
      'role without account',
      database({ aws: { assume_role_arn: 'arn:aws:iam::123456789012:role/r' } }),
      'database "ok" missing AWS account ID: set spec.aws.account_id to 123456789012, the account of its assume_role_arn',
    ],
    ['account', database({ aws: { account_id: '12' } }), 'database "ok" has invalid AWS account ID: must be 12-digit'],
    [
      'Redshift host',
      database({ uri: 'c.redshift.amazonaws.com:5439' }),
      'failed to parse c.redshift.amazonaws.com as Redshift endpoint',
    ],
    [
      'admin user on Serverless',
      database({ uri: 'w.123456789012.us-east-1.redshift-serverless.amazonaws.com:5439', admin_user: { name: 'a' } }),
      'cannot set admin user on database "ok": postgres/redshift-serverless databases don\'t support automatic user provisioning yet',
    ],
    [
      'a lock on nothing',
      { kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target: {} } },
      'at least one target field must be set',
    ],
    [
      'a token role',
      { kind: 'token', version: 'v2', metadata: { name: 't' }, spec: { roles: ['Foo'] } },
      'invalid role "Foo"',
    ],
  ];
  test.each(cases)('%s', (_what, resource, message) => {
    let thrown: unknown;
    try {
      checkResource(resource as AnyResource);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'BadParameter', message });
  });
  test('what Teleport lets through passes: broken templates and unknown members', () => {
    checkResource(
      role({ allow: { db_users: ['{{foo', '{{internal.foo}}'], db_labels_expression: '(((', db_userz: 1 } }),
    );
    checkResource(database({ tls: { mode: 2 }, uri: '[::1]:5432' }));
    checkResource({ kind: 'cluster_auth_preference', spec: {} } as AnyResource);
  });
});

describe('defaults', () => {
  test('a Redshift host name fills cluster, account and region, and the type follows', () => {
    const cluster = databaseWithDefaults(database({ uri: 'c1.abc.us-east-1.redshift.amazonaws.com:5439' }));
    expect(cluster.spec.aws).toEqual({ region: 'us-east-1', redshift: { cluster_id: 'c1' } });
    expect(databaseType(cluster)).toBe('redshift');
    const workgroup = databaseWithDefaults(
      database({
        uri: 'wg.123456789012.eu-west-1.redshift-serverless.amazonaws.com:5439',
        aws: { region: 'eu-west-3' },
      }),
    );
    expect(workgroup.spec.aws).toEqual({
      region: 'eu-west-3',
      account_id: '123456789012',
      redshift_serverless: { workgroup_name: 'wg' },
    });
    expect(databaseType(workgroup)).toBe('redshift-serverless');
    const endpoint = databaseWithDefaults(
      database({ uri: 'my-endpoint-abc.123456789012.eu-west-1.redshift-serverless.amazonaws.com:5439' }),
    );
    expect(endpoint.spec.aws?.redshift_serverless).toEqual({ endpoint_name: 'my' });
  });
  test('self-hosted without AWS data, rds with a region', () => {
    expect(databaseType(database({ aws: { rds: { iam_auth: false }, redshift: {} } }))).toBe('self-hosted');
    expect(databaseType(database({ aws: { region: 'us-east-1' } }))).toBe('rds');
  });
  test('only version v3 of a role selects everything when no labels are written', () => {
    expect(roleWithDefaults(role({ allow: {} }, 'v3')).spec.allow.db_labels).toEqual({ '*': '*' });
    expect(roleWithDefaults(role({ allow: {} }, 'v4')).spec.allow.db_labels).toBeUndefined();
  });
  test('settings get their one name', () => {
    const settings = { kind: 'cluster_auth_preference', spec: { type: 'local' } } as AnyResource;
    expect(withDefaults(settings).metadata.name).toBe('cluster-auth-preference');
  });
});

describe('printed', () => {
  test('a role is complete, in the order of its messages, without namespaces', () => {
    const printed = printable(
      role({
        allow: { db_users: ['reader'], namespaces: ['default'], db_labels: { env: 'dev' }, db_names: ['bench'] },
      }),
    );
    expect(JSON.stringify(printed)).toBe(
      '{"kind":"role","version":"v7","metadata":{"name":"r"},"spec":{"options":{"forward_agent":false,' +
        '"max_session_ttl":"30h0m0s","cert_format":"standard","enhanced_recording":["command","network"],' +
        '"record_session":{"desktop":true,"default":"best_effort"},"desktop_clipboard":true,' +
        '"desktop_directory_sharing":true,"pin_source_ip":false,"ssh_file_copy":true,' +
        '"idp":{"saml":{"enabled":true}},"create_desktop_user":false,"create_db_user":false},' +
        '"allow":{"db_labels":{"env":"dev"},"db_names":["bench"],"db_users":["reader"]},"deny":{}}}',
    );
  });
  test('a user has the zero times and its traits sorted', () => {
    const user: User = {
      kind: 'user',
      version: 'v2',
      metadata: { name: 'eve', revision: 'x' },
      spec: {
        roles: ['access'],
        traits: { logins: null, db_names: ['bench'] },
        created_by: { time: '2030-01-02T03:04:05.000000006Z', user: { name: 'admin' } },
      },
      status: { mfa_weakest_device: 1 },
    };
    expect(JSON.stringify(printable(user))).toBe(
      '{"kind":"user","version":"v2","metadata":{"name":"eve","revision":"x"},"spec":{"roles":["access"],' +
        '"traits":{"db_names":["bench"],"logins":null},"status":{"is_locked":false,' +
        '"locked_time":"0001-01-01T00:00:00Z","lock_expires":"0001-01-01T00:00:00Z"},' +
        '"expires":"0001-01-01T00:00:00Z","created_by":{"time":"2030-01-02T03:04:05.000000006Z",' +
        '"user":{"name":"admin"}}},"status":{"mfa_weakest_device":1}}',
    );
  });
  test('a database has all its empty blocks, in spec and status', () => {
    const aws =
      '{"redshift":{},"rds":{"iam_auth":false},"elasticache":{},"secret_store":{},"memorydb":{},"rdsproxy":{},' +
      '"redshift_serverless":{},"opensearch":{},"iam_policy_status":"IAM_POLICY_STATUS_UNSPECIFIED","docdb":{},' +
      '"elasticache_serverless":{}}';
    expect(JSON.stringify(printable(database({ admin_user: { name: 'postgres' } })))).toBe(
      '{"kind":"db","version":"v3","metadata":{"name":"ok"},"spec":{"protocol":"postgres","uri":"localhost:5432",' +
        `"aws":${aws},"gcp":{"alloydb":{}},"azure":{"redis":{}},"tls":{"mode":0},"ad":{"domain":"","spn":""},` +
        '"mysql":{},"admin_user":{"name":"postgres","default_database":""},"mongo_atlas":{},"oracle":{}},' +
        `"status":{"aws":${aws},"mysql":{},"azure":{"redis":{}}}}`,
    );
  });
  test('a token, and an agent with its health', () => {
    const token = {
      kind: 'token',
      version: 'v2',
      metadata: { name: 't' },
      spec: { join_method: 'token', roles: ['Db'] },
    } as const;
    expect(JSON.stringify(printable({ ...token, spec: { ...token.spec, roles: ['Db'] } }))).toContain(
      '"spec":{"roles":["Db"],"join_method":"token"}',
    );
    const server = printable({
      kind: 'db_server',
      version: 'v3',
      metadata: { name: 'ok' },
      spec: { version: '18.3.0', hostname: 'peer', host_id: 'h', database: database() },
      status: { target_health: { status: 'healthy', address: 'a:1' } },
    });
    expect(server).toMatchObject({
      spec: { rotation: { current_id: '', schedule: { standby: '0001-01-01T00:00:00Z' } }, database: { kind: 'db' } },
      status: { target_health: { address: 'a:1', status: 'healthy' } },
    });
  });
});

describe('words', () => {
  test('references in singular, plural and short form', () => {
    expect(parseRef('roles/dba')).toEqual({ kind: 'role', name: 'dba' });
    expect(parseRef('cap')).toEqual({ kind: 'cluster_auth_preference' });
    expect(parseRef('cert_authority/host/example.com')).toEqual({
      kind: 'cert_authority',
      subKind: 'host',
      name: 'example.com',
    });
    expect(parseRefs('users,role/x')).toHaveLength(2);
    expect(() => parseRef('dbs')).toThrow(
      `unsupported resource: "dbs" - resources should be expressed as 'type/name', for example 'connector/github'`,
    );
    expect(() => parseRef('a/b/c/d')).toThrow("failed to parse 'a/b/c/d'");
  });
  test('labels: lists', () => {
    expect(parseLabelSpec('env=dev, team="a,b"')).toEqual({ env: 'dev', team: 'a,b' });
    expect(() => parseLabelSpec('x')).toThrow("invalid label spec: 'x', should be 'key=value'");
  });
  test('the presets pass their own checks', () => {
    for (const preset of presetRoles()) checkResource(preset);
    expect(presetRoles().map(({ metadata }) => metadata.name)).toEqual(['access', 'editor', 'auditor']);
  });
});

describe('S16 the authorities of a db resource', () => {
  const PREFIX =
    'provided database "ok" CA doesn\'t appear to be a valid x509 certificate: expected PEM-encoded block: ';
  const check = (spec: object) => checkResource(database(spec));

  test.each([
    ['a key', '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n', 'it holds a private key'],
    ['not a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'certificate 1 of 1 in'],
    ['a file name', '/etc/ssl/ca.pem', 'it is not PEM text'],
    ['folded lines', '-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE-----', 'line breaks lost'],
  ])('are refused in both places when the text is %s', (_what, ca_cert, found) => {
    for (const [spec, place] of [
      [{ tls: { ca_cert } }, 'tls.ca_cert'],
      [{ ca_cert }, 'ca_cert'],
    ] as const) {
      expect(() => check(spec)).toThrow(PREFIX);
      expect(() => check(spec)).toThrow(` in ${place}`);
      expect(() => check(spec)).toThrow(found);
    }
  });
});
