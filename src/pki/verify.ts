/**
 * Trust: is this one leaf certificate signed by one of these authorities and valid now, and do these authorities match
 * a pin (Teleport 18.3.0: no intermediates anywhere; api/utils, lib/auth CA pins).
 */
import { createHash } from 'node:crypto';
import { TeleportError } from '../errors.js';
import {
  type Certificate,
  type CertificateInput,
  EXTENSION_OID,
  extensionValue,
  isSignedBy,
  readCertificate,
} from './certificate.js';
import { expectTag, membersOf, oidText, TAG } from './der-reader.js';
import { EXTENDED_KEY_USAGE_OID, type ExtendedKeyUsage } from './extensions.js';
import { readSpki } from './keys.js';
import { encodePem, splitPem } from './pem.js';

export interface VerifyOptions {
  /** Trusted authorities, each PEM text with one or more certificates. */
  cas: readonly string[];
  now: Date;
  /** What the peer uses the certificate for; not looked at when absent. */
  usage?: ExtendedKeyUsage;
}

/**
 * Verify what a peer presented: exactly one certificate, signed by the key of a trusted authority of that name, both
 * valid now, not an authority itself.
 *
 * @param presented  DER of the certificate, or of all certificates of the chain that was presented
 * @returns the leaf taken apart, and the PEM of the authority that signed it
 * @throws TeleportError `AccessDenied` with the reason; `Protocol` for bytes that are not a certificate
 */
export function verifyLeaf(
  presented: Uint8Array | readonly Uint8Array[],
  options: VerifyOptions,
): { leaf: Certificate; caPem: string } {
  const chain = presented instanceof Uint8Array ? [presented] : presented;
  if (chain.length === 0) throw denied('no certificate was presented');
  if (chain.length > 1) throw denied('intermediaries are not supported');
  const leaf = readCertificate(chain[0]!);
  checkDates(leaf, options.now, 'certificate');
  const ca = signerOf(leaf, options.cas);
  checkDates(ca, options.now, 'certificate of the authority');
  if (!isAuthority(ca)) throw denied('the certificate was not signed by an authority');
  if (isAuthority(leaf)) throw denied('an authority cannot be presented as a leaf');
  const unknown = [...leaf.extensions].find(([oid, { critical }]) => critical && !UNDERSTOOD.has(oid));
  if (unknown !== undefined) throw denied(`the certificate has the unknown critical extension ${unknown[0]}`);
  if (options.usage !== undefined && !allows(leaf, options.usage)) {
    throw denied(`the certificate is not for ${options.usage}`);
  }
  return { leaf, caPem: encodePem('CERTIFICATE', ca.der) };
}

/** `sha256:` and the hex SHA-256 of the SubjectPublicKeyInfo of an authority's certificate. */
export function spkiPin(cert: CertificateInput): string {
  return `sha256:${createHash('sha256').update(readCertificate(cert).spkiDer).digest('hex')}`;
}

/**
 * Every authority that was presented must match one of the pins. No pins: nothing is checked.
 *
 * @throws TeleportError `BadParameter` for a pin in a wrong form, `AccessDenied` for an authority without pin
 */
export function checkPins(pins: readonly string[], caPems: readonly string[]): void {
  if (pins.length === 0) return;
  const wanted = new Set(pins.map(checkedPin));
  const authorities = caPems.flatMap((pem) => splitPem(pem, 'CERTIFICATE'));
  if (authorities.length === 0 || !authorities.every((pem) => wanted.has(spkiPin(pem)))) {
    throw new TeleportError('AccessDenied', PIN_MISMATCH, { hint: PIN_HINT });
  }
}

const PIN_HINT = 'Set ca_pin (or --ca-pin) to what "tctl status" shows on the Auth host, as sha256:HASH.';
const PIN_MISMATCH =
  'cluster pin does not match any provided certificate authority pin. This could have occurred if the Certificate ' +
  'Authority (CA) for the cluster was rotated, invalidating the old pin. This could also occur if a new HSM was added. ' +
  'Run "tctl status" to compare the pin used to join the cluster to the actual pin(s) for the cluster.';

function checkedPin(pin: string): string {
  const [algorithm, hash, more] = pin.split(':');
  if (hash === undefined || more !== undefined) {
    throw new TeleportError('BadParameter', 'invalid format for certificate pin, expected algorithm:pin', {
      hint: PIN_HINT,
    });
  }
  if (algorithm !== 'sha256') {
    throw new TeleportError('BadParameter', 'sha256 only supported hashing algorithm for certificate pin', {
      hint: PIN_HINT,
    });
  }
  return `sha256:${hash.toLowerCase()}`;
}

/** What `verifyLeaf` or the TLS library looks at. */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  EXTENSION_OID.keyUsage,
  EXTENSION_OID.extendedKeyUsage,
  EXTENSION_OID.basicConstraints,
  EXTENSION_OID.subjectAltName,
]);

function signerOf(leaf: Certificate, cas: readonly string[]): Certificate {
  const known = cas.flatMap((pem) => splitPem(pem, 'CERTIFICATE')).map(readCertificate);
  const ca = known.find(
    ({ subjectDer, spkiDer }) => subjectDer.equals(leaf.issuerDer) && isSignedBy(leaf, readSpki(spkiDer)),
  );
  if (ca === undefined) throw denied('the certificate is signed by an unknown authority');
  return ca;
}

function checkDates(certificate: Certificate, now: Date, what: string): void {
  if (now < certificate.notBefore) throw denied(`the ${what} is not valid yet`);
  if (now > certificate.notAfter) throw denied(`the ${what} has expired`);
}

/** By its basic constraints. */
export function isAuthority(certificate: Certificate): boolean {
  const value = extensionValue(certificate, EXTENSION_OID.basicConstraints);
  if (value === undefined) return false;
  const [flag] = membersOf(value, TAG.sequence);
  return flag?.tag === TAG.boolean && flag.content[0] !== 0;
}

function allows(certificate: Certificate, usage: ExtendedKeyUsage): boolean {
  const value = extensionValue(certificate, EXTENSION_OID.extendedKeyUsage);
  if (value === undefined) return true;
  return membersOf(expectTag(value, TAG.sequence), TAG.sequence).map(oidText).includes(EXTENDED_KEY_USAGE_OID[usage]);
}

function denied(reason: string): TeleportError {
  return new TeleportError('AccessDenied', `access denied: ${reason}`);
}
