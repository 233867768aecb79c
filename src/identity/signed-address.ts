/**
 * Whose connection a Proxy passes on to Auth: the address stands in a PROXY header, and the Proxy proves it with the key of its
 * host certificate. Without that proof anybody on the same machine could be at any address.
 *
 *     moment in ms (8) | length of the certificate (2) | certificate, DER | length of the name (1) | name of the root cluster through
 *     which it came, mostly empty | signature over a label, the moment, the name with its length, and the addresses
 */
import type { KeyObject } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { isSignatureOver, signatureOver } from '../pki/signing.js';
import { publicKeyOf } from '../pki/x509.js';
import { type Bearer, bearerOf, type Trust } from './bearer.js';

const LABEL = Buffer.from('teleshift: the address of a connection\0');
/** How far the clocks of two hosts may be apart. */
const MAX_AGE_MS = 5 * 60_000;

/** The Proxy that proves an address. */
export interface ProvenAddress {
  statedBy: Bearer;
  /** The root whose word the address is: it came through a tunnel to that one. */
  via?: string;
}

interface ProofOptions {
  certificateDer: Buffer;
  key: KeyObject;
  now: Date;
  /** As in `ProvenAddress`. */
  via?: string | undefined;
}

/** What a Proxy adds to a PROXY header with these addresses. */
export function proofOfAddress(addresses: Buffer, { certificateDer, key, now, via = '' }: ProofOptions): Buffer {
  const moment = Buffer.alloc(8);
  moment.writeBigUInt64BE(BigInt(now.getTime()));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(certificateDer.length);
  const name = Buffer.from(via, 'utf8');
  if (name.length > 255) throw denied('would have too long a name of a cluster');
  const root = Buffer.concat([Buffer.of(name.length), name]);
  const signature = signatureOver(Buffer.concat([LABEL, moment, root, addresses]), key);
  return Buffer.concat([moment, length, certificateDer, root, signature]);
}

/** @throws TeleportError `AccessDenied` for any other proof, `Protocol` for what cannot be read */
export function checkAddressProof(addresses: Buffer, proof: Buffer, trust: Omit<Trust, 'userCas'>): ProvenAddress {
  const certificateEnd = proof.length >= 10 ? 10 + proof.readUInt16BE(8) : Number.POSITIVE_INFINITY;
  const end = certificateEnd < proof.length ? certificateEnd + 1 + proof[certificateEnd]! : Number.POSITIVE_INFINITY;
  if (end > proof.length) throw new TeleportError('Protocol', 'the proof in the PROXY header is cut off');
  const certificateDer = Buffer.from(proof.subarray(10, certificateEnd));
  const bearer = bearerOf(certificateDer, { ...trust, userCas: [] });
  if (bearer.role !== 'Proxy') throw denied('is not signed by a Proxy of this cluster');
  const apart = Math.abs(Number(proof.readBigUInt64BE(0)) - trust.now.getTime());
  if (apart > MAX_AGE_MS) throw denied('was signed at another time: set the clocks of both hosts');
  const isRight = isSignatureOver(
    Buffer.concat([LABEL, proof.subarray(0, 8), proof.subarray(certificateEnd, end), addresses]),
    proof.subarray(end),
    publicKeyOf(certificateDer),
  );
  if (!isRight) throw denied('has a wrong signature');
  const via = proof.subarray(certificateEnd + 1, end).toString('utf8');
  return { statedBy: bearer, ...(via ? { via } : {}) };
}

function denied(what: string): TeleportError {
  return new TeleportError('AccessDenied', `the PROXY header ${what}`);
}
