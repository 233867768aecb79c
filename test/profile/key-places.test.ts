/** Tests: src/profile/session.ts, src/profile/wipe.ts. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, openSshPrivateKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import { DiskStore } from '../../src/profile/disk-store.js';
import { openSession, usableKeys } from '../../src/profile/session.js';
import { LoginNeeded, type UserKeys } from '../../src/profile/store.js';
import { createTestCa } from '../support/ca.js';
import { fakeKeytar } from '../support/fake-keytar.js';

const NOW = new Date('2026-11-21T04:00:00Z');
const PROFILE = { webProxyAddr: 'p:443', user: 'alice', cluster: 'c' };
let base: string;
let kept: Map<string, string>;
let asked: number;
let refusal: Error | undefined;
/** Calls that the keychain answers before it refuses. */
let spared: number;

beforeEach(() => {
  base = join(mkdtempSync(join(tmpdir(), 'keys-')), '.tsh');
  kept = new Map();
  asked = 0;
  refusal = undefined;
  spared = 0;
});
afterEach(() => rmSync(join(base, '..'), { recursive: true, force: true }));

/** The store as a new process opens it. */
const store = () =>
  new DiskStore(base, {
    keychain: {
      vars: {},
      open: async () => {
        const { keytar, abandon } = fakeKeytar(kept);
        const guarded = Object.entries(keytar).map(([name, call]) => [
          name,
          async (...args: [string, string, string]) => {
            asked++;
            if (refusal && asked > spared) throw refusal;
            return await (call as (...args: string[]) => Promise<unknown>)(...args);
          },
        ]);
        return { keytar: Object.fromEntries(guarded) as typeof keytar, abandon };
      },
    },
  });

/** Names of the entries, without the folder. */
const entries = () => [...kept.keys()].map((key) => key.split('\n')[1]!.slice(base.length + 1)).sort();

function files(folder = base): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}
const filesWithKeys = () =>
  files()
    .filter((path) => readFileSync(path, 'utf8').includes('PRIVATE KEY'))
    .map((path) => path.slice(base.length + 1))
    .sort();

const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

async function madeKeys(): Promise<UserKeys> {
  const sshKey = await generateKey('ed25519');
  const { cert, key } = createTestCa('root.example.com').issue('alice', {
    subject: [
      { oid: '2.5.4.3', values: ['alice'] },
      { oid: '1.3.9999.2.1', values: ['pg'] },
    ],
    from: new Date(NOW.getTime() - 60_000),
    to: new Date(NOW.getTime() + 3_600_000),
  });
  return {
    tlsKeyPem: key,
    tlsCertPem: cert,
    sshKeyPem: openSshPrivateKeyPem(sshKey),
    sshPublicKey: authorizedKeyLine(sshKey),
  };
}

async function loggedIn(kind?: 'file' | 'keychain'): Promise<UserKeys> {
  const at = store();
  const keys = await madeKeys();
  if (kind) await at.setCredentialStore('p', kind);
  await at.saveKeys('p', 'alice', 'c', keys);
  await at.saveProfile(PROFILE);
  await at.saveDatabase('p', 'alice', 'c', 'pg', { keyPem: keys.tlsKeyPem, certPem: keys.tlsCertPem });
  return keys;
}

const ALL = ['keys/p/alice', 'keys/p/alice-db/c/pg.key', 'keys/p/alice.key'];

test('a login in the keychain leaves no key in any file, and what needs no key asks no keychain', async () => {
  const keys = await loggedIn('keychain');
  expect(filesWithKeys()).toEqual([]);
  expect(entries()).toEqual(ALL);
  expect(readFileSync(join(base, 'p.yaml'), 'utf8')).toContain('\ncredential_store: keychain\n');
  asked = 0;
  const session = await openSession(store());
  expect(session.certs?.tlsCertPem).toContain('BEGIN CERTIFICATE');
  expect(await store().databases('p', 'alice', 'c', NOW)).toHaveLength(1);
  expect(asked).toBe(0);
  expect((await usableKeys(session, NOW)).tlsKeyPem.trim()).toBe(keys.tlsKeyPem.trim());
  const key = await store().databaseKey('p', 'alice', 'c', 'pg', keys.tlsCertPem);
  expect(key?.trim()).toBe(keys.tlsKeyPem.trim());
});

