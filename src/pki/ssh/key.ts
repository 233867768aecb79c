/**
 * SSH public keys: the wire blob (RFC 4253 6.6, RFC 5656 3.1, RFC 8709), the `authorized_keys` line and the fingerprint,
 * each to and from a `KeyObject`.
 */
import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { TeleportError } from '../../errors.js';
import { mpint, SshReader, sshString } from './wire.js';

/** A NIST curve in the words of JWK and of SSH; `bytes` is the length of a coordinate. */
export interface SshCurve {
  jwk: string;
  ssh: string;
  bytes: number;
}

export const CURVE_OF_SSH_TYPE: ReadonlyMap<string, SshCurve> = new Map([
  ['ecdsa-sha2-nistp256', { jwk: 'P-256', ssh: 'nistp256', bytes: 32 }],
  ['ecdsa-sha2-nistp384', { jwk: 'P-384', ssh: 'nistp384', bytes: 48 }],
  ['ecdsa-sha2-nistp521', { jwk: 'P-521', ssh: 'nistp521', bytes: 66 }],
]);

/** `ssh-ed25519 AAAA…`, with the comment behind it when there is one. No newline. */
export function authorizedKeyLine(key: KeyObject, comment = ''): string {
  const line = `${sshKeyType(key)} ${sshPublicKeyBlob(key).toString('base64')}`;
  return comment === '' ? line : `${line} ${comment}`;
}

/** The same line with a newline at its end, as Teleport writes it. */
export const sshLine = (key: KeyObject): string => `${authorizedKeyLine(key)}\n`;

/**
 * The key of an `authorized_keys` line without options: type, Base64, and whatever comment.
 *
 * @throws TeleportError `BadParameter` when the line has another form or kind, `Protocol` when its bytes are broken
 */
export function readAuthorizedKey(line: string): KeyObject {
  const [type, blob] = splitSshLine(line);
  const key = decodeSshPublicKey(blob);
  if (sshKeyType(key) !== type)
    throw new TeleportError('BadParameter', 'the SSH key is not of the type its line names');
  return key;
}

/** Type word and bytes of a line `TYPE BASE64 [COMMENT]`. */
export function splitSshLine(line: string): [type: string, blob: Buffer] {
  const [type, base64] = line.trim().split(/\s+/, 2);
  if (type === undefined || base64 === undefined || base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw new TeleportError('BadParameter', 'an SSH key line has the form "TYPE BASE64"');
  }
  return [type, Buffer.from(base64, 'base64')];
}

/** The SSH name of a key's kind: `ssh-rsa`, `ecdsa-sha2-nistp256`, `ssh-ed25519`. */
export function sshKeyType(key: KeyObject): string {
  if (key.asymmetricKeyType === 'rsa') return 'ssh-rsa';
  if (key.asymmetricKeyType === 'ed25519') return 'ssh-ed25519';
  const { crv } = key.export({ format: 'jwk' });
  const found = [...CURVE_OF_SSH_TYPE].find(([, curve]) => curve.jwk === crv);
  if (found === undefined) throw unsupported();
  return found[0];
}

/** Wire form of a public key: type string and fields. */
export function sshPublicKeyBlob(key: KeyObject): Buffer {
  const type = sshKeyType(key);
  return Buffer.concat([sshString(type), sshPublicFields(key, type)]);
}

/** The fields behind the type string; certificates repeat exactly these. */
export function sshPublicFields(key: KeyObject, type = sshKeyType(key)): Buffer {
  const jwk = key.export({ format: 'jwk' });
  const field = (text: string | undefined) => Buffer.from(text ?? '', 'base64url');
  if (type === 'ssh-rsa') return Buffer.concat([mpint(field(jwk.e)), mpint(field(jwk.n))]);
  if (type === 'ssh-ed25519') return sshString(field(jwk.x));
  const point = Buffer.concat([Buffer.of(4), field(jwk.x), field(jwk.y)]);
  return Buffer.concat([sshString(CURVE_OF_SSH_TYPE.get(type)!.ssh), sshString(point)]);
}

/** A public key from its wire form. */
export function decodeSshPublicKey(blob: Uint8Array): KeyObject {
  const reader = new SshReader(blob);
  const key = readSshPublicFields(reader, reader.text());
  reader.end();
  return key;
}

/**
 * The fields of a public key of this type.
 *
 * @throws TeleportError `BadParameter` for an unknown type or an impossible key, `Protocol` for broken bytes
 */
export function readSshPublicFields(reader: SshReader, type: string): KeyObject {
  const jwk = publicJwk(reader, type);
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch (cause) {
    throw new TeleportError('BadParameter', 'the SSH public key cannot be read', { cause });
  }
}

/** `SHA256:…` as `ssh-keygen -l` prints it. */
export function sshFingerprint(key: KeyObject): string {
  const digest = createHash('sha256').update(sshPublicKeyBlob(key)).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/** RSA moduli beyond this only cost time. */
const MAX_RSA_BYTES = 2048;

function publicJwk(reader: SshReader, type: string): JsonWebKey {
  if (type === 'ssh-rsa') {
    const e = reader.mpint();
    const n = reader.mpint();
    if (n.length < 128 || n.length > MAX_RSA_BYTES || e.length === 0 || e.length > 8) {
      throw new TeleportError('BadParameter', 'an RSA key of an unusable size');
    }
    return { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') };
  }
  if (type === 'ssh-ed25519') return { kty: 'OKP', crv: 'Ed25519', x: reader.string().toString('base64url') };
  const curve = CURVE_OF_SSH_TYPE.get(type);
  if (curve === undefined) throw unsupported();
  const name = reader.text();
  const point = reader.string();
  if (name !== curve.ssh || point.length !== 1 + 2 * curve.bytes || point[0] !== 4) {
    throw new TeleportError('Protocol', 'an ECDSA public key of a wrong form');
  }
  const half = 1 + curve.bytes;
  return {
    kty: 'EC',
    crv: curve.jwk,
    x: point.subarray(1, half).toString('base64url'),
    y: point.subarray(half).toString('base64url'),
  };
}

function unsupported(): TeleportError {
  return new TeleportError('BadParameter', 'SSH keys of this kind are not supported');
}
