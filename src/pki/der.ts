/**
 * Writing DER: a tree of nodes, encoded by node-forge's ASN.1 writer. Specification: ITU-T X.690. Reading is in
 * `der-reader.ts`, because forge's reader takes BER as well and forgets where the bytes stood.
 */
import type { asn1 as forge } from 'node-forge';
import asn1 from 'node-forge/lib/asn1.js';

/** One element of a DER tree, ready for `encodeDer`. */
export type DerNode = forge.Asn1;

/** The bytes of a tree. */
export function encodeDer(node: DerNode): Buffer {
  return Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
}

export function sequence(...members: DerNode[]): DerNode {
  return asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, members);
}

/** SET OF: DER wants the members in the order of their encoded bytes. */
export function setOf(...members: DerNode[]): DerNode {
  const encoded = members.map((member) => ({ member, bytes: encodeDer(member) }));
  encoded.sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  return asn1.create(
    asn1.Class.UNIVERSAL,
    asn1.Type.SET,
    true,
    encoded.map(({ member }) => member),
  );
}

/** `[number]`, constructed, around its members. */
export function explicit(number: number, ...members: DerNode[]): DerNode {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, number, true, members);
}

/** `[number]` in place of the tag of a primitive value. */
export function implicit(number: number, content: Buffer): DerNode {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, number, false, content.toString('latin1'));
}

/** An element that is there already, a SEQUENCE with a whole header, taken over byte for byte. */
export function rawSequence(der: Buffer): DerNode {
  const header = der[1]! < 0x80 ? 2 : 2 + (der[1]! & 0x7f);
  // Written as a primitive with the constructed bit in its tag: forge then copies the content instead of building it.
  const tag = (asn1.Type.SEQUENCE | CONSTRUCTED) as forge.Type;
  return primitive(tag, der.subarray(header));
}

/** INTEGER of a non-negative number given as big-endian bytes. */
export function unsigned(bytes: Buffer): DerNode {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start++;
  const trimmed = bytes.subarray(start);
  const content = trimmed.length === 0 || trimmed[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), trimmed]) : trimmed;
  return primitive(asn1.Type.INTEGER, content);
}

export function boolean(value: boolean): DerNode {
  return primitive(asn1.Type.BOOLEAN, Buffer.of(value ? 0xff : 0));
}

export function nullNode(): DerNode {
  return primitive(asn1.Type.NULL, Buffer.alloc(0));
}

/** OBJECT IDENTIFIER from its dotted text. */
export function oid(dotted: string): DerNode {
  return primitive(asn1.Type.OID, Buffer.from(asn1.oidToDer(dotted).getBytes(), 'latin1'));
}

export function octetString(content: Buffer): DerNode {
  return primitive(asn1.Type.OCTETSTRING, content);
}

/** BIT STRING; `unusedBits` of the last byte do not count. */
export function bitString(content: Buffer, unusedBits = 0): DerNode {
  return primitive(asn1.Type.BITSTRING, Buffer.concat([Buffer.of(unusedBits), content]));
}

/** PrintableString where every character allows it, else UTF8String. */
export function text(value: string): DerNode {
  return PRINTABLE.test(value)
    ? primitive(asn1.Type.PRINTABLESTRING, Buffer.from(value, 'latin1'))
    : primitive(asn1.Type.UTF8, Buffer.from(value, 'utf8'));
}

/** UTCTime up to 2049, GeneralizedTime after that (RFC 5280, 4.1.2.5); whole seconds. */
export function time(at: Date): DerNode {
  const digits = at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  const year = at.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? primitive(asn1.Type.UTCTIME, Buffer.from(digits.slice(2), 'latin1'))
    : primitive(asn1.Type.GENERALIZEDTIME, Buffer.from(digits, 'latin1'));
}

const CONSTRUCTED = 0x20;
const PRINTABLE = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

function primitive(type: forge.Type, content: Buffer): DerNode {
  return asn1.create(asn1.Class.UNIVERSAL, type, false, content.toString('latin1'));
}
