/**
 * OpenSSH certificates, format v01 (OpenSSH, PROTOCOL.certkeys): signed with a CA key, taken apart, verified. Keys and
 * their lines are in `ssh-key.ts`, whose exports come along here.
 */
import { type KeyObject, randomBytes } from 'node:crypto';
import { TeleportError } from '../../errors.js';
import {
  decodeSshPublicKey,
  readSshPublicFields,
  splitSshLine,
  sshKeyType,
  sshPublicFields,
  sshPublicKeyBlob,
} from './key.js';
import { isSshSignatureValid, sshSignature } from './signature.js';
import { SshReader, sshString, uint32, uint64 } from './wire.js';

export {
  authorizedKeyLine,
  decodeSshPublicKey,
  readAuthorizedKey,
  sshFingerprint,
  sshKeyType,
  sshLine,
  sshPublicKeyBlob,
} from './key.js';

export type SshCertificateType = 'user' | 'host';

/** A certificate taken apart. Absent times mean: from ever, for ever. Values of options and extensions are text. */
export interface SshCertificate {
  type: SshCertificateType;
  key: KeyObject;
  serial: bigint;
  keyId: string;
  principals: string[];
  validAfter?: Date;
  validBefore?: Date;
  criticalOptions: Record<string, string>;
  extensions: Record<string, string>;
  signatureKey: KeyObject;
}

export interface SshCertificateOptions {
  type: SshCertificateType;
  publicKey: KeyObject;
  caKey: KeyObject;
  keyId: string;
  principals: readonly string[];
  /** Default 0, as Teleport writes. */
  serial?: bigint;
  validAfter?: Date;
  validBefore?: Date;
  criticalOptions?: Readonly<Record<string, string>>;
  extensions?: Readonly<Record<string, string>>;
}

/** Sign a certificate; the line `TYPE BASE64` without comment and newline. An RSA key signs as rsa-sha2-512. */
export function signSshCertificate(options: SshCertificateOptions): string {
  const keyType = sshKeyType(options.publicKey);
  const type = `${keyType}${CERTIFICATE_SUFFIX}`;
  const body = Buffer.concat([
    sshString(type),
    sshString(randomBytes(32)),
    sshPublicFields(options.publicKey, keyType),
    uint64(options.serial ?? 0n),
    uint32(options.type === 'user' ? USER : HOST),
    sshString(options.keyId),
    sshString(Buffer.concat(options.principals.map((principal) => sshString(principal)))),
    uint64(options.validAfter ? seconds(options.validAfter) : 0n),
    uint64(options.validBefore ? seconds(options.validBefore) : FOREVER),
    sshString(optionBytes(options.criticalOptions ?? {})),
    sshString(optionBytes(options.extensions ?? {})),
    sshString(''),
    sshString(sshPublicKeyBlob(options.caKey)),
  ]);
  return `${type} ${Buffer.concat([body, sshString(sshSignature(body, options.caKey))]).toString('base64')}`;
}

/** True when the first word of a line names an SSH certificate of a kind we know. */
export function isSshCertificateLine(line: string): boolean {
  return KNOWN_TYPE.test(line.trim().split(/\s/, 1)[0] ?? '');
}

/**
 * Take a certificate apart, from its line or its bytes. Its signature is checked against the key it names; whether that
 * key is trusted is `verifySshCertificate`'s question.
 *
 * @throws TeleportError `BadParameter` for another type, `Protocol` for broken bytes or a wrong signature
 */
