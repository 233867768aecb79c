/** The X.509 extensions that we write (RFC 5280, 4.2), each as its tree. */
import { createHash } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { canonicalIp, ipBytes } from '../ip.js';
import { EXTENSION_OID } from './certificate.js';
import { bitString, boolean, type DerNode, encodeDer, implicit, octetString, oid, sequence } from './der.js';
import { bitsOf, decodeDer, membersOf, TAG } from './der-reader.js';

export type KeyUsage = keyof typeof KEY_USAGE_BIT;
export type ExtendedKeyUsage = keyof typeof EXTENDED_KEY_USAGE_OID;

/** Object identifiers of the two purposes that TLS knows. */
export const EXTENDED_KEY_USAGE_OID = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const;

const KEY_USAGE_BIT = { digitalSignature: 0, keyEncipherment: 2, keyCertSign: 5, cRLSign: 6 } as const;

/** keyUsage, critical. */
export function keyUsage(usages: readonly KeyUsage[]): DerNode {
  const bits: number[] = usages.map((usage) => KEY_USAGE_BIT[usage]);
  const byte = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  return extension(EXTENSION_OID.keyUsage, bitString(Buffer.of(byte), 7 - Math.max(...bits)), true);
}

/** basicConstraints, critical; without a path length. */
export function basicConstraints(isCa: boolean): DerNode {
  return extension(EXTENSION_OID.basicConstraints, isCa ? sequence(boolean(true)) : sequence(), true);
}

export function extendedKeyUsage(usages: readonly ExtendedKeyUsage[]): DerNode {
  return extension(
    EXTENSION_OID.extendedKeyUsage,
    sequence(...usages.map((usage) => oid(EXTENDED_KEY_USAGE_OID[usage]))),
  );
}

export function subjectKeyId(id: Buffer): DerNode {
  return extension(EXTENSION_OID.subjectKeyId, octetString(id));
}

export function authorityKeyId(id: Buffer): DerNode {
  return extension(EXTENSION_OID.authorityKeyId, sequence(implicit(0, id)));
}

/**
 * subjectAltName: what parses as an IP address goes in as one, everything else as a DNS name; duplicates are dropped.
 * DNS names come first, as Teleport writes them.
 *
 * @throws TeleportError `BadParameter` for a name beyond ASCII or with white space
 */
export function subjectAltName(names: readonly string[]): DerNode {
  const unique = [...new Set(names)];
  const addresses = unique.filter(isIp).map((name) => ipBytes(name)!.toString('latin1'));
  return extension(
    EXTENSION_OID.subjectAltName,
    sequence(
      ...unique.filter((name) => !isIp(name)).map((name) => implicit(2, dnsBytes(name))),
      ...[...new Set(addresses)].map((address) => implicit(7, Buffer.from(address, 'latin1'))),
    ),
  );
}

export function extension(id: string, value: DerNode, critical = false): DerNode {
  const content = octetString(encodeDer(value));
  return critical ? sequence(oid(id), boolean(true), content) : sequence(oid(id), content);
}

/** SHA-1 over the bits of the public key (RFC 5280, 4.2.1.2, method 1). */
export function keyIdOf(spkiDer: Buffer): Buffer {
  const bits = bitsOf(membersOf(decodeDer(spkiDer), TAG.sequence)[1]);
  return createHash('sha1').update(bits).digest();
}

function isIp(name: string): boolean {
  return canonicalIp(name) !== undefined && !name.includes('%');
}

function dnsBytes(name: string): Buffer {
  if (!/^[\x21-\x7e]{1,253}$/.test(name)) throw new TeleportError('BadParameter', `"${name}" cannot be a DNS name`);
  return Buffer.from(name, 'latin1');
}