test('a login in files asks no keychain, and its profile is that of real tsh', async () => {
  await loggedIn();
  await store().deleteDatabase('p', 'alice', 'c', 'pg');
  await store().deleteAll();
  expect(asked).toBe(0);
  await loggedIn();
  expect(readFileSync(join(base, 'p.yaml'), 'utf8')).not.toContain('credential_store');
});

test('keys move to the keychain and back with the login still good', async () => {
  const keys = await loggedIn();
  expect(filesWithKeys()).toEqual(ALL);
  await store().setCredentialStore('p', 'keychain');
  expect([filesWithKeys(), entries()]).toEqual([[], ALL]);
  await usableKeys(await openSession(store()), NOW);
  expect(await store().setCredentialStore('p', 'file')).toBeUndefined();
  expect([filesWithKeys(), entries()]).toEqual([ALL, []]);
  expect(new Set(filesWithKeys().map((key) => statSync(join(base, key)).mode & 0o777))).toEqual(new Set([0o600]));
  await usableKeys(await openSession(store()), NOW);
  expect((await store().databases('p', 'alice', 'c', NOW)).map(({ certPem }) => certPem.trim())).toEqual([
    keys.tlsCertPem.trim(),
  ]);
});

test('when the keychain refuses, keys stay in their files and the profile says so', async () => {
  await loggedIn();
  refusal = new Error('Cannot create an item in a locked collection');
  await expect(store().setCredentialStore('p', 'keychain')).rejects.toMatchObject({ code: 'AccessDenied' });
  expect(filesWithKeys()).toEqual(ALL);
  expect(await store().credentialStore('p')).toBe('file');
});

test('wherever a move to the keychain breaks off, the login is good, and logout leaves nothing', async () => {
  await loggedIn();
  refusal = new Error('the session has ended');
  let isMoved = false;
  for (spared = 0; !isMoved; spared++) {
    asked = 0;
    isMoved = await store()
      .setCredentialStore('p', 'keychain')
      .then(
        () => true,
        () => false,
      );
    asked = Number.NEGATIVE_INFINITY;
    await usableKeys(await openSession(store()), NOW);
  }
  expect(spared).toBeGreaterThan(ALL.length);
  expect([filesWithKeys(), entries().filter((one) => one.startsWith('keys/'))]).toEqual([[], ALL]);
  await store().deleteAll();
  expect([filesWithKeys(), entries()]).toEqual([[], []]);
});

test('a keychain out of reach keeps nobody from going back to files; what is left in it goes at logout', async () => {
  await loggedIn('keychain');
  refusal = new Error('Cannot autolaunch D-Bus without X11 $DISPLAY');
  expect(await store().setCredentialStore('p', 'file')).toMatchObject({ code: 'AccessDenied' });
  expect(await store().credentialStore('p')).toBe('file');
  await expect(store().deleteAll()).rejects.toMatchObject({ message: 'keys are left in the system keychain' });
  expect(filesWithKeys()).toEqual([]);
  refusal = undefined;
  await store().deleteAll();
  expect([entries(), readdirSync(join(base, 'config'))]).toEqual([[], []]);
});

test('logout of one user removes that user from the keychain, of all everything, of a database its key', async () => {
  const keys = await loggedIn('keychain');
  await store().saveKeys('p', 'bob', 'c', { ...keys });
  await store().saveKeys('p', 'alice-db', 'c', { ...keys });
  expect(await store().deleteDatabase('p', 'alice', 'c', 'pg')).toBe(true);
  expect(await store().deleteDatabase('p', 'alice', 'c', 'pg')).toBe(false);
  expect(await store().deleteUser('p', 'alice')).toBe(true);
  expect(entries()).toEqual(['keys/p/alice-db', 'keys/p/alice-db.key', 'keys/p/bob', 'keys/p/bob.key']);
  expect(await store().deleteUser('p', 'alice')).toBe(false);
  await store().deleteAll();
  expect(entries()).toEqual([]);
});