export function readSshCertificate(input: string | Uint8Array): SshCertificate {
  const [named, blob] = typeof input === 'string' ? splitSshLine(input) : [undefined, input];
  const reader = new SshReader(blob);
  const type = reader.text();
  if (!KNOWN_TYPE.test(type) || (named !== undefined && named !== type)) {
    throw new TeleportError('BadParameter', 'not an SSH certificate of a known kind');
  }
  reader.string();
  const key = readSshPublicFields(reader, type.slice(0, -CERTIFICATE_SUFFIX.length));
  const serial = reader.uint64();
  const kind = reader.uint32();
  if (kind !== USER && kind !== HOST) throw new TeleportError('Protocol', `SSH certificate of unknown type ${kind}`);
  const keyId = reader.text();
  const principals = readList(reader.string());
  const validAfter = reader.uint64();
  const validBefore = reader.uint64();
  const criticalOptions = readOptions(reader.string());
  const extensions = readOptions(reader.string());
  reader.string();
  const signatureKey = decodeSshPublicKey(reader.string());
  const signedBytes = blob.subarray(0, reader.offset);
  const signature = reader.string();
  reader.end();
  if (!isSshSignatureValid(signedBytes, signature, signatureKey)) {
    throw new TeleportError('Protocol', 'the signature of the SSH certificate is wrong');
  }
  return {
    type: kind === USER ? 'user' : 'host',
    key,
    serial,
    keyId,
    principals,
    ...(validAfter === 0n ? {} : { validAfter: moment(validAfter) }),
    ...(validBefore === FOREVER ? {} : { validBefore: moment(validBefore) }),
    criticalOptions,
    extensions,
    signatureKey,
  };
}

/**
 * Check that a certificate is of this type, signed by one of these keys, valid now and, when asked, for this principal.
 * Critical options that nobody here enforces make it invalid.
 *
 * @throws TeleportError `AccessDenied` with the reason
 */
export function verifySshCertificate(
  certificate: SshCertificate,
  options: { type: SshCertificateType; cas: readonly KeyObject[]; now: Date; principal?: string },
): void {
  const refuse = (reason: string): never => {
    throw new TeleportError('AccessDenied', `access denied: ${reason}`);
  };
  const signer = sshPublicKeyBlob(certificate.signatureKey);
  if (certificate.type !== options.type) refuse(`an SSH ${options.type} certificate is needed`);
  if (!options.cas.some((ca) => sshPublicKeyBlob(ca).equals(signer))) {
    refuse('the SSH certificate is signed by an unknown authority');
  }
  if (certificate.validAfter && options.now < certificate.validAfter) refuse('the SSH certificate is not valid yet');
  if (certificate.validBefore && options.now >= certificate.validBefore) refuse('the SSH certificate has expired');
  const critical = Object.keys(certificate.criticalOptions)[0];
  if (critical !== undefined && critical !== 'source-address')
    refuse('the SSH certificate has an unknown critical option');
  if (options.principal !== undefined && !certificate.principals.includes(options.principal)) {
    refuse('the SSH certificate is not for this principal');
  }
}

const USER = 1;
const HOST = 2;
const FOREVER = 0xffff_ffff_ffff_ffffn;
const CERTIFICATE_SUFFIX = '-cert-v01@openssh.com';
const KNOWN_TYPE = /^(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(256|384|521))-cert-v01@openssh\.com$/;
/** Last moment that a Date can hold, in seconds. */
const MAX_SECONDS = 8_640_000_000_000n;

/** Sorted by name; a value is a string inside the string, an empty one an empty string. */
function optionBytes(options: Readonly<Record<string, string>>): Buffer {
  const names = Object.keys(options).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return Buffer.concat(
    names.flatMap((name) => {
      const value = options[name]!;
      return [sshString(name), sshString(value === '' ? '' : sshString(value))];
    }),
  );
}

function readOptions(bytes: Buffer): Record<string, string> {
  const reader = new SshReader(bytes);
  const entries: [string, string][] = [];
  while (!reader.isAtEnd) {
    const name = reader.text();
    const last = entries.at(-1)?.[0];
    if (last !== undefined && Buffer.compare(Buffer.from(last), Buffer.from(name)) >= 0) {
      throw new TeleportError('Protocol', 'options of the SSH certificate are not in order');
    }
    const value = new SshReader(reader.string());
    entries.push([name, value.isAtEnd ? '' : value.text()]);
    value.end();
  }
  return Object.fromEntries(entries);
}

function readList(bytes: Buffer): string[] {
  const reader = new SshReader(bytes);
  const list: string[] = [];
  while (!reader.isAtEnd) list.push(reader.text());
  return list;
}

function seconds(at: Date): bigint {
  return BigInt(Math.floor(at.getTime() / 1000));
}

function moment(value: bigint): Date {
  if (value > MAX_SECONDS) throw new TeleportError('Protocol', 'the SSH certificate has an impossible date');
  return new Date(Number(value) * 1000);
}
