/**
 * Key pairs: made, written in the encodings that Teleport uses on disk and on the wire, read back tolerantly, compared.
 * A key is always a `KeyObject` of `node:crypto`; RSA, ECDSA on the NIST curves and Ed25519 are known, nothing else is.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { decodePem, encodePem, type PemBlock } from './pem.js';
import { decodeOpenSshPrivateKey, encodeOpenSshPrivateKey } from './ssh/openssh-key.js';

export type KeyAlgorithm = 'rsa2048' | 'ecdsa-p256' | 'ed25519';

/** A fresh private key. Made off the event loop: RSA takes a few hundred milliseconds. */
export function generateKey(algorithm: KeyAlgorithm): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject) =>
      error ? reject(error) : resolve(privateKey);
    if (algorithm === 'rsa2048') generateKeyPair('rsa', { modulusLength: 2048 }, done);
    else if (algorithm === 'ecdsa-p256') generateKeyPair('ec', { namedCurve: 'P-256' }, done);
    else generateKeyPair('ed25519', {}, done);
  });
}

/** The public half; a public key is given back as it is. */
export function publicHalf(key: KeyObject): KeyObject {
  return key.type === 'private' ? createPublicKey(key) : key;
}

/** DER SubjectPublicKeyInfo of a private or public key. */
export function spkiDer(key: KeyObject): Buffer {
  return publicHalf(key).export({ format: 'der', type: 'spki' });
}

/** Public key as PEM: RSA as PKCS#1 `RSA PUBLIC KEY`, the others as PKIX `PUBLIC KEY`. */
export function publicKeyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'spki';
  return publicHalf(key).export({ format: 'pem', type }) as string;
}

/** Private key as PEM for TLS: RSA as PKCS#1 `RSA PRIVATE KEY`, the others as PKCS#8 `PRIVATE KEY`. */
export function privateKeyPem(key: KeyObject): string {
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'pkcs8';
  return key.export({ format: 'pem', type }) as string;
}

/** Private key as PEM for SSH: RSA as PKCS#1, ECDSA and Ed25519 as `OPENSSH PRIVATE KEY` without comment. */
export function openSshPrivateKeyPem(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return privateKeyPem(key);
  return encodePem('OPENSSH PRIVATE KEY', encodeOpenSshPrivateKey(key));
}

/**
 * The first private key of a PEM text. For the classic labels every DER form is tried, as Teleport does.
 *
 * @throws TeleportError `BadParameter` when there is none, or it is encrypted, or of an unknown kind
 */
export function readPrivateKey(pem: string): KeyObject {
  const block = decodePem(pem).find(({ type }) => type.endsWith('PRIVATE KEY'));
  if (block === undefined) throw new TeleportError('BadParameter', 'no private key found in PEM text');
  if (block.type === 'OPENSSH PRIVATE KEY') return known(decodeOpenSshPrivateKey(block.der));
  if (block.type === 'ENCRYPTED PRIVATE KEY') throw new TeleportError('BadParameter', 'the private key is encrypted');
  return known(firstThatReads(block, ['pkcs8', 'pkcs1', 'sec1'] as const, 'private key', createPrivateKey));
}

/**
 * The first public key of a PEM text, PKCS#1 or PKIX whatever its label says.
 *
 * @throws TeleportError `BadParameter` when there is none or it is of an unknown kind
 */
export function readPublicKey(pem: string): KeyObject {
  const block = decodePem(pem).find(({ type }) => type.endsWith('PUBLIC KEY'));
  if (block === undefined) throw new TeleportError('BadParameter', 'no public key found in PEM text');
  return known(firstThatReads(block, ['spki', 'pkcs1'] as const, 'public key', createPublicKey));
}

/** Public key from DER SubjectPublicKeyInfo. */
export function readSpki(der: Uint8Array): KeyObject {
  const block = { type: 'PUBLIC KEY', der: Buffer.from(der), pem: '' };
  return known(firstThatReads(block, ['spki'] as const, 'public key', createPublicKey));
}

/** True when both have the same public half. */
export function sameKey(a: KeyObject, b: KeyObject): boolean {
  return spkiDer(a).equals(spkiDer(b));
}

/** `RSA 2048`, `ECDSA P-256`, `Ed25519`: the words of `tctl status`. */
export function algorithmName(key: KeyObject): string {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') return `RSA ${details?.modulusLength ?? 0}`;
  if (key.asymmetricKeyType === 'ec') return `ECDSA ${CURVES[details?.namedCurve ?? ''] ?? 'unknown curve'}`;
  return key.asymmetricKeyType === 'ed25519' ? 'Ed25519' : 'unknown';
}

const CURVES: Record<string, string> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

type Create<Type> = (input: { key: Buffer; format: 'der'; type: Type }) => KeyObject;

function firstThatReads<Type>(block: PemBlock, types: readonly Type[], what: string, create: Create<Type>): KeyObject {
  let cause: unknown;
  for (const type of types) {
    try {
      return create({ key: block.der, format: 'der', type });
    } catch (error) {
      cause = error;
    }
  }
  throw new TeleportError('BadParameter', `the ${what} cannot be read`, { cause });
}

function known(key: KeyObject): KeyObject {
  const name = algorithmName(key);
  if (name.startsWith('RSA') || name === 'Ed25519' || (name.startsWith('ECDSA') && !name.endsWith('curve'))) return key;
  throw new TeleportError(
    'BadParameter',
    'keys of this kind are not supported: use RSA, ECDSA on a NIST curve or Ed25519',
  );
}
