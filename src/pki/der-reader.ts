/**
 * Reading DER from strangers: strict (definite, shortest lengths; single-byte tags; no byte left over), bounded, and
 * every value knows its own bytes, so that what was signed can be checked as it stood. Specification: ITU-T X.690.
 */
import { TeleportError } from '../errors.js';

/** Larger than any certificate of ours: one of a user with a thousand roles stays under it. */
export const MAX_DER_BYTES = 256 * 1024;

/** One element. `raw` is header and content, `content` what stands behind the header; both are views, not copies. */
export interface DerValue {
  tag: number;
  content: Buffer;
  raw: Buffer;
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/**
 * Decode exactly one element that fills `bytes`.
 *
 * @throws TeleportError `Protocol` when the bytes are not DER, too many or too few
 */
export function decodeDer(bytes: Uint8Array): DerValue {
  if (bytes.length > MAX_DER_BYTES) throw broken(`${bytes.length} bytes are more than ${MAX_DER_BYTES}`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const value = elementAt(buffer, 0);
  if (value.raw.length !== buffer.length) throw broken(`${buffer.length - value.raw.length} bytes left over`);
  return value;
}

/** The members of a constructed element, which must have this tag. */
export function membersOf(value: DerValue | undefined, tag: number): DerValue[] {
  const { content } = expectTag(value, tag);
  const members: DerValue[] = [];
  for (let at = 0; at < content.length; ) {
    const member = elementAt(content, at);
    members.push(member);
    at += member.raw.length;
  }
  return members;
}

/** The element itself when it is there and has this tag. */
export function expectTag(value: DerValue | undefined, tag: number): DerValue {
  if (value === undefined) throw broken('an element is missing');
  if (value.tag !== tag) throw broken(`tag 0x${value.tag.toString(16)} where 0x${tag.toString(16)} belongs`);
  return value;
}

/** Dotted text of an OBJECT IDENTIFIER. */
export function oidText(value: DerValue | undefined): string {
  const { content } = expectTag(value, TAG.oid);
  if (content.length === 0 || content.length > 64) throw broken('object identifier of a wrong length');
  const arcs: number[] = [];
  let arc = 0;
  let fresh = true;
  for (const byte of content) {
    if (fresh && byte === 0x80) throw broken('object identifier with a padded arc');
    arc = arc * 128 + (byte & 0x7f);
    if (arc > 0xffffffff) throw broken('object identifier with an arc beyond 32 bits');
    fresh = byte < 0x80;
    if (!fresh) continue;
    arcs.push(arc);
    arc = 0;
  }
  if (!fresh) throw broken('object identifier that ends inside an arc');
  const first = arcs[0]!;
  const top = Math.min(Math.floor(first / 40), 2);
  return [top, first - top * 40, ...arcs.slice(1)].join('.');
}

/** Bytes of a BIT STRING that uses all bits of its last byte. */
export function bitsOf(value: DerValue | undefined): Buffer {
  const { content } = expectTag(value, TAG.bitString);
  if (content.length === 0 || content[0] !== 0) throw broken('bit string that does not end on a byte');
  return content.subarray(1);
}

/** Text of a PrintableString, IA5String or UTF8String. */
export function textOf(value: DerValue | undefined): string {
  if (value?.tag === TAG.utf8String) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value.content);
    } catch (cause) {
      throw new TeleportError('Protocol', 'certificate data cannot be read: text that is not UTF-8', { cause });
    }
  }
  if (value?.tag !== TAG.ia5String) expectTag(value, TAG.printableString);
  const { content } = value as DerValue;
  if (content.some((byte) => byte >= 0x80)) throw broken('text beyond ASCII in a PrintableString');
  return content.toString('latin1');
}

/** Moment of a UTCTime or GeneralizedTime in the form of RFC 5280: whole seconds, `Z`. */
export function timeOf(value: DerValue | undefined): Date {
  if (value?.tag !== TAG.generalizedTime) expectTag(value, TAG.utcTime);
  const { tag, content } = value as DerValue;
  const digits = content.toString('latin1');
  const match = (tag === TAG.utcTime ? UTC_TIME : GENERALIZED_TIME).exec(digits);
  if (match === null) throw broken('a time in a wrong form');
  const [year, month, day, hour, minute, second] = match.slice(1).map(Number) as number[];
  const fullYear = tag === TAG.utcTime ? (year! < 50 ? 2000 + year! : 1900 + year!) : year!;
  const at = new Date(Date.UTC(fullYear, month! - 1, day!, hour!, minute!, second!));
  if (at.getUTCMonth() !== month! - 1 || at.getUTCDate() !== day || at.getUTCHours() !== hour) {
    throw broken('a time that does not exist');
  }
  return at;
}

const UTC_TIME = /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;

function elementAt(buffer: Buffer, at: number): DerValue {
  if (at + 2 > buffer.length) throw broken('an element is cut off');
  const tag = buffer[at]!;
  if ((tag & 0x1f) === 0x1f) throw broken('a tag of several bytes');
  let start = at + 2;
  let length = buffer[at + 1]!;
  if (length >= 0x80) {
    const count = length & 0x7f;
    if (count === 0) throw broken('an indefinite length');
    if (count > 3) throw broken('a length beyond every limit');
    if (start + count > buffer.length) throw broken('a length is cut off');
    length = buffer.readUIntBE(start, count);
    if (length < 0x80 || (count > 1 && length < 2 ** (8 * (count - 1))))
      throw broken('a length that is not the shortest');
    start += count;
  }
  const end = start + length;
  if (end > buffer.length) throw broken('an element is longer than what is there');
  return { tag, content: buffer.subarray(start, end), raw: buffer.subarray(at, end) };
}

function broken(detail: string): TeleportError {
  return new TeleportError('Protocol', `certificate data cannot be read: ${detail}`);
}
