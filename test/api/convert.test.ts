/** Tests: src/api/field-rules.ts, src/api/protobuf.ts. */
import { readFileSync } from 'node:fs';
import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { fromMessage, toMessage } from '../../src/api/convert.js';
import {
  IsMFARequiredRequestSchema,
  ListResourcesRequestSchema,
  ListResourcesResponseSchema,
  PingResponseSchema,
  UserCertsRequestSchema,
} from '../../src/api/gen/authservice_pb.js';
import { GetCertAuthoritiesResponseSchema } from '../../src/api/gen/trust_pb.js';
import { RoleV6Schema, UserV2Schema } from '../../src/api/gen/types_pb.js';
import { GetUserResponseSchema } from '../../src/api/gen/users_pb.js';
import type { AuthPreference, Lock, Role } from '../../src/resources/types.js';

/** Messages of a recording of Teleport 18.3.0. */
function recorded<Desc extends DescMessage>(file: string, side: string, desc: Desc): MessageShape<Desc>[] {
  const text = readFileSync(new URL(`../wire/grpc/${file}.hex`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${side} `))
    .map((line) => line.slice(side.length + 1))
    .map((hex) => fromBinary(desc, Buffer.from(hex === 'empty' ? '' : hex, 'hex')));
}

/** Through our shape and back: the second reading must equal the first. */
function settled<K extends Parameters<typeof fromMessage>[0]>(kind: K, message: Parameters<typeof fromMessage<K>>[1]) {
  const first = fromMessage(kind, message);
  expect(fromMessage(kind, toMessage(kind, first))).toEqual(first);
  return first;
}

test("Teleport's user is read with its traits, null for a trait without values", () => {
  const [response] = recorded('GetUser', 'response', GetUserResponseSchema);
  expect(settled('user', response!.user!)).toEqual({
    kind: 'user',
    version: 'v2',
    metadata: { name: 'alice', revision: '3bc2f235-fc24-43df-b754-10d4477ba2e4' },
    spec: {
      roles: ['access', 'editor', 'auditor'],
      traits: {
        aws_role_arns: null,
        azure_identities: null,
        db_names: ['*'],
        db_roles: null,
        db_users: ['*'],
        gcp_service_accounts: null,
        host_user_gid: [''],
        host_user_uid: [''],
        kubernetes_groups: null,
        kubernetes_users: null,
        logins: null,
        mcp_tools: null,
        windows_logins: null,
      },
      status: { is_locked: false },
      created_by: {
        time: '2026-11-21T01:49:03.538574949Z',
        user: { name: '356f3cc6-c216-43c9-ae29-490a0c6b6218.peer.local' },
      },
    },
    status: { password_state: 2, mfa_weakest_device: 2 },
  });
});

test('the preset roles survive the way through our shape, fields of other products included', () => {
  const [access, editor, auditor] = recorded('GetCurrentUserRoles', 'response', RoleV6Schema).map((message) =>
    settled('role', message),
  );
  expect(access).toMatchObject({
    kind: 'role',
    version: 'v7',
    spec: {
      options: {
        max_session_ttl: '30h0m0s',
        cert_format: 'standard',
        create_db_user: false,
        enhanced_recording: ['command', 'network'],
        idp: { saml: { enabled: true } },
      },
      allow: {
        db_labels: { '*': '*' },
        db_names: ['{{internal.db_names}}'],
        kubernetes_groups: ['{{internal.kubernetes_groups}}'],
        windows_desktop_labels: { '*': '*' },
      },
      deny: {},
    },
  });
  expect(access!.spec.allow.namespaces).toBeUndefined();
  expect(access!.spec.allow.rules?.[1]).toEqual({
    resources: ['session'],
    verbs: ['read', 'list'],
    where: 'contains(session.participants, user.metadata.name)',
  });
  expect(editor!.spec.allow.rules!.length).toBeGreaterThan(20);
  expect(auditor!.metadata.labels).toEqual({ 'teleport.internal/resource-type': 'preset' });
});

test('a listed database server is read with its database and its health', () => {
  const [request] = recorded('ListResources.db-ls', 'request', ListResourcesRequestSchema);
  expect(request).toMatchObject({ resourceType: 'db_server', namespace: 'default', limit: 1000 });
  const [response] = recorded('ListResources.db-ls', 'response', ListResourcesResponseSchema);
  const item = response!.resources[0]!.resource;
  expect(item.case).toBe('databaseServer');
  const server = settled('db_server', item.value!);
  expect(server).toMatchObject({
    metadata: { name: 'pg', expires: '2026-11-21T03:42:15.87952638Z' },
    spec: {
      version: '18.3.0',
      hostname: 'peer',
      database: {
        kind: 'db',
        version: 'v3',
        metadata: { name: 'pg', labels: { env: 'dev', 'teleport.dev/origin': 'config-file' } },
        spec: { protocol: 'postgres', uri: 'localhost:47432', admin_user: { name: 'postgres' } },
      },
    },
    status: { target_health: { status: 'healthy', message: '2 health checks passed' } },
  });
});

test('an authority is read with its keys in base64', () => {
  const [response] = recorded('GetCertAuthorities.host', 'response', GetCertAuthoritiesResponseSchema);
  const ca = settled('cert_authority', response!.certAuthoritiesV2[0]!);
  expect(ca).toMatchObject({ sub_kind: 'host', spec: { type: 'host', cluster_name: 'peer.local' } });
  const [tls] = ca.spec.active_keys.tls!;
  expect(Buffer.from(tls!.cert, 'base64').toString()).toMatch(/^-----BEGIN CERTIFICATE-----/);
  expect(ca.spec.additional_trusted_keys).toEqual({});
});

test('requests of the real tsh and an answer of the real Auth Service decode by our numbers', () => {
  expect(recorded('GenerateUserCerts.database', 'request', UserCertsRequestSchema)[0]).toMatchObject({
    usage: 3,
    routeToDatabase: { serviceName: 'pg', protocol: 'postgres' },
  });
  expect(recorded('IsMFARequired', 'request', IsMFARequiredRequestSchema)[0]?.target.case).toBe('database');
  expect(recorded('Ping', 'response', PingResponseSchema)[0]).toMatchObject({ serverVersion: '18.3.0' });
});

test('both halves of a role are sent with a namespace, and durations, words and switches as numbers', () => {
  const role: Role = {
    kind: 'role',
    version: 'v7',
    metadata: { name: 'dba' },
    spec: {
      options: {
        max_session_ttl: '8h',
        create_db_user_mode: 'best_effort_drop',
        require_session_mfa: 'hardware_key_touch',
        create_db_user: false,
        max_sessions: 3,
        no_such_option: 1,
      },
      allow: { db_labels: { env: ['dev', 'test'], team: 'a' }, db_users: ['x'] },
      deny: {},
    },
  };
  const message = toMessage('role', role);
  expect(message.spec?.allow?.namespaces).toEqual(['default']);
  expect(message.spec?.deny?.namespaces).toEqual(['default']);
  expect(message.metadata?.namespace).toBe('default');
  expect(message.spec?.options).toMatchObject({
    maxSessionTtl: 28_800_000_000_000n,
    createDbUserMode: 3,
    requireSessionMfa: 3,
    createDbUser: { value: false },
    maxSessions: 3n,
  });
  const { no_such_option: _lost, ...options } = role.spec.options;
  const read = fromMessage('role', fromBinary(RoleV6Schema, toBinary(RoleV6Schema, message)));
  expect(read).toEqual({ ...role, spec: { ...role.spec, options: { ...options, max_session_ttl: '8h0m0s' } } });
});

test('a role without namespaces on the wire is read as one that grants nothing', () => {
  const message = toMessage('role', {
    kind: 'role',
    version: 'v7',
    metadata: { name: 'x' },
    spec: { options: {}, allow: {}, deny: {} },
  });
  message.spec!.allow!.namespaces = [];
  expect(fromMessage('role', message).spec.allow.namespaces).toEqual([]);
});

test('settings and locks go through with their words', () => {
  const settings: AuthPreference = {
    kind: 'cluster_auth_preference',
    version: 'v2',
    metadata: { name: 'cluster-auth-preference' },
    spec: {
      type: 'local',
      second_factors: ['otp', 'webauthn'],
      default_session_ttl: '12h0m0s',
      locking_mode: 'best_effort',
      require_session_mfa: true,
      signature_algorithm_suite: 'balanced-v1',
      allow_local_auth: true,
    },
  };
  const message = toMessage('cluster_auth_preference', settings);
  expect(message.spec).toMatchObject({ secondFactors: [1, 2], signatureAlgorithmSuite: 2, requireSessionMfa: 1 });
  expect(fromMessage('cluster_auth_preference', message)).toEqual(settings);
  const lock: Lock = {
    kind: 'lock',
    version: 'v2',
    metadata: { name: 'l' },
    spec: { target: { user: 'alice' }, message: 'left', expires: '2030-01-02T03:04:05Z' },
  };
  expect(fromMessage('lock', toMessage('lock', lock))).toEqual(lock);
});

test("Go's zero time is no time, in both directions", () => {
  const user = {
    kind: 'user' as const,
    version: 'v2' as const,
    metadata: { name: 'a' },
    spec: { roles: [], traits: {}, expires: '0001-01-01T00:00:00Z' },
  };
  expect(toMessage('user', user).spec?.expires).toBeUndefined();
});

test.each([
  [{ db_users: 'x' }, 'role.spec.allow.db_users must be a list'],
  [{ db_users: [1] }, 'role.spec.allow.db_users[0] must be a text'],
  [{ db_labels: ['x'] }, 'role.spec.allow.db_labels must be a map'],
])('a member of the wrong type is refused with its path: %j', (allow, message) => {
  const role = { kind: 'role', version: 'v7', metadata: { name: 'x' }, spec: { options: {}, allow, deny: {} } };
  expect(() => toMessage('role', role as unknown as Role)).toThrow(message);
});

test('an empty user message still gives what the type promises', () => {
  expect(fromMessage('user', fromBinary(UserV2Schema, new Uint8Array()))).toEqual({
    kind: 'user',
    metadata: { name: '' },
    spec: { roles: [], traits: {} },
  });
});
