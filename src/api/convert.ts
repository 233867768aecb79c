/**
 * Resources as people write them (`resources/types.ts`) ↔ messages of Teleport's API. One walk over the message
 * description does it for every kind, because the protobuf fields carry the YAML names; what differs is data in
 * `api/field-rules.ts`. Members that the messages do not know are left behind; `api/fields.ts` finds them before.
 *
 * Written: kind and version as they are, `namespaces: [default]` in both halves of a role (a client that reads a role
 * without them takes it as granting nothing), Metadata.namespace. Read: zero values are left out, except what the types
 * promise.
 */
import { formatDurationNanos, parseDurationNanos } from '../duration.js';
import { messageOf, TeleportError } from '../errors.js';
import type { AccessRequest } from '../resources/access-request.js';
import type { Kind, ResourceOfKind } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';
import { ALWAYS, COUNTS, OTHER_WORDS, TRAITS, WORDS } from './field-rules.js';
import {
  type AccessRequestV3,
  AccessRequestV3Schema,
  AuthPreferenceV2Schema,
  CertAuthorityV2Schema,
  ClusterNetworkingConfigV2Schema,
  DatabaseServerV3Schema,
  DatabaseV3Schema,
  LockV2Schema,
  ProvisionTokenV2Schema,
  RemoteClusterV3Schema,
  RoleV6Schema,
  SessionRecordingConfigV2Schema,
  TrustedClusterV2Schema,
  UserTokenV3Schema,
  UserV2Schema,
} from './gen/types_pb.js';
import type { Timestamp } from './protobuf.js';
import { create, type DescField, type DescMessage, type Message, type MessageShape, ScalarType } from './protobuf.js';
import { timestampOfText, timestampToText } from './time.js';

export const SCHEMAS = {
  user: UserV2Schema,
  role: RoleV6Schema,
  db: DatabaseV3Schema,
  db_server: DatabaseServerV3Schema,
  token: ProvisionTokenV2Schema,
  user_token: UserTokenV3Schema,
  lock: LockV2Schema,
  cert_authority: CertAuthorityV2Schema,
  cluster_auth_preference: AuthPreferenceV2Schema,
  cluster_networking_config: ClusterNetworkingConfigV2Schema,
  session_recording_config: SessionRecordingConfigV2Schema,
  trusted_cluster: TrustedClusterV2Schema,
  remote_cluster: RemoteClusterV3Schema,
} as const satisfies Record<Kind, DescMessage>;

export type MessageOfKind = { [K in Kind]: MessageShape<(typeof SCHEMAS)[K]> };

/**
 * The message of a resource.
 *
 * @throws TeleportError `BadParameter` with the path of a member that has the wrong type or an unknown word
 */
export function toMessage<K extends Kind>(kind: K, resource: ResourceOfKind[K]): MessageOfKind[K] {
  return writeMessage(SCHEMAS[kind], resource, kind) as unknown as MessageOfKind[K];
}

/** The resource in a message. A missing kind is filled in. */
export function fromMessage<K extends Kind>(kind: K, message: MessageOfKind[K]): ResourceOfKind[K] {
  const resource = readMessage(SCHEMAS[kind], message as unknown as Fields);
  if (resource.kind === undefined) resource.kind = kind;
  return resource as unknown as ResourceOfKind[K];
}

/** The same for many, in order. */
export function fromMessages<K extends Kind>(kind: K, messages: readonly MessageOfKind[K][]): ResourceOfKind[K][] {
  return messages.map((message) => fromMessage(kind, message));
}

/** The same for an access request, which is made and read but never edited as a file. */
export function accessRequestOf(message: AccessRequestV3): AccessRequest {
  return readMessage(AccessRequestV3Schema, message as unknown as Fields) as unknown as AccessRequest;
}

type Fields = Record<string, unknown>;

const NANOS_PER_S = 1_000_000_000n;

// Writing

function writeMessage(desc: DescMessage, value: unknown, path: string): Message {
  const members = recordAt(value, path);
  const init: Fields = {};
  for (const field of desc.fields) {
    const member = members[field.name] ?? defaultOf(desc, field);
    if (member === undefined || member === null) continue;
    const written = writeField(desc, field, member, `${path}.${field.name}`);
    if (written !== undefined) init[field.localName] = written;
  }
  return create(desc, init as never);
}

