/**
 * The private key file of OpenSSH, `openssh-key-v1` (OpenSSH, PROTOCOL.key), unencrypted. Written without a comment, as
 * Teleport does; read with one. Keys behind a passphrase are refused.
 */
import { createPrivateKey, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto';
import { TeleportError } from '../../errors.js';
import { CURVE_OF_SSH_TYPE, sshPublicKeyBlob } from './key.js';
import { mpint, SshReader, sshString, uint32 } from './wire.js';

const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');
const BLOCK_BYTES = 8;

/** The binary form (the content of the PEM block) of a private key. */
export function encodeOpenSshPrivateKey(key: KeyObject): Buffer {
  const publicBlob = sshPublicKeyBlob(key);
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, privateFields(key, publicBlob), sshString('')]);
  const padding = Buffer.from(Array.from({ length: -secret.length & (BLOCK_BYTES - 1) }, (_, index) => index + 1));
  return Buffer.concat([
    MAGIC,
    sshString('none'),
    sshString('none'),
    sshString(''),
    uint32(1),
    sshString(publicBlob),
    sshString(Buffer.concat([secret, padding])),
  ]);
}

/**
 * The private key in a binary `openssh-key-v1` file.
 *
 * @throws TeleportError `BadParameter` for an encrypted key or an unknown kind, `Protocol` for broken bytes
 */
export function decodeOpenSshPrivateKey(bytes: Uint8Array): KeyObject {
  const reader = new SshReader(bytes);
  if (!reader.bytes(MAGIC.length).equals(MAGIC)) throw new TeleportError('Protocol', 'not an OpenSSH private key');
  const cipher = reader.text();
  reader.string();
  reader.string();
  if (cipher !== 'none') throw new TeleportError('BadParameter', 'the private key is encrypted');
  if (reader.uint32() !== 1) throw new TeleportError('BadParameter', 'an OpenSSH key file with one key is needed');
  reader.string();
  const secret = new SshReader(reader.string());
  reader.end();
  const check = secret.uint32();
  if (secret.uint32() !== check) throw new TeleportError('Protocol', 'the OpenSSH private key is damaged');
  const jwk = privateJwk(secret);
  secret.string();
  for (let expected = 1; !secret.isAtEnd; expected++) {
    if (secret.bytes(1)[0] !== expected)
      throw new TeleportError('Protocol', 'the OpenSSH private key has wrong padding');
  }
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw new TeleportError('BadParameter', 'the private key cannot be read', { cause });
  }
}

/** Type and fields as they stand in the secret part: for ECDSA and Ed25519 the public fields come first. */
function privateFields(key: KeyObject, publicBlob: Buffer): Buffer {
  const jwk = key.export({ format: 'jwk' });
  if (key.asymmetricKeyType === 'rsa') {
    return Buffer.concat([
      sshString('ssh-rsa'),
      ...[jwk.n, jwk.e, jwk.d, jwk.qi, jwk.p, jwk.q].map((field) => mpint(fromUrl(field))),
    ]);
  }
  if (key.asymmetricKeyType === 'ec') return Buffer.concat([publicBlob, mpint(fromUrl(jwk.d))]);
  return Buffer.concat([publicBlob, sshString(Buffer.concat([fromUrl(jwk.d), fromUrl(jwk.x)]))]);
}

function privateJwk(reader: SshReader): JsonWebKey {
  const type = reader.text();
  if (type === 'ssh-ed25519') {
    const x = reader.string();
    const both = reader.string();
    if (both.length !== 64) throw new TeleportError('Protocol', 'an Ed25519 private key has 64 bytes');
    return { kty: 'OKP', crv: 'Ed25519', x: toUrl(x), d: toUrl(both.subarray(0, 32)) };
  }
  if (type === 'ssh-rsa') {
    const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () => reader.mpint()) as Buffer[];
    const [dNumber, pNumber, qNumber] = [d!, p!, q!].map((part) => BigInt(`0x${part.toString('hex') || '0'}`));
    if (pNumber! < 2n || qNumber! < 2n) throw new TeleportError('Protocol', 'an RSA private key without primes');
    const [dp, dq] = [dNumber! % (pNumber! - 1n), dNumber! % (qNumber! - 1n)].map(bigBytes);
    const fields = { n: n!, e: e!, d: d!, p: p!, q: q!, dp: dp!, dq: dq!, qi: qi! };
    return { kty: 'RSA', ...Object.fromEntries(Object.entries(fields).map(([name, part]) => [name, toUrl(part)])) };
  }
  const curve = CURVE_OF_SSH_TYPE.get(type);
  if (curve === undefined) throw new TeleportError('BadParameter', 'SSH keys of this kind are not supported');
  reader.string();
  const point = reader.string();
  const d = reader.mpint();
  if (point.length !== 1 + 2 * curve.bytes || point[0] !== 4 || d.length > curve.bytes) {
    throw new TeleportError('Protocol', 'an ECDSA private key of a wrong length');
  }
  return {
    kty: 'EC',
    crv: curve.jwk,
    x: toUrl(point.subarray(1, 1 + curve.bytes)),
    y: toUrl(point.subarray(1 + curve.bytes)),
    d: toUrl(Buffer.concat([Buffer.alloc(curve.bytes - d.length), d])),
  };
}

function bigBytes(value: bigint): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

function toUrl(bytes: Buffer): string {
  return bytes.toString('base64url');
}

function fromUrl(field: string | undefined): Buffer {
  return Buffer.from(field ?? '', 'base64url');
}
