/**
 * Protocol Buffers as the fake cluster needs them: messages from tables of field numbers. What a table does not name is
 * kept, and written back as it came. Spec: protobuf.dev, "Encoding".
 */

/** Name → number, kind, and whether it repeats. A map is a repeated message of key and value. */
export interface Table {
  readonly [name: string]: readonly [number: number, kind: Scalar | Table, many?: 'many'];
}
type Scalar = 'string' | 'bytes' | 'bool' | 'int';

type ValueOf<Kind> = Kind extends 'string'
  ? string
  : Kind extends 'bytes'
    ? Buffer
    : Kind extends 'bool'
      ? boolean
      : Kind extends 'int'
        ? number
        : Kind extends Table
          ? Message<Kind>
          : never;

export type Message<Fields extends Table> = {
  -readonly [Name in keyof Fields]?: Fields[Name] extends readonly [number, infer Kind, 'many']
    ? ValueOf<Kind>[]
    : ValueOf<Fields[Name][1]>;
} & { [UNKNOWN]?: Buffer };

/** Fields that the table does not name, as they came. */
const UNKNOWN = Symbol('unknown fields');

const VARINT = 0;
const LENGTH = 2;
const FIXED_BYTES: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

export function encode<Fields extends Table>(table: Fields, message: Message<Fields>): Buffer {
  const parts: Buffer[] = [];
  for (const [name, [number, kind, many]] of Object.entries(table)) {
    const value = (message as Record<string, unknown>)[name];
    for (const one of many ? ((value ?? []) as unknown[]) : [value]) {
      if (one === undefined || (!many && (one === '' || one === 0 || one === false))) continue;
      if (kind === 'int' || kind === 'bool') parts.push(varint((number << 3) | VARINT), varint(Number(one)));
      else {
        const content = typeof kind === 'object' ? encode(kind, one as Message<Table>) : Buffer.from(one as string);
        parts.push(varint((number << 3) | LENGTH), varint(content.length), content);
      }
    }
  }
  return Buffer.concat([...parts, message[UNKNOWN] ?? Buffer.alloc(0)]);
}

export function decode<Fields extends Table>(table: Fields, bytes: Buffer): Message<Fields> {
  const fields = new Map(Object.entries(table).map(([name, [number, kind, many]]) => [number, { name, kind, many }]));
  const message: Record<string, unknown> = {};
  const unknown: Buffer[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error('a message that ends in a number');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = next();
    const wire = tag & 7;
    const field = fields.get(tag >>> 3);
    const number = wire === VARINT ? next() : undefined;
    const length = wire === LENGTH ? next() : (FIXED_BYTES[wire] ?? 0);
    const content = bytes.subarray(at, at + length);
    at += length;
    if (at > bytes.length) throw new Error('a message that ends in a field');
    if (field === undefined) {
      unknown.push(bytes.subarray(start, at));
      continue;
    }
    const value = number === undefined ? contentOf(field.kind, content) : field.kind === 'bool' ? number !== 0 : number;
    if (field.many) message[field.name] = [...((message[field.name] as unknown[] | undefined) ?? []), value];
    else message[field.name] = value;
  }
  return Object.assign(message, unknown.length > 0 ? { [UNKNOWN]: Buffer.concat(unknown) } : {}) as Message<Fields>;
}

function contentOf(kind: Scalar | Table, content: Buffer): unknown {
  if (kind === 'string') return content.toString();
  return typeof kind === 'object' ? decode(kind, content) : content;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left >= 0x80n; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(left)]);
}
