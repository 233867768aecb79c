/**
 * Making X.509 certificates: authorities, leaves, a self-signed web certificate, the empty CRL. Shapes are those of
 * Teleport 18.3.0 (lib/tlsca/ca.go, lib/tlsca/parsegen.go), compared with certificates of a real cluster in the tests.
 * This file is also the way in to the reading side: `certificate.ts`, `csr.ts`, `verify.ts`, `pem.ts`.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { type Certificate, EXTENSION_OID, extensionValue, readCertificate } from './certificate.js';
import { type DerNode, explicit, rawSequence, sequence, time, unsigned } from './der.js';
import { expectTag, TAG } from './der-reader.js';
import {
  authorityKeyId,
  basicConstraints,
  type ExtendedKeyUsage,
  extendedKeyUsage,
  extension,
  type KeyUsage,
  keyIdOf,
  keyUsage,
  subjectAltName,
  subjectKeyId,
} from './extensions.js';
import { spkiDer } from './keys.js';
import { NAME_OID, type NameAttributes, nameNode } from './name.js';
import { encodePem } from './pem.js';
import { algorithmNode, signed } from './signing.js';

export { type Certificate, issuerOf, publicKeyOf, readCertificate, subjectOf } from './certificate.js';
export { createCsr, readCsr } from './csr.js';
export type { ExtendedKeyUsage } from './extensions.js';
export { NAME_OID, type NameAttribute, type NameAttributes } from './name.js';
export { decodePem, encodePem, splitPem } from './pem.js';
export { checkPins, spkiPin, verifyLeaf } from './verify.js';

/** An authority that can sign: its certificate and the private key that belongs to it. */
export interface SigningCa {
  certPem: string;
  key: KeyObject;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Lifetime of an authority and of its CRL: 10 × 365 days. */
export const CA_DAYS = 3650;

/**
 * A self-signed authority certificate: issuer and subject O, CN and the serial in decimal text, not backdated.
 *
 * @param options.days  lifetime, default 3650
 */
export function createCa(options: { clusterName: string; key: KeyObject; now: Date; days?: number }): {
  certPem: string;
  certDer: Buffer;
} {
  const { clusterName, key, now } = options;
  const serial = randomSerial();
  const spki = spkiDer(key);
  const name = nameNode([
    { oid: NAME_OID.organization, values: [clusterName] },
    { oid: NAME_OID.commonName, values: [clusterName] },
    { oid: NAME_OID.serialNumber, values: [BigInt(`0x${serial.toString('hex')}`).toString()] },
  ]);
  const usages: KeyUsage[] = ['digitalSignature', 'keyCertSign', 'cRLSign'];
  const certDer = certificate({
    serial,
    issuer: name,
    subject: name,
    notBefore: now,
    notAfter: new Date(now.getTime() + (options.days ?? CA_DAYS) * DAY_MS),
    spki,
    extensions: [keyUsage(withEncipherment(usages, key)), basicConstraints(true), subjectKeyId(keyIdOf(spki))],
    signer: key,
  });
  return { certPem: encodePem('CERTIFICATE', certDer), certDer };
}

export interface LeafOptions {
  ca: SigningCa;
  publicKey: KeyObject;
  subject: NameAttributes;
  /** DNS names and IP addresses in text; none for a user. */
  sans?: readonly string[];
  /** Teleport's choice is a minute before now. */
  notBefore: Date;
  notAfter: Date;
  /** Default: serverAuth and clientAuth. */
  extendedKeyUsage?: readonly ExtendedKeyUsage[];
}

/**
 * A leaf certificate as PEM. The issuer is the authority's subject byte for byte.
 *
 * @throws TeleportError `BadParameter` when the dates are in the wrong order, or the key is not the authority's
 */
export function issueLeaf(options: LeafOptions): string {
  const ca = readCertificate(options.ca.certPem);
  if (!spkiDer(options.ca.key).equals(ca.spkiDer)) {
    throw new TeleportError('BadParameter', 'the private key does not belong to the certificate of the authority');
  }
  if (options.notAfter <= options.notBefore) {
    throw new TeleportError('BadParameter', 'a certificate must end after it begins');
  }
  const authority = authorityIdOf(ca);
  const der = certificate({
    serial: randomSerial(),
    issuer: rawSequence(ca.subjectDer),
    subject: nameNode(options.subject),
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    spki: spkiDer(options.publicKey),
    extensions: [
      keyUsage(withEncipherment(['digitalSignature'], options.publicKey)),
      extendedKeyUsage(options.extendedKeyUsage ?? ['serverAuth', 'clientAuth']),
      basicConstraints(false),
      ...(authority ? [authorityKeyId(authority)] : []),
      ...(options.sans?.length ? [subjectAltName(options.sans)] : []),
    ],
    signer: options.ca.key,
  });
  return encodePem('CERTIFICATE', der);
}

/**
 * A self-signed server certificate for the web port of a Proxy that was given none: CN is the first name, all names are
 * SANs, and it may be trusted as a root.
 *
 * @param options.days  lifetime, default 365; clients of some systems refuse more than 825
 */
export function selfSignedWebCertificate(options: {
  names: readonly string[];
  key: KeyObject;
  now: Date;
  days?: number;
}): string {
  const { names, key, now } = options;
  const first = names[0];
  if (first === undefined) throw new TeleportError('BadParameter', 'a web certificate needs at least one name');
  const spki = spkiDer(key);
  const name = nameNode([{ oid: NAME_OID.commonName, values: [first] }]);
  const der = certificate({
    serial: randomSerial(),
    issuer: name,
    subject: name,
    notBefore: now,
    notAfter: new Date(now.getTime() + (options.days ?? 365) * DAY_MS),
    spki,
    extensions: [
      keyUsage(withEncipherment(['digitalSignature', 'keyCertSign'], key)),
      extendedKeyUsage(['serverAuth']),
      basicConstraints(true),
      subjectKeyId(keyIdOf(spki)),
      subjectAltName(names),
    ],
    signer: key,
  });
  return encodePem('CERTIFICATE', der);
}

/** DER of a CRL without entries, number 1, valid 10 years (RFC 5280, 5). */
export function emptyCrl(ca: SigningCa, now: Date): Buffer {
  const parsed = readCertificate(ca.certPem);
  const authority = authorityIdOf(parsed);
  const tbs = sequence(
    unsigned(Buffer.of(1)),
    algorithmNode(ca.key),
    rawSequence(parsed.subjectDer),
    time(now),
    time(new Date(now.getTime() + CA_DAYS * DAY_MS)),
    explicit(
      0,
      sequence(
        ...(authority ? [authorityKeyId(authority)] : []),
        extension(EXTENSION_OID.crlNumber, unsigned(Buffer.of(1))),
      ),
    ),
  );
  return signed(tbs, ca.key);
}

interface Contents {
  serial: Buffer;
  issuer: DerNode;
  subject: DerNode;
  notBefore: Date;
  notAfter: Date;
  spki: Buffer;
  extensions: DerNode[];
  signer: KeyObject;
}

function certificate(contents: Contents): Buffer {
  const tbs = sequence(
    explicit(0, unsigned(Buffer.of(2))),
    unsigned(contents.serial),
    algorithmNode(contents.signer),
    contents.issuer,
    sequence(time(contents.notBefore), time(contents.notAfter)),
    contents.subject,
    rawSequence(contents.spki),
    explicit(3, sequence(...contents.extensions)),
  );
  return signed(tbs, contents.signer);
}

/** 128 random bits, never zero in front: a serial must be positive. */
function randomSerial(): Buffer {
  const serial = randomBytes(16);
  if (serial[0] === 0) serial[0] = 1;
  return serial;
}

function withEncipherment(usages: KeyUsage[], subjectKey: KeyObject): KeyUsage[] {
  return subjectKey.asymmetricKeyType === 'rsa' ? [...usages, 'keyEncipherment'] : usages;
}

function authorityIdOf(ca: Certificate): Buffer | undefined {
  const value = extensionValue(ca, EXTENSION_OID.subjectKeyId);
  return value && expectTag(value, TAG.octetString).content;
}
