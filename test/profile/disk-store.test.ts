/** Tests: src/profile/active-database.ts, src/profile/paths.ts, src/profile/store.ts. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, openSshPrivateKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import { DiskStore } from '../../src/profile/disk-store.js';
import { profileBase, userPaths } from '../../src/profile/paths.js';
import type { UserKeys } from '../../src/profile/store.js';
import { createTestCa } from '../support/ca.js';

const NOW = new Date('2026-11-21T04:00:00Z');
let base: string;
let umask: number;

beforeEach(() => {
  umask = process.umask(0o022);
  base = join(mkdtempSync(join(tmpdir(), 'profile-')), '.tsh');
});
afterEach(() => {
  process.umask(umask);
  rmSync(join(base, '..'), { recursive: true, force: true });
});

const fixture = (name: string) => readFileSync(join('test/fixtures/profile', name), 'utf8');
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

async function madeKeys(user = 'alice', notAfter = new Date(NOW.getTime() + 3_600_000)): Promise<UserKeys> {
  const sshKey = await generateKey('ed25519');
  const { cert, key } = createTestCa('root.example.com').issue(user, {
    subject: [
      { oid: '2.5.4.3', values: [user] },
      { oid: '1.3.9999.2.1', values: ['pg'] },
      { oid: '1.3.9999.2.3', values: ['reader'] },
    ],
    from: new Date(NOW.getTime() - 60_000),
    to: notAfter,
  });
  return {
    tlsKeyPem: key,
    tlsCertPem: cert,
    sshKeyPem: openSshPrivateKeyPem(sshKey),
    sshPublicKey: authorizedKeyLine(sshKey),
    sshCert: fixture('peer.local-cert.pub').trim(),
  };
}

test('a login leaves the tree and the modes of real tsh', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const keys = await madeKeys();
  await store.saveKeys('localhost', 'alice', 'peer.local', keys);
  await store.saveHostCas('localhost', [
    { cluster: 'peer.local', tlsPems: [fixture('peer.local.pem')], knownHosts: [fixture('known_hosts')] },
  ]);
  await store.saveProfile({ webProxyAddr: 'localhost:47080', user: 'alice', cluster: 'peer.local' });
  await store.saveDatabase('localhost', 'alice', 'peer.local', 'pg', {
    keyPem: keys.tlsKeyPem,
    certPem: keys.tlsCertPem,
  });

  const tree: string[] = [];
  const walk = (folder: string, name: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      tree.push(`${mode(path)} ${name}${entry.name}`);
      if (entry.isDirectory()) walk(path, `${name}${entry.name}/`);
    }
  };
  walk(base, '');
  expect(tree.sort((a, b) => (a.slice(4) < b.slice(4) ? -1 : 1))).toEqual([
    '640 current-profile',
    '700 keys',
    '700 keys/localhost',
    '600 keys/localhost/alice',
    '700 keys/localhost/alice-db',
    '700 keys/localhost/alice-db/peer.local',
    '600 keys/localhost/alice-db/peer.local/pg.crt',
    '600 keys/localhost/alice-db/peer.local/pg.key',
    '700 keys/localhost/alice-ssh',
    '600 keys/localhost/alice-ssh/peer.local-cert.pub',
    '600 keys/localhost/alice.crt',
    '600 keys/localhost/alice.key',
    '600 keys/localhost/alice.pub',
    '700 keys/localhost/cas',
    '640 keys/localhost/cas/peer.local.pem',
    '640 keys/localhost/certs.pem',
    '600 known_hosts',
    '640 localhost.yaml',
  ]);
  expect(mode(base)).toBe('700');
  expect(readFileSync(join(base, 'current-profile'), 'utf8')).toBe('localhost\n');
  expect(readFileSync(join(base, 'known_hosts'), 'utf8')).toBe(fixture('known_hosts'));
  expect(readFileSync(join(base, 'keys/localhost/certs.pem'), 'utf8')).toBe(`${fixture('peer.local.pem')}\n`);

  expect(await store.currentName()).toBe('localhost');
  expect(await store.names()).toEqual(['localhost']);
  expect(await store.readKeys('localhost', 'alice', 'peer.local')).toMatchObject({ sshCert: keys.sshCert });
  expect((await store.hostCas('localhost')).map(({ cluster }) => cluster)).toEqual(['peer.local']);
  expect(await store.databases('localhost', 'alice', 'peer.local', NOW)).toMatchObject([
    { name: 'pg', dbUser: 'reader', dbName: '', dbRoles: [] },
  ]);
});

test('R-A-H2 a file of one cluster makes no authority of another, whoever wrote it', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const [root, leaf, evil] = ['root', 'leaf', 'root'].map((name) => createTestCa(name).certPem);
  const authorities = [
    { cluster: 'root', tlsPems: [root!] },
    { cluster: 'leaf', tlsPems: [`${leaf}${evil}`] },
  ];
  await store.saveHostCas('localhost', authorities);
  expect(await store.hostCas('localhost')).toEqual([
    { cluster: 'leaf', tlsPems: [leaf] },
    { cluster: 'root', tlsPems: [root] },
  ]);
  expect(readFileSync(join(base, 'keys/localhost/certs.pem'), 'utf8')).toBe(`${root}\n${leaf}\n`);
  // Left by an older version, or by another program.
  writeFileSync(join(base, 'keys/localhost/cas/leaf.pem'), `${leaf}${evil}`);
  expect(await store.hostCas('localhost')).toEqual([
    { cluster: 'leaf', tlsPems: [leaf] },
    { cluster: 'root', tlsPems: [root] },
  ]);
});

test("R-A-H2 with the list of all clusters the authorities of those that are gone go, and nobody else's", async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const ca = (cluster: string, proxy = 'localhost') => ({
    cluster,
    tlsPems: [createTestCa(cluster).certPem],
    knownHosts: [`@cert-authority ${proxy},${cluster},*.${cluster} ssh-ed25519 AAAA type=host`],
  });
  const root = ca('root');
  await store.saveHostCas('localhost', [root, ca('leaf')]);
  await store.saveHostCas('other', [ca('leaf', 'other')]);
  await store.saveHostCas('localhost', [root]);
  expect((await store.hostCas('localhost')).map(({ cluster }) => cluster)).toEqual(['leaf', 'root']);
  await store.saveHostCas('localhost', [root], { areAll: true });
  expect((await store.hostCas('localhost')).map(({ cluster }) => cluster)).toEqual(['root']);
  expect((await store.hostCas('other')).map(({ cluster }) => cluster)).toEqual(['leaf']);
  const lines = readFileSync(join(base, 'known_hosts'), 'utf8').trim().split('\n');
  expect(lines.map((line) => line.split(' ')[1]).sort()).toEqual(['localhost,root,*.root', 'other,leaf,*.leaf']);
});

test('S16 a broken file of host authorities is refused by its path, an empty one is none', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const folder = join(base, 'keys/localhost/cas');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'empty.pem'), '');
  expect(await store.hostCas('localhost')).toEqual([]);
  for (const text of [fixture('peer.local.pem').slice(0, 100), 'nothing']) {
    writeFileSync(join(folder, 'peer.local.pem'), text);
    await expect(store.hostCas('localhost')).rejects.toMatchObject({
      code: 'BadParameter',
      message: expect.stringContaining(join(folder, 'peer.local.pem')),
      hint: expect.stringContaining('tsh logout'),
    });
  }
});

test('other keys remove everything of that user, the same keys nothing', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const first = await madeKeys();
  const pair = { keyPem: first.tlsKeyPem, certPem: first.tlsCertPem };
  await store.saveKeys('p', 'alice', 'c', first);
  await store.saveDatabase('p', 'alice', 'c', 'pg', pair);
  await store.saveKeys('p', 'alice', 'c', first);
  expect(await store.databases('p', 'alice', 'c', NOW)).toHaveLength(1);
  await store.saveKeys('p', 'alice', 'c2', await madeKeys());
  expect(await store.databases('p', 'alice', 'c', NOW)).toHaveLength(0);
  expect(existsSync(userPaths(base, 'p', 'alice').sshCert('c'))).toBe(false);
});

test('a database login counts while its certificate lives five seconds more', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const keys = await madeKeys();
  await store.saveDatabase('p', 'alice', 'c', 'pg', { keyPem: keys.tlsKeyPem, certPem: keys.tlsCertPem });
  const end = NOW.getTime() + 3_600_000;
  expect(await store.databases('p', 'alice', 'c', new Date(end - 5_000))).toHaveLength(1);
  expect(await store.databases('p', 'alice', 'c', new Date(end - 4_999))).toHaveLength(0);
  writeFileSync(userPaths(base, 'p', 'alice').dbCert('c', 'pg'), '-----BEGIN CERT');
  expect(await store.databases('p', 'alice', 'c', NOW)).toEqual([]);
});

test('what was issued beside a login goes on every cluster, and the login stays', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const keys = await madeKeys();
  const pair = { keyPem: keys.tlsKeyPem, certPem: keys.tlsCertPem };
  for (const cluster of ['c', 'leaf']) {
    await store.saveKeys('p', 'alice', cluster, keys);
    await store.saveDatabase('p', 'alice', cluster, 'pg', pair);
  }
  await store.saveKeys('p', 'bob', 'leaf', keys);
  await store.deleteIssued('p', 'alice', 'c');
  for (const cluster of ['c', 'leaf']) expect(await store.databases('p', 'alice', cluster, NOW)).toEqual([]);
  expect((await store.readKeys('p', 'alice', 'c'))?.sshCert).toBe(keys.sshCert);
  expect((await store.readCerts('p', 'alice', 'leaf'))?.sshCert).toBeUndefined();
  expect((await store.readCerts('p', 'bob', 'leaf'))?.sshCert).toBe(keys.sshCert);
  await store.deleteIssued('p', 'alice', 'c');
});

test('an empty key counts as none; a key with another certificate is refused', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const [one, two] = [await madeKeys(), await madeKeys()];
  await store.saveKeys('p', 'alice', 'c', one);
  const files = userPaths(base, 'p', 'alice');
  writeFileSync(files.tlsCert, two.tlsCertPem);
  await expect(store.readKeys('p', 'alice', 'c')).rejects.toThrow('do not belong together');
  writeFileSync(files.tlsKey, '');
  expect(await store.readKeys('p', 'alice', 'c')).toBeUndefined();
});

test('logout of one user keeps profile and authorities; a full logout keeps the folders of other programs', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  await store.saveKeys('p', 'alice', 'c', await madeKeys());
  await store.saveProfile({ webProxyAddr: 'p:443', user: 'alice', cluster: 'c' });
  expect(await store.deleteUser('p', 'alice')).toBe(true);
  expect(await store.deleteUser('p', 'alice')).toBe(false);
  expect(await store.readProfile('p')).toBeDefined();
  mkdirSync(join(base, 'config'));
  writeFileSync(join(base, 'config', 'config.yaml'), 'aliases: {}\n');
  writeFileSync(join(base, 'unknown'), 'x');
  await store.deleteAll();
  expect(readdirSync(base)).toEqual(['config']);
});

test('a logout where nothing ever was makes no folder', async () => {
  await new DiskStore(base, { keychain: { vars: {} } }).deleteAll();
  expect(await new DiskStore(base, { keychain: { vars: {} } }).deleteUser('p', 'alice')).toBe(false);
  expect(existsSync(base)).toBe(false);
});

test('names from a server cannot lead out of the folder', async () => {
  const store = new DiskStore(base, { keychain: { vars: {} } });
  const keys = await madeKeys();
  for (const name of ['../../x', 'a/b', '..', '', 'a\0b', 'a\u001b]0;x']) {
    await expect(store.saveKeys('p', name, 'c', keys)).rejects.toMatchObject({ code: 'BadParameter' });
  }
});

test('TELEPORT_HOME moves the folder', () => {
  expect(profileBase({ TELEPORT_HOME: '/x/../y/' }, '/home/a')).toBe('/y');
  expect(profileBase({}, '/home/a')).toBe('/home/a/.tsh');
});

test('writers at once leave one whole state', async () => {
  const stores = [new DiskStore(base, { keychain: { vars: {} } }), new DiskStore(base, { keychain: { vars: {} } })];
  const all = await Promise.all([madeKeys(), madeKeys()]);
  for (let round = 0; round < 5; round++) {
    await Promise.all(stores.map((store, i) => store.saveKeys('p', 'alice', 'c', all[i]!)));
    const read = await stores[0]!.readKeys('p', 'alice', 'c');
    expect(all.map((keys) => keys.tlsCertPem)).toContain(read!.tlsCertPem);
  }
  expect(readdirSync(base)).toEqual(['keys']);
});
