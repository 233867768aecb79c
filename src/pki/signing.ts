/**
 * Signature algorithms of X.509 structures: which one follows from a signer's key, how its identifier is written, and
 * the frame `SEQUENCE { what is signed, algorithm, signature }` that certificates, requests and CRLs share.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { bitString, type DerNode, encodeDer, nullNode, oid, rawSequence, sequence } from './der.js';
import { bitsOf, type DerValue, membersOf, oidText, TAG } from './der-reader.js';
import { algorithmName } from './keys.js';

/** The frame around `tbs`, signed. `tbs` must already hold `algorithmNode(key)` where its kind wants it. */
export function signed(tbs: DerNode, key: KeyObject): Buffer {
  const bytes = encodeDer(tbs);
  const signature = sign(algorithmOf(key).hash, bytes, key);
  return encodeDer(sequence(rawSequence(bytes), algorithmNode(key), bitString(signature)));
}

/** A signature over bytes of any kind. */
export function signatureOver(bytes: Buffer, key: KeyObject): Buffer {
  return sign(algorithmOf(key).hash, bytes, key);
}

export function isSignatureOver(bytes: Buffer, signature: Buffer, publicKey: KeyObject): boolean {
  return verify(algorithmOf(publicKey).hash, bytes, publicKey, signature);
}

/** AlgorithmIdentifier that this key signs with. */
export function algorithmNode(key: KeyObject): DerNode {
  const algorithm = algorithmOf(key);
  return algorithm.isRsa ? sequence(oid(algorithm.oid), nullNode()) : sequence(oid(algorithm.oid));
}

/** Check the signature over `tbs` with the key that must have made it; false also for an algorithm that is not its own. */
export function isSignatureValid(
  tbs: DerValue,
  algorithm: DerValue | undefined,
  signature: DerValue | undefined,
  key: KeyObject,
): boolean {
  const name = oidText(membersOf(algorithm, TAG.sequence)[0]);
  const match = ALGORITHMS.find((known) => known.oid === name);
  if (match === undefined || !algorithmName(key).startsWith(match.kind)) return false;
  return verify(match.hash, tbs.raw, key, bitsOf(signature));
}

interface SignatureAlgorithm {
  /** Beginning of `algorithmName` of the keys that may use it; the first match signs. */
  kind: string;
  oid: string;
  hash: 'sha256' | 'sha384' | 'sha512' | null;
  isRsa?: true;
}

const ALGORITHMS: readonly SignatureAlgorithm[] = [
  { kind: 'RSA', oid: '1.2.840.113549.1.1.11', hash: 'sha256', isRsa: true },
  { kind: 'RSA', oid: '1.2.840.113549.1.1.12', hash: 'sha384', isRsa: true },
  { kind: 'RSA', oid: '1.2.840.113549.1.1.13', hash: 'sha512', isRsa: true },
  { kind: 'ECDSA P-256', oid: '1.2.840.10045.4.3.2', hash: 'sha256' },
  { kind: 'ECDSA P-384', oid: '1.2.840.10045.4.3.3', hash: 'sha384' },
  { kind: 'ECDSA P-521', oid: '1.2.840.10045.4.3.4', hash: 'sha512' },
  { kind: 'Ed25519', oid: '1.3.101.112', hash: null },
];

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  const match = ALGORITHMS.find(({ kind }) => algorithmName(key).startsWith(kind));
  if (match === undefined) throw new TeleportError('BadParameter', 'this kind of key cannot sign certificates');
  return match;
}