function defaultOf(desc: DescMessage, field: DescField): unknown {
  if (desc.typeName === 'types.Metadata' && field.name === 'namespace') return 'default';
  if (desc.typeName === 'types.RoleConditions' && field.name === 'namespaces') return ['default'];
  if (desc.typeName === 'types.RoleSpecV6') return {};
  return undefined;
}

function writeField(desc: DescMessage, field: DescField, value: unknown, path: string): unknown {
  const key = `${desc.typeName}.${field.name}`;
  switch (field.fieldKind) {
    case 'scalar':
      return writeScalar(key, field.scalar, value, path);
    case 'message':
      return writeSub(field.message, value, path);
    case 'list':
      if (!Array.isArray(value)) throw wrong(path, 'a list');
      if (field.listKind === 'message') {
        return value.map((item, index) => writeSub(field.message, item, `${path}[${index}]`));
      }
      return field.listKind === 'scalar'
        ? value.map((item, index) => writeScalar(key, field.scalar, item, `${path}[${index}]`))
        : undefined;
    case 'map':
      return Object.fromEntries(
        Object.entries(recordAt(value, path)).map(([name, item]) => [
          name,
          field.mapKind === 'message'
            ? writeSub(field.message, item, `${path}.${name}`)
            : writeScalar(key, ScalarType.STRING, item, `${path}.${name}`),
        ]),
      );
    default:
      return undefined;
  }
}

function writeSub(desc: DescMessage, value: unknown, path: string): Message | undefined {
  switch (desc.typeName) {
    case 'google.protobuf.Timestamp':
      if (typeof value !== 'string') throw wrong(path, 'an RFC 3339 time');
      return timestampOfText(value);
    case 'google.protobuf.Duration':
      return create(desc, splitNanos(durationAt(value, path)) as never);
    case 'types.BoolValue':
      return create(desc, { value: boolAt(value, path) } as never);
    case 'types.Opaque':
      return undefined;
    case 'wrappers.LabelValues':
      return create(desc, { values: writeLabelValues(desc, value, path) } as never);
    default:
      return writeMessage(desc, value, path);
  }
}

function writeLabelValues(desc: DescMessage, value: unknown, path: string): Record<string, unknown> {
  const written: Record<string, unknown> = {};
  const values = desc.fields[0]!;
  const item = values.fieldKind === 'map' && values.mapKind === 'message' ? values.message : undefined;
  for (const [name, entry] of Object.entries(recordAt(value, path))) {
    const texts = entry === null ? [] : Array.isArray(entry) ? entry : [entry];
    const strings = texts.map((text) => writeScalar('', ScalarType.STRING, text, `${path}.${name}`));
    written[name] = create(item!, { values: strings } as never);
  }
  return written;
}

function writeScalar(key: string, scalar: ScalarType, value: unknown, path: string): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      if (typeof value !== 'string') throw wrong(path, 'a text');
      return value;
    case ScalarType.BOOL:
      return boolAt(value, path);
    case ScalarType.BYTES:
      if (typeof value !== 'string') throw wrong(path, 'base64');
      return new Uint8Array(Buffer.from(value, 'base64'));
    case ScalarType.INT64:
      return COUNTS.has(key) ? BigInt(numberAt(value, path)) : durationAt(value, path);
    default:
      return writeEnum(key, value, path);
  }
}

function writeEnum(key: string, value: unknown, path: string): number {
  const words = WORDS[key];
  if (words === undefined && OTHER_WORDS[key] === undefined) return numberAt(value, path);
  if (typeof value === 'number') return numberAt(value, path);
  const index = words?.indexOf(value as string | boolean) ?? -1;
  const number = index >= 0 ? index : OTHER_WORDS[key]?.[String(value)];
  if (number !== undefined) return number;
  throw new TeleportError('BadParameter', `${path} cannot be ${JSON.stringify(value)}`);
}

/** Of a google.protobuf.Duration. */
function splitNanos(nanos: bigint): { seconds: bigint; nanos: number } {
  return { seconds: nanos / NANOS_PER_S, nanos: Number(nanos % NANOS_PER_S) };
}

function durationAt(value: unknown, path: string): bigint {
  // Nobody means the 15 nanoseconds that a 15 would be.
  if (value === 0) return 0n;
  if (typeof value !== 'string') throw wrong(path, 'a duration like 30m0s');
  // Teleport's word for none.
  if (value === 'never') return 0n;
  try {
    return parseDurationNanos(value);
  } catch (cause) {
    throw new TeleportError('BadParameter', `${path}: ${messageOf(cause)}`, { cause });
  }
}

