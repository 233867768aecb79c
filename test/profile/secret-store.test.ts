/** Tests: src/profile/keychain-secrets.ts, src/profile/secret.ts. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeychain } from '../../src/profile/keychain.js';
import { keychainSecrets, mayHaveEntries } from '../../src/profile/keychain-secrets.js';
import type { SecretStore } from '../../src/profile/secret.js';
import { fileSecrets } from '../../src/profile/secret-store.js';
import { fakeKeytar } from '../support/fake-keytar.js';

let base: string;
let kept: Map<string, string>;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'teleshift-secrets-'));
  kept = new Map();
});
afterEach(() => rm(base, { recursive: true, force: true }));

const keychain = () => openKeychain({ vars: {}, open: async () => fakeKeytar(kept) });
const KINDS: [string, () => SecretStore][] = [
  ['files', () => fileSecrets(base)],
  ['keychain', () => keychainSecrets(base, keychain())],
];

describe.each(KINDS)('secrets in %s', (_, open) => {
  test('what was put comes back, is listed by folder, and goes', async () => {
    const secrets = open();
    expect(await secrets.list('')).toEqual([]);
    await secrets.set('keys/proxy/alice.key', 'one\n');
    await secrets.set('keys/proxy/alice', 'two');
    await secrets.set('keys/proxy-2/bob.key', 'three');
    await secrets.set('aws/dev/sales', '{"a":1}');
    await secrets.set('aws/dev/sales', '{"a":2}');
    expect(await secrets.get('keys/proxy/alice.key')).toBe('one\n');
    expect(await secrets.get('aws/dev/sales')).toBe('{"a":2}');
    expect(await secrets.get('aws/dev/other')).toBeUndefined();
    expect(await secrets.list('keys/proxy')).toEqual(['keys/proxy/alice', 'keys/proxy/alice.key']);
    expect(await secrets.list('')).toEqual([
      'aws/dev/sales',
      'keys/proxy-2/bob.key',
      'keys/proxy/alice',
      'keys/proxy/alice.key',
    ]);
    expect([await secrets.delete('aws/dev/sales'), await secrets.delete('aws/dev/sales')]).toEqual([true, false]);
    expect(await secrets.list('aws')).toEqual([]);
  });

  test.each(['', 'aws/', '/aws', 'aws/../x', 'aws//x', 'a\\b', 'a\0', '.'])('%j is no account', async (account) => {
    await expect(async () => await open().set(account, 'x')).rejects.toMatchObject({ code: 'BadParameter' });
  });
});

test('files are for their owner only', async () => {
  await fileSecrets(base).set('aws/dev/sales', 'x');
  expect(statSync(join(base, 'aws/dev/sales')).mode & 0o777).toBe(0o600);
  expect(statSync(join(base, 'aws/dev')).mode & 0o777).toBe(0o700);
});

test('entries of another base folder are not seen', async () => {
  await keychainSecrets(`${base}-2`, keychain()).set('aws/a', 'x');
  await rm(`${base}-2`, { recursive: true });
  expect(await keychainSecrets(base, keychain()).list('')).toEqual([]);
  expect(await keychainSecrets(base, keychain()).get('aws/a')).toBeUndefined();
});

test('a mark that holds no secret is there before the first entry', async () => {
  const refusing = {
    ...fakeKeytar(kept).keytar,
    setPassword: async () => {
      expect(mayHaveEntries(base)).toBe(true);
      throw new Error('locked');
    },
  };
  const secrets = keychainSecrets(
    base,
    openKeychain({ vars: {}, open: async () => ({ keytar: refusing, abandon: () => {} }) }),
  );
  expect(mayHaveEntries(base)).toBe(false);
  await expect(secrets.set('aws/a', 's3cret')).rejects.toMatchObject({ code: 'AccessDenied' });
  expect(mayHaveEntries(base)).toBe(true);
  expect(readFileSync(join(base, 'config/keychain'), 'utf8')).not.toContain('s3cret');
});

test('trying the keychain leaves nothing in it, and no file', async () => {
  await keychainSecrets(base, keychain()).check();
  expect(kept.size).toBe(0);
  expect(existsSync(join(base, 'config'))).toBe(false);
});
