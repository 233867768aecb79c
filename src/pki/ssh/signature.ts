/**
 * SSH signature blobs: `string type, string bytes` (RFC 4253 6.6; RSA with SHA-2: RFC 8332; ECDSA as two mpints: RFC
 * 5656). `ssh-rsa`, which is SHA-1, is neither written nor accepted.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { CURVE_OF_SSH_TYPE, sshKeyType } from './key.js';
import { mpint, SshReader, sshString } from './wire.js';

/** Sign bytes; an RSA key signs as rsa-sha2-512. */
export function sshSignature(bytes: Uint8Array, key: KeyObject): Buffer {
  const type = sshKeyType(key);
  if (type === 'ssh-rsa') {
    return Buffer.concat([sshString('rsa-sha2-512'), sshString(sign('sha512', bytes, key))]);
  }
  if (type === 'ssh-ed25519') return Buffer.concat([sshString(type), sshString(sign(null, bytes, key))]);
  const both = sign(CURVE_HASH[type], bytes, { key, dsaEncoding: 'ieee-p1363' });
  const half = both.length / 2;
  const numbers = Buffer.concat([mpint(both.subarray(0, half)), mpint(both.subarray(half))]);
  return Buffer.concat([sshString(type), sshString(numbers)]);
}

/** Check a signature blob; throws TeleportError `Protocol` only when the blob itself is broken. */
export function isSshSignatureValid(bytes: Uint8Array, blob: Uint8Array, key: KeyObject): boolean {
  const reader = new SshReader(blob);
  const type = reader.text();
  const signature = reader.string();
  reader.end();
  const keyType = sshKeyType(key);
  if (keyType === 'ssh-rsa') {
    const hash = RSA_HASH.get(type);
    return hash !== undefined && verify(hash, bytes, key, signature);
  }
  if (type !== keyType) return false;
  if (type === 'ssh-ed25519') return verify(null, bytes, key, signature);
  const numbers = new SshReader(signature);
  const halves = [numbers.mpint(), numbers.mpint()];
  numbers.end();
  const size = CURVE_OF_SSH_TYPE.get(type)!.bytes;
  if (halves.some((half) => half.length > size)) return false;
  const both = Buffer.concat(halves.flatMap((half) => [Buffer.alloc(size - half.length), half]));
  return verify(CURVE_HASH[type], bytes, { key, dsaEncoding: 'ieee-p1363' }, both);
}

const RSA_HASH = new Map([
  ['rsa-sha2-256', 'sha256'],
  ['rsa-sha2-512', 'sha512'],
]);
const CURVE_HASH: Readonly<Record<string, string>> = {
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};
