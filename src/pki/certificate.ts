/**
 * One X.509 certificate taken apart (RFC 5280, 4.1). Nothing is verified here; see `verify.ts`. Signatures are left to
 * `X509Certificate` of `node:crypto`, which must be able to read the certificate as well.
 */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { type DerValue, decodeDer, expectTag, membersOf, oidText, TAG, timeOf } from './der-reader.js';
import { readSpki } from './keys.js';
import { readName } from './name.js';
import { decodePem } from './pem.js';

export interface Extension {
  critical: boolean;
  /** DER inside the OCTET STRING. */
  value: Buffer;
}

export interface Certificate {
  der: Buffer;
  serial: bigint;
  issuerDer: Buffer;
  issuer: Map<string, string[]>;
  subjectDer: Buffer;
  subject: Map<string, string[]>;
  notBefore: Date;
  notAfter: Date;
  spkiDer: Buffer;
  /** By dotted OID. */
  extensions: Map<string, Extension>;
}

/** Extension types that we write or check. */
export const EXTENSION_OID = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
} as const;

/** A certificate as PEM text (its first `CERTIFICATE` block) or as DER. */
export type CertificateInput = string | Uint8Array;

/**
 * Take a certificate apart.
 *
 * @throws TeleportError `BadParameter` for PEM without a certificate, `Protocol` for broken bytes
 */
export function readCertificate(input: CertificateInput): Certificate {
  const der = certificateDer(input);
  const [tbs, algorithm, signature, more] = membersOf(decodeDer(der), TAG.sequence);
  if (more !== undefined) throw broken('more than three parts');
  membersOf(algorithm, TAG.sequence);
  expectTag(signature, TAG.bitString);
  const [version, serial, , issuer, validity, subject, spki, ...rest] = membersOf(tbs, TAG.sequence);
  if (version?.tag !== 0xa0 || !version.content.equals(VERSION_3)) throw broken('not version 3');
  const [notBefore, notAfter] = membersOf(validity, TAG.sequence);
  return {
    der,
    serial: readSerial(serial),
    issuerDer: expectTag(issuer, TAG.sequence).raw,
    issuer: readName(issuer!),
    subjectDer: expectTag(subject, TAG.sequence).raw,
    subject: readName(subject!),
    notBefore: timeOf(notBefore),
    notAfter: timeOf(notAfter),
    spkiDer: expectTag(spki, TAG.sequence).raw,
    extensions: readExtensions(rest.find(({ tag }) => tag === 0xa3)),
  };
}

/** The DER of a certificate given as PEM or DER; not looked into. */
export function certificateDer(input: CertificateInput): Buffer {
  if (typeof input !== 'string') return Buffer.from(input.buffer, input.byteOffset, input.length);
  const block = decodePem(input, 'CERTIFICATE')[0];
  if (block === undefined) throw new TeleportError('BadParameter', 'no certificate found in PEM text');
  return block.der;
}

/** The public key in a certificate. */
export function publicKeyOf(input: CertificateInput): KeyObject {
  return readSpki(readCertificate(input).spkiDer);
}

/** Attribute values of the subject by dotted OID, in the order in which they stand. */
export function subjectOf(input: CertificateInput): Map<string, string[]> {
  return readCertificate(input).subject;
}

/** Attribute values of the issuer by dotted OID. */
export function issuerOf(input: CertificateInput): Map<string, string[]> {
  return readCertificate(input).issuer;
}

/** True when the certificate was signed with the private half of this key. */
export function isSignedBy(certificate: Certificate, key: KeyObject): boolean {
  try {
    return new X509Certificate(certificate.der).verify(key);
  } catch {
    return false;
  }
}

/** Content of the extension, as one DER element. */
export function extensionValue(certificate: Certificate, oid: string): DerValue | undefined {
  const extension = certificate.extensions.get(oid);
  return extension && decodeDer(extension.value);
}

const VERSION_3 = Buffer.of(TAG.integer, 1, 2);
const MAX_EXTENSIONS = 100;

function readSerial(value: DerValue | undefined): bigint {
  const { content } = expectTag(value, TAG.integer);
  if (content.length === 0 || content.length > 21 || content[0]! >= 0x80) throw broken('an unusable serial number');
  return BigInt(`0x${content.toString('hex')}`);
}

function readExtensions(wrapper: DerValue | undefined): Map<string, Extension> {
  const found = new Map<string, Extension>();
  if (wrapper === undefined) return found;
  const list = membersOf(decodeDer(wrapper.content), TAG.sequence);
  if (list.length > MAX_EXTENSIONS) throw broken('too many extensions');
  for (const extension of list) {
    const parts = membersOf(extension, TAG.sequence);
    const oid = oidText(parts[0]);
    const isMarked = parts[1]?.tag === TAG.boolean;
    if (found.has(oid)) throw broken(`extension ${oid} twice`);
    const { content } = expectTag(parts[isMarked ? 2 : 1], TAG.octetString);
    found.set(oid, { critical: isMarked && parts[1]!.content[0] !== 0, value: content });
  }
  return found;
}

function broken(detail: string): TeleportError {
  return new TeleportError('Protocol', `certificate data cannot be read: ${detail}`);
}
