/**
 * SCRAM-SHA-256 as the client: two messages to say, and the proof that the server knows the password too. No channel
 * binding. Pure but for the random nonce.
 *
 * Specification: RFC 5802, RFC 7677; PostgreSQL manual, "SASL Authentication".
 */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { TeleportError } from '../errors.js';

export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

/** Most rounds that a server may ask of us. PostgreSQL's default is 4096; a million take about a second. */
export const MAX_SCRAM_ITERATIONS = 1_000_000;
const MAX_SALT_BYTES = 1024;
/** "n": we do not support channel binding. No authorization identity. */
const GS2_HEADER = 'n,,';

export interface ScramExchange {
  /** Data of SASLInitialResponse. */
  first: Buffer;
  /** The server's first message in, the data of SASLResponse out. */
  respond(serverFirst: Buffer): Promise<Buffer>;
  /** Check the server's last message; throws when it does not know the password. */
  verify(serverFinal: Buffer): void;
}

/**
 * Begin an exchange.
 *
 * @param password  as typed; prepared by `saslPrep`
 * @param options.user  empty by default: PostgreSQL takes the user from the StartupMessage and ignores this one
 * @param options.nonce  printable characters without comma, for tests with known vectors
 * @throws TeleportError 'Protocol' from `respond` and `verify` for what breaks the RFC, 'AccessDenied' from `verify`
 */
export function startScram(password: string, options: { user?: string; nonce?: string } = {}): ScramExchange {
  const nonce = options.nonce ?? randomBytes(18).toString('base64');
  const firstBare = `n=${(options.user ?? '').replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  let expected: Buffer | undefined;
  return {
    first: Buffer.from(GS2_HEADER + firstBare),
    async respond(serverFirst) {
      const text = serverFirst.toString('utf8');
      const { serverNonce, salt, iterations } = parseServerFirst(text, nonce);
      const salted = await derive(saslPrep(password), salt, iterations, 32, 'sha256');
      const clientKey = hmac(salted, 'Client Key');
      const withoutProof = `c=${Buffer.from(GS2_HEADER).toString('base64')},r=${serverNonce}`;
      const signed = `${firstBare},${text},${withoutProof}`;
      const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
      const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!));
      expected = hmac(hmac(salted, 'Server Key'), signed);
      return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
    },
    verify(serverFinal) {
      if (!expected) throw broken('its last message came first');
      const attributes = parseAttributes(serverFinal.toString('utf8'));
      if (attributes.has('e')) throw new TeleportError('AccessDenied', 'the database server refused the SCRAM login');
      const signature = base64(attributes.get('v'));
      if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
        throw new TeleportError('AccessDenied', 'the database server could not prove that it knows the password');
      }
    },
  };
}

const derive = promisify(pbkdf2);

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function parseServerFirst(text: string, nonce: string) {
  const attributes = parseAttributes(text);
  if (attributes.has('m')) throw broken('it asks for an extension');
  const serverNonce = attributes.get('r') ?? '';
  if (!serverNonce.startsWith(nonce) || serverNonce.length === nonce.length) throw broken('its nonce is not ours');
  const salt = base64(attributes.get('s'));
  if (salt.length > MAX_SALT_BYTES) throw broken(`its salt has ${salt.length} bytes`);
  const rounds = attributes.get('i') ?? '';
  const iterations = /^[1-9][0-9]{0,9}$/.test(rounds) ? Number(rounds) : 0;
  if (iterations < 1 || iterations > MAX_SCRAM_ITERATIONS) {
    throw broken(`it asks for ${iterations} iterations, allowed are 1 to ${MAX_SCRAM_ITERATIONS}`);
  }
  return { serverNonce, salt, iterations };
}

/** `r=…,s=…,i=…` as a map; each attribute once. */
function parseAttributes(text: string): Map<string, string> {
  const attributes = new Map<string, string>();
  for (const part of text.split(',')) {
    if (part[1] !== '=' || attributes.has(part[0]!)) throw broken('an attribute is malformed');
    attributes.set(part[0]!, part.slice(2));
  }
  return attributes;
}

function base64(text: string | undefined): Buffer {
  const bytes = Buffer.from(text ?? '', 'base64');
  if (bytes.length === 0 || bytes.toString('base64') !== text) throw broken('an attribute is not base64');
  return bytes;
}

/**
 * RFC 4013 as far as PostgreSQL's users meet it: other spaces become a space, invisible joiners vanish, the rest is
 * normalized (NFKC). A password with a control character in it stays as it is, as in libpq.
 */
export function saslPrep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  const prepared = password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/\u00ad|\u034f|\u1806|\u180b|\u180c|\u180d|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/g, '')
    .normalize('NFKC');
  return prepared === '' || /[\x00-\x1f\x7f-\x9f]/.test(prepared) ? password : prepared;
}

function broken(how: string): TeleportError {
  return new TeleportError('Protocol', `SCRAM exchange with the database server: ${how}`);
}
