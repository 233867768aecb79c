/** The key that signs the audit log, where it lies, and what a whole Auth Service leaves behind. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { sealedIn, verifyLog } from '../../src/audit/verify.js';
import { openSeal } from '../../src/auth/audit-key.js';
import { createLogger } from '../../src/log.js';
import { generateKey, privateKeyPem, publicKeyPem, readPrivateKey } from '../../src/pki/keys.js';
import { TestAuth } from './test-auth.js';

let dir: string;
let logged = '';
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
const open = (keyFile = join(dir, 'audit.key')) =>
  openSeal({ keyFile, headFile: join(dir, 'audit.head'), logFolder: join(dir, 'log'), log });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'audit-key-'));
  logged = '';
});
afterEach(() => rmSync(dir, { recursive: true }));

test('it is made once, for its owner alone', async () => {
  const made = await open();
  expect(statSync(join(dir, 'audit.key')).mode & 0o777).toBe(0o600);
  expect((await open()).key.equals(made.key)).toBe(true);
  expect(logged).toBe('');
});

test.each([
  ['a file without PEM', async () => 'nothing'],
  ['a public key', async () => publicKeyPem(await generateKey('ed25519'))],
  ['a key of another kind', async () => privateKeyPem(await generateKey('ecdsa-p256'))],
])('%s is refused by name', async (_, text) => {
  const file = join(dir, 'my.key');
  writeFileSync(file, await text());
  await expect(open(file)).rejects.toMatchObject({
    code: 'BadParameter',
    message: `${file} is not an Ed25519 private key`,
  });
});

test('a key beside the log is refused', async () => {
  await expect(open(join(dir, 'log', 'k', 'audit.key'))).rejects.toMatchObject({
    code: 'BadParameter',
    hint: expect.stringContaining('auth_service.audit_signing_key'),
  });
});

test('a key that is gone, and a last checkpoint that cannot be read, are said', async () => {
  writeFileSync(join(dir, 'audit.head'), '{}');
  expect((await open()).head).toBeUndefined();
  expect(logged).toContain('The last checkpoint of the audit log cannot be read.');
});

test('the log of an Auth Service that stops and starts again is one chain, signed to its end', async () => {
  const cluster = await TestAuth.start();
  await cluster.invite('alice', []);
  await cluster.stop();
  await cluster.open();
  await cluster.invite('bob', []);
  await cluster.stop();
  const key = readPrivateKey(readFileSync(join(cluster.dir, 'audit.key'), 'utf8'));
  const head = sealedIn(readFileSync(join(cluster.dir, 'audit.head'), 'utf8'))!;
  const verdict = await verifyLog({ dir: join(cluster.dir, 'log'), key, checkpoints: [head] });
  expect(verdict).toMatchObject({ checkpoints: 2, unsigned: 0, problems: [], last: head.last_n + 1 });
  expect(existsSync(join(cluster.dir, 'log', 'audit.key'))).toBe(false);
  rmSync(cluster.dir, { recursive: true });
});