function numberAt(value: unknown, path: string): number {
  if (!Number.isSafeInteger(value)) throw wrong(path, 'a whole number');
  return value as number;
}

function boolAt(value: unknown, path: string): boolean {
  if (typeof value === 'boolean') return value;
  const meant = typeof value === 'string' ? yesOrNo(value) : undefined;
  if (meant === undefined) throw wrong(path, 'true or false');
  return meant;
}

function recordAt(value: unknown, path: string): Fields {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw wrong(path, 'a map');
  return value as Fields;
}

function wrong(path: string, what: string): TeleportError {
  return new TeleportError('BadParameter', `${path} must be ${what}`);
}

// Reading

function readMessage(desc: DescMessage, message: Fields): Fields {
  const resource: Fields = {};
  for (const field of desc.fields) {
    const value = message[field.localName];
    const read = value === undefined ? undefined : readField(desc, field, value);
    const promised = read ?? ALWAYS[desc.typeName]?.[field.name]?.();
    if (promised !== undefined) resource[field.name] = promised;
  }
  return resource;
}

function readField(desc: DescMessage, field: DescField, value: unknown): unknown {
  const key = `${desc.typeName}.${field.name}`;
  switch (field.fieldKind) {
    case 'scalar':
      return key === 'types.Metadata.namespace' ? undefined : readScalar(key, field.scalar, value);
    case 'message':
      return readSub(key, field.message, value as Fields);
    case 'list':
      return readList(key, field, value as unknown[]);
    case 'map': {
      const entries = Object.entries(value as Fields);
      if (entries.length === 0) return undefined;
      if (field.mapKind !== 'message') return Object.fromEntries(entries);
      return Object.fromEntries(entries.map(([name, item]) => [name, readMessage(field.message, item as Fields)]));
    }
    default:
      return undefined;
  }
}

function readList(key: string, field: DescField & { fieldKind: 'list' }, items: unknown[]): unknown {
  if (key === 'types.RoleConditions.namespaces') {
    return items.length === 1 && items[0] === 'default' ? undefined : items;
  }
  if (items.length === 0) return undefined;
  if (field.listKind === 'message') return items.map((item) => readMessage(field.message, item as Fields));
  return items.map((item) => WORDS[key]?.[item as number] ?? item);
}

function readSub(key: string, desc: DescMessage, value: Fields): unknown {
  switch (desc.typeName) {
    case 'google.protobuf.Timestamp':
      return timestampToText(value as unknown as Timestamp);
    case 'google.protobuf.Duration': {
      const nanos = (value.seconds as bigint) * NANOS_PER_S + BigInt(value.nanos as number);
      return nanos === 0n ? undefined : formatDurationNanos(nanos);
    }
    case 'types.BoolValue':
      return value.value;
    case 'wrappers.LabelValues':
      return readLabelValues(value.values as Record<string, { values: string[] }>, TRAITS.has(key));
    default: {
      const members = readMessage(desc, value);
      return Object.keys(members).length === 0 ? undefined : members;
    }
  }
}

/** Traits are always lists, or null; a label selector with one value is written as that value. */
function readLabelValues(values: Record<string, { values: string[] }>, traits: boolean): unknown {
  const entries = Object.entries(values);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(
    entries.map(([name, { values: list }]) => {
      if (traits) return [name, list.length === 0 ? null : list];
      return [name, list.length === 1 ? list[0] : list];
    }),
  );
}

function readScalar(key: string, scalar: ScalarType, value: unknown): unknown {
  switch (scalar) {
    case ScalarType.STRING:
      return value === '' ? undefined : value;
    case ScalarType.BOOL:
      return value === false ? undefined : value;
    case ScalarType.BYTES:
      return (value as Uint8Array).length === 0 ? undefined : Buffer.from(value as Uint8Array).toString('base64');
    case ScalarType.INT64:
      if (value === 0n) return undefined;
      return COUNTS.has(key) ? Number(value) : formatDurationNanos(value as bigint);
    default: {
      const word = WORDS[key]?.[value as number];
      if (word !== undefined) return word === '' ? undefined : word;
      return value === 0 ? undefined : value;
    }
  }
}
