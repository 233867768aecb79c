/** Tests: src/pki/pem.ts, src/pki/ssh/openssh-key.ts, src/pki/suites.ts. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  algorithmName,
  generateKey,
  openSshPrivateKeyPem,
  privateKeyPem,
  publicKeyPem,
  readPrivateKey,
  readPublicKey,
  sameKey,
} from '../../src/pki/keys.js';
import { decodePem, encodePem } from '../../src/pki/pem.js';
import { authorizedKeyLine, readAuthorizedKey, sshFingerprint } from '../../src/pki/ssh/certificate.js';
import { decodeOpenSshPrivateKey, encodeOpenSshPrivateKey } from '../../src/pki/ssh/openssh-key.js';
import { keyFor, suiteOfNumber } from '../../src/pki/suites.js';

let rsa: KeyObject;
let ec: KeyObject;
let ed: KeyObject;

beforeAll(async () => {
  [rsa, ec, ed] = (await Promise.all([generateKey('rsa2048'), generateKey('ecdsa-p256'), generateKey('ed25519')])) as [
    KeyObject,
    KeyObject,
    KeyObject,
  ];
});

test('labels of PEM follow the kind of key', () => {
  const labels = (key: KeyObject) =>
    [publicKeyPem(key), privateKeyPem(key), openSshPrivateKeyPem(key)].map((pem) => decodePem(pem)[0]!.type);
  expect(labels(rsa)).toEqual(['RSA PUBLIC KEY', 'RSA PRIVATE KEY', 'RSA PRIVATE KEY']);
  expect(labels(ec)).toEqual(['PUBLIC KEY', 'PRIVATE KEY', 'OPENSSH PRIVATE KEY']);
  expect(labels(ed)).toEqual(['PUBLIC KEY', 'PRIVATE KEY', 'OPENSSH PRIVATE KEY']);
  expect(openSshPrivateKeyPem(ed)).toHaveLength(387);
  expect([rsa, ec, ed].map(algorithmName)).toEqual(['RSA 2048', 'ECDSA P-256', 'Ed25519']);
});

test('every encoding is read back, whatever the label of the classic ones says', () => {
  for (const key of [rsa, ec, ed]) {
    const openSsh = encodePem('OPENSSH PRIVATE KEY', encodeOpenSshPrivateKey(key));
    for (const pem of [privateKeyPem(key), openSshPrivateKeyPem(key), openSsh]) {
      expect(sameKey(readPrivateKey(pem), key)).toBe(true);
    }
    expect(readPrivateKey(openSsh).equals(key)).toBe(true);
    expect(sameKey(readPublicKey(publicKeyPem(key)), key)).toBe(true);
    expect(sameKey(readAuthorizedKey(authorizedKeyLine(key, 'a comment')), key)).toBe(true);
  }
  const sec1 = ec.export({ format: 'pem', type: 'sec1' }) as string;
  expect(readPrivateKey(sec1).equals(ec)).toBe(true);
  expect(readPrivateKey(sec1.replaceAll('EC PRIVATE', 'RSA PRIVATE')).equals(ec)).toBe(true);
  expect(sameKey(rsa, ec)).toBe(false);
});

test('what is no usable key is refused in our own words', () => {
  expect(() => readPrivateKey('nothing')).toThrow('no private key found');
  expect(() => readPublicKey(privateKeyPem(ec))).toThrow('no public key found');
  const locked = ec.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: 'x' }) as string;
  expect(() => readPrivateKey(locked)).toThrow('encrypted');
  expect(() => readPrivateKey(encodePem('PRIVATE KEY', Buffer.from('00', 'hex')))).toThrow('cannot be read');
});

test('an OpenSSH key cut at every byte ends in an error of ours', () => {
  for (const key of [rsa, ec, ed]) {
    const bytes = encodeOpenSshPrivateKey(key);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeOpenSshPrivateKey(bytes.subarray(0, length))).toThrow(
        expect.objectContaining({ name: 'TeleportError' }),
      );
    }
  }
});

test('the key of a captured authority line has the fingerprint that ssh-keygen printed', () => {
  const line = readFileSync(new URL('../fixtures/certs/user-ca-ssh.txt', import.meta.url), 'utf8').trim();
  const key = readAuthorizedKey(line.slice('cert-authority '.length));
  expect(sshFingerprint(key)).toBe('SHA256:mWaoHXJR1gKoIIqi7UF0fdWEZi722dtQNqy0c45c+tE');
});

test('ssh-keygen reads our private keys, and we read its own', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pki-'));
  const sshKeygen = (...args: string[]) =>
    execFileSync('ssh-keygen', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    sshKeygen('-q', '-t', 'ed25519', '-N', '', '-C', 'a comment', '-f', join(folder, 'theirs'));
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return void console.warn('skipped: ssh-keygen is not installed');
  }
  try {
    for (const key of [rsa, ec, ed]) {
      const file = join(folder, `ours-${key.asymmetricKeyType}`);
      writeFileSync(file, openSshPrivateKeyPem(key), { mode: 0o600 });
      expect(sshKeygen('-y', '-P', '', '-f', file).trim()).toBe(authorizedKeyLine(key));
    }
    sshKeygen('-q', '-t', 'ecdsa', '-N', '', '-f', join(folder, 'ecdsa'));
    for (const name of ['theirs', 'ecdsa']) {
      const key = readPrivateKey(readFileSync(join(folder, name), 'utf8'));
      const line = readFileSync(join(folder, `${name}.pub`), 'utf8');
      expect(sameKey(readAuthorizedKey(line), key)).toBe(true);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('suites give each purpose its kind of key', () => {
  expect(keyFor('balanced-v1', 'user-ca-ssh')).toBe('ed25519');
  expect(keyFor('balanced-v1', 'user-tls')).toBe('ecdsa-p256');
  expect(keyFor('balanced-v1', 'db-ca-tls')).toBe('rsa2048');
  expect(keyFor('legacy', 'host-tls')).toBe('rsa2048');
  expect([0, 1, 2, 3, 4, 9].map(suiteOfNumber)).toEqual([
    'legacy',
    'legacy',
    'balanced-v1',
    'fips-v1',
    'hsm-v1',
    'legacy',
  ]);
  expect(createPrivateKey(privateKeyPem(ed)).asymmetricKeyType).toBe('ed25519');
});
