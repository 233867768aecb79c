/** Certificate signing requests (PKCS #10, RFC 2986): written and read for every kind of key we know. */
import type { KeyObject } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { explicit, rawSequence, sequence, unsigned } from './der.js';
import { decodeDer, expectTag, membersOf, TAG } from './der-reader.js';
import { readSpki, spkiDer } from './keys.js';
import { type NameAttributes, nameNode, readName } from './name.js';
import { decodePem, encodePem } from './pem.js';
import { isSignatureValid, signed } from './signing.js';

/** What a request asks for; that its sender holds the private key has been checked. */
export interface CertificateRequest {
  /** Attribute values by dotted OID. */
  subject: Map<string, string[]>;
  publicKey: KeyObject;
}

/** A request as PEM `CERTIFICATE REQUEST`, signed with the private key it asks a certificate for. */
export function createCsr(options: { subject: NameAttributes; key: KeyObject }): string {
  const info = sequence(
    unsigned(Buffer.of(0)),
    nameNode(options.subject),
    rawSequence(spkiDer(options.key)),
    explicit(0),
  );
  return encodePem('CERTIFICATE REQUEST', signed(info, options.key));
}

/**
 * Read a request from PEM and check its signature. Attributes (such as wished SANs) are ignored.
 *
 * @throws TeleportError `BadParameter` when there is no request or its signature is wrong, `Protocol` for broken bytes
 */
export function readCsr(pem: string): CertificateRequest {
  const block = decodePem(pem).find(({ type }) => type === 'CERTIFICATE REQUEST' || type === 'NEW CERTIFICATE REQUEST');
  if (block === undefined) throw new TeleportError('BadParameter', 'no certificate request found in PEM text');
  const [info, algorithm, signature, more] = membersOf(decodeDer(block.der), TAG.sequence);
  if (more !== undefined) throw new TeleportError('Protocol', 'a certificate request has more than three parts');
  const [, subject, spki] = membersOf(info, TAG.sequence);
  const publicKey = readSpki(expectTag(spki, TAG.sequence).raw);
  if (!isSignatureValid(info!, algorithm, signature, publicKey)) {
    throw new TeleportError('BadParameter', 'the signature of the certificate request is wrong');
  }
  return { subject: readName(expectTag(subject, TAG.sequence)), publicKey };
}
