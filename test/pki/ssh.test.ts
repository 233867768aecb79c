/** Tests: src/pki/ssh/certificate.ts, src/pki/ssh/key.ts, src/pki/ssh/signature.ts, src/pki/ssh/wire.ts. */
import { execFileSync } from 'node:child_process';
import type { KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isTeleportError } from '../../src/errors.js';
import { generateKey, sameKey } from '../../src/pki/keys.js';
import {
  isSshCertificateLine,
  readAuthorizedKey,
  readSshCertificate,
  signSshCertificate,
  sshFingerprint,
  verifySshCertificate,
} from '../../src/pki/ssh/certificate.js';

const captured = (name: string) => readFileSync(new URL(`../fixtures/certs/${name}`, import.meta.url), 'utf8').trim();
const now = new Date('2026-11-21T04:00:00Z');
const later = new Date('2026-11-21T05:00:00Z');

let keys: KeyObject[];

beforeAll(async () => {
  keys = await Promise.all([generateKey('ed25519'), generateKey('ecdsa-p256'), generateKey('rsa2048')]);
});

test('a captured user certificate is read, and was signed by the captured authority', () => {
  const certificate = readSshCertificate(captured('user-ssh-cert.pub'));
  expect(certificate).toMatchObject({
    type: 'user',
    serial: 0n,
    keyId: 'alice',
    principals: ['-teleport-nologin-d691f9ce-8813-436d-a164-a61d06822ab5', '-teleport-internal-join'],
    validAfter: new Date('2026-11-21T03:26:43Z'),
    validBefore: new Date('2026-11-21T15:27:43Z'),
    criticalOptions: {},
  });
  expect(Object.keys(certificate.extensions)).toEqual([
    'login-ip',
    'permit-agent-forwarding',
    'permit-port-forwarding',
    'permit-pty',
    'private-key-policy',
    'teleport-roles',
    'teleport-route-to-cluster',
    'teleport-traits',
  ]);
  expect(certificate.extensions['login-ip']).toBe('127.0.0.1');
  expect(certificate.extensions['permit-pty']).toBe('');
  const ca = readAuthorizedKey(captured('user-ca-ssh.txt').slice('cert-authority '.length));
  expect(() => verifySshCertificate(certificate, { type: 'user', cas: [ca], now })).not.toThrow();
  expect(() => verifySshCertificate(certificate, { type: 'host', cas: [ca], now })).toThrow('access denied');
  expect(() => verifySshCertificate(certificate, { type: 'user', cas: keys, now })).toThrow('unknown authority');
  const expired = { type: 'user', cas: [ca], now: new Date('2026-11-22T00:00:00Z') } as const;
  expect(() => verifySshCertificate(certificate, expired)).toThrow('expired');
  expect(() => verifySshCertificate(certificate, { type: 'user', cas: [ca], now, principal: 'root' })).toThrow(
    'principal',
  );
});

test('an ECDSA certificate of an identity file is read as well', () => {
  const line = captured('identity-file.txt').split('\n').find(isSshCertificateLine)!;
  expect(readSshCertificate(line)).toMatchObject({ type: 'user', keyId: 'alice' });
});

test('every kind of authority signs every kind of key, for users and hosts', () => {
  for (const caKey of keys) {
    for (const publicKey of keys) {
      const line = signSshCertificate({
        type: 'host',
        publicKey,
        caKey,
        keyId: '',
        serial: 7n,
        principals: ['a', 'ü'],
        criticalOptions: { 'source-address': '10.0.0.1/32' },
        extensions: { 'x-teleport-role': 'Db', 'a-first': '' },
      });
      const read = readSshCertificate(line);
      expect(read).toMatchObject({ type: 'host', keyId: '', serial: 7n, principals: ['a', 'ü'] });
      expect(read.criticalOptions).toEqual({ 'source-address': '10.0.0.1/32' });
      expect(Object.entries(read.extensions)).toEqual([
        ['a-first', ''],
        ['x-teleport-role', 'Db'],
      ]);
      expect([read.validAfter, read.validBefore]).toEqual([undefined, undefined]);
      expect(sameKey(read.key, publicKey) && sameKey(read.signatureKey, caKey)).toBe(true);
      verifySshCertificate(read, { type: 'host', cas: keys, now, principal: 'ü' });
    }
  }
});

test('cut at every byte or changed in one bit, a certificate ends in an error of ours', () => {
  for (const caKey of keys) {
    const line = signSshCertificate({ type: 'user', publicKey: keys[0]!, caKey, keyId: 'alice', principals: ['x'] });
    const blob = Buffer.from(line.split(' ')[1]!, 'base64');
    for (let at = 0; at < blob.length; at++) {
      expect(['Protocol', 'BadParameter']).toContain(codeOf(() => readSshCertificate(blob.subarray(0, at))));
      const changed = Buffer.from(blob);
      changed[at] = changed[at]! ^ 0x04;
      expect(['Protocol', 'BadParameter']).toContain(codeOf(() => readSshCertificate(changed)));
    }
  }
  expect(codeOf(() => readSshCertificate('ssh-ed25519 AAAA'))).toBe('Protocol');
  expect(codeOf(() => readSshCertificate('constructor'))).toBe('BadParameter');
});

test('ssh-keygen prints our certificates as they were meant', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pki-'));
  const file = join(folder, 'cert.pub');
  try {
    for (const caKey of keys) {
      const line = signSshCertificate({
        type: 'user',
        publicKey: keys[1]!,
        caKey,
        keyId: 'alice',
        principals: ['root', '-teleport-internal-join'],
        validAfter: now,
        validBefore: later,
        extensions: { 'permit-pty': '', 'teleport-roles': '{"roles":["a"]}' },
      });
      writeFileSync(file, `${line}\n`);
      const env = { ...process.env, TZ: 'UTC' };
      const text = execFileSync('ssh-keygen', ['-L', '-f', file], { encoding: 'utf8', env });
      expect(text).toContain('ecdsa-sha2-nistp256-cert-v01@openssh.com user certificate');
      expect(text).toContain(sshFingerprint(caKey));
      expect(text).toContain('Key ID: "alice"');
      expect(text).toContain('Valid: from 2026-11-21T04:00:00 to 2026-11-21T05:00:00');
      expect(text).toMatch(/Principals: \n +root\n +-teleport-internal-join\n/);
      if (caKey.asymmetricKeyType === 'rsa') expect(text).toContain('(using rsa-sha2-512)');
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    console.warn('skipped: ssh-keygen is not installed');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (isTeleportError(error)) return error.code;
    throw error;
  }
}
