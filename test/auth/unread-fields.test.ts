/**
 * What a `tctl` of another version sends and this one has no place for. The bytes are those of Teleport's field
 * numbers.
 * Tests: src/auth/grpc/written.ts
 */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import type { AuthClient } from '../../src/api/client.js';
import { toMessage } from '../../src/api/convert.js';
import { unreadFields } from '../../src/api/fields.js';
import {
  DatabaseV3Schema,
  LockV2Schema,
  ProvisionTokenV2Schema,
  RoleV6Schema,
  UserV2Schema,
} from '../../src/api/gen/types_pb.js';
import { TestAuth } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;

beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
});
afterAll(() => cluster.remove());

/** One field with a text, as protobuf writes it; nested in messages by their numbers. */
function field(path: number[], text = 'x'): Buffer {
  const [no, ...rest] = path as [number, ...number[]];
  const body = rest.length > 0 ? field(rest, text) : Buffer.from(text);
  return Buffer.concat([varint(no * 8 + 2), varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

const SCHEMAS = {
  role: RoleV6Schema,
  user: UserV2Schema,
  db: DatabaseV3Schema,
  token: ProvisionTokenV2Schema,
  lock: LockV2Schema,
};
const WHOLE = {
  role: { kind: 'role', version: 'v7', metadata: { name: 'x' }, spec: { options: {}, allow: {}, deny: {} } },
  user: { kind: 'user', version: 'v2', metadata: { name: 'x' }, spec: { roles: ['access'], traits: {} } },
  db: { kind: 'db', version: 'v3', metadata: { name: 'x' }, spec: { protocol: 'postgres', uri: 'h:1' } },
  token: { kind: 'token', version: 'v2', metadata: { name: 'x' }, spec: { roles: ['Db'], join_method: 'token' } },
  lock: { kind: 'lock', version: 'v2', metadata: { name: 'x' }, spec: { target: { user: 'alice' } } },
} as const;

function withField(kind: keyof typeof SCHEMAS, path: number[]) {
  const schema = SCHEMAS[kind] as typeof RoleV6Schema;
  const bytes = toBinary(schema, toMessage(kind, WHOLE[kind] as never) as never);
  return fromBinary(schema, Buffer.concat([bytes, field(path)]));
}

describe('U3 a field without a place here is refused, whoever sends it', () => {
  test.each<[keyof typeof SCHEMAS, number[], string]>([
    ['role', [5, 1, 60], 'spec.options, field 60'],
    ['role', [5, 3, 61], 'spec.deny, field 61'],
    ['role', [5, 2, 4, 9], 'spec.allow.rules, field 9'],
    ['user', [5, 30], 'spec, field 30'],
    ['user', [5, 9, 1], 'spec.local_auth'],
    ['db', [5, 5, 40], 'spec.aws, field 40'],
    ['token', [5, 7, 1, 1], 'spec.github'],
    ['lock', [5, 1, 20], 'spec.target, field 20'],
  ])('%s %j', async (kind, path, place) => {
    const message = withField(kind, path);
    expect(unreadFields(kind, message)).toEqual([place]);
    const said = `${kind} "x": this cluster does not know ${place}, and would lose it. Leave it out.`;
    const calls: Record<string, (() => Promise<unknown>)[]> = {
      role: [
        () => admin.auth.createRole({ role: message }),
        () => admin.auth.updateRole({ role: message }),
        () => admin.auth.upsertRoleV2({ role: message }),
      ],
      user: [
        () => admin.auth.createUser(message as never),
        () => admin.auth.updateUser(message as never),
        () => admin.users.createUser({ user: message as never }),
        () => admin.users.updateUser({ user: message as never }),
        () => admin.users.upsertUser({ user: message as never }),
      ],
      db: [() => admin.auth.createDatabase(message as never), () => admin.auth.updateDatabase(message as never)],
      token: [
        () => admin.auth.createTokenV2({ token: { case: 'v2', value: message as never } }),
        () => admin.auth.upsertTokenV2({ token: { case: 'v2', value: message as never } }),
      ],
      lock: [() => admin.auth.upsertLock(message as never)],
    };
    for (const call of calls[kind]!) await expect(call()).rejects.toThrow(said);
  });

  test('and what restricts access is refused from any tctl, as is another protocol', async () => {
    const spec = { allow: {}, deny: {}, options: { deviceTrustMode: 'required' } };
    const role = { version: 'v7', metadata: { name: 'x' }, spec };
    await expect(admin.auth.upsertRoleV2({ role })).rejects.toThrow(
      'spec.options.device_trust_mode is not supported here',
    );
    const database = { version: 'v3', metadata: { name: 'x' }, spec: { protocol: 'mysql', uri: 'h:1' } };
    await expect(admin.auth.createDatabase(database)).rejects.toThrow('spec.protocol "mysql" is not supported here');
  });
});

describe('S6 the calls of a real tctl create -f', () => {
  test('UpdateDatabase overwrites whatever revision it carries, UpdateUser and UpdateRole compare it', async () => {
    const metadata = { name: 's6', revision: '11111111-2222-3333-4444-555555555555' };
    const database = { version: 'v3', metadata: { name: 's6' }, spec: { protocol: 'postgres', uri: 'h:1' } };
    await admin.auth.createDatabase(database);
    await admin.auth.updateDatabase({ ...database, metadata, spec: { protocol: 'postgres', uri: 'h:2' } });
    expect((await admin.auth.getDatabase({ name: 's6' })).spec?.uri).toBe('h:2');
    const user = { version: 'v2', metadata, spec: { roles: ['access'] } };
    await admin.users.upsertUser({ user });
    await expect(admin.users.updateUser({ user })).rejects.toMatchObject({ code: 'CompareFailed' });
    // It looks for the lock first.
    await expect(admin.auth.getLock({ name: 's6' })).rejects.toMatchObject({ code: 'NotFound' });
    await admin.auth.upsertLock({ version: 'v2', metadata, spec: { target: { user: 'alice' } } });
    expect((await admin.auth.getLock({ name: 's6' })).spec?.target?.user).toBe('alice');
    const role = { version: 'v7', metadata, spec: { allow: {}, deny: {}, options: {} } };
    await admin.auth.upsertRoleV2({ role });
    await expect(admin.auth.updateRole({ role })).rejects.toMatchObject({ code: 'CompareFailed' });
  });
});