test('keys of databases leave the keychain with what was issued beside a login', async () => {
  await loggedIn('keychain');
  await store().deleteIssued('p', 'alice', 'c');
  expect(entries()).toEqual(['keys/p/alice', 'keys/p/alice.key']);
});

test('a logout after a crash, or after another program has removed the profile, leaves no entry', async () => {
  const at = store();
  await at.setCredentialStore('p', 'keychain');
  await at.saveKeys('p', 'alice', 'c', await madeKeys());
  // Here the process ended: no profile was written. Or real tsh has logged out: it leaves the folder `config` alone.
  rmSync(join(base, 'keys'), { recursive: true });
  expect(entries()).toHaveLength(2);
  await store().deleteAll();
  expect(entries()).toEqual([]);
});

test('a login by real tsh in the same folder, which leaves our field out, is believed', async () => {
  await loggedIn('keychain');
  const theirs = await madeKeys();
  writeFileSync(join(base, 'p.yaml'), 'web_proxy_addr: p:443\nuser: alice\ncluster: c\n');
  writeFileSync(join(base, 'keys/p/alice.key'), theirs.tlsKeyPem);
  writeFileSync(join(base, 'keys/p/alice'), theirs.sshKeyPem);
  writeFileSync(join(base, 'keys/p/alice.crt'), theirs.tlsCertPem);
  expect((await usableKeys(await openSession(store()), NOW)).tlsKeyPem).toBe(theirs.tlsKeyPem);
  await store().deleteAll();
  expect(entries()).toEqual([]);
});

test('an entry that is gone, or of another login, asks for a login', async () => {
  const keys = await loggedIn('keychain');
  for (const key of kept.keys()) kept.delete(key);
  const gone = await failure(usableKeys(await openSession(store()), NOW));
  expect(gone).toBeInstanceOf(LoginNeeded);
  expect(gone).toMatchObject({
    message: 'the private key of alice at p is not in the system keychain',
    hint: 'Log in with "tsh login --proxy=p:443".',
  });
  expect(await store().databaseKey('p', 'alice', 'c', 'pg', keys.tlsCertPem)).toBeUndefined();
  kept.set(`teleshift\n${base}/keys/p/alice.key`, (await madeKeys()).tlsKeyPem);
  const torn = await failure(usableKeys(await openSession(store()), NOW));
  expect(torn).toBeInstanceOf(LoginNeeded);
  expect(torn).toMatchObject({ message: expect.stringContaining('do not belong together') });
});

test('a keychain that refuses is an error and not a missing key', async () => {
  await loggedIn('keychain');
  refusal = new Error('no answer within 30 s');
  const refused = await failure(usableKeys(await openSession(store()), NOW));
  expect(refused).not.toBeInstanceOf(LoginNeeded);
  expect(refused).toMatchObject({ message: 'the system keychain cannot be read: it does not answer' });
});

test('a profile that names another place is refused, not read from files', async () => {
  await loggedIn();
  writeFileSync(join(base, 'p.yaml'), 'web_proxy_addr: p:443\nuser: alice\ncluster: c\ncredential_store: vault\n');
  await expect(openSession(store())).rejects.toMatchObject({
    code: 'BadParameter',
    message: expect.stringContaining('line 4: credential_store must be file or keychain'),
  });
});

test('two at once leave one whole login', async () => {
  const all = await Promise.all([madeKeys(), madeKeys()]);
  await loggedIn('keychain');
  for (let round = 0; round < 5; round++) {
    await Promise.all(all.map(async (keys) => await store().saveKeys('p', 'alice', 'c', keys)));
    const { tlsKeyPem } = await usableKeys(await openSession(store()), NOW);
    expect(all.map((keys) => keys.tlsKeyPem.trim())).toContain(tlsKeyPem.trim());
  }
  expect(existsSync(join(base, '.lock'))).toBe(false);
});
