/**
 * `~/.tsh` after somebody was in it: an archive that was unpacked there, or another user where the folder was open to them. What
 * stands in the place of a file or folder of a login is not waited for, and nothing outside is written, loosened or removed.
 * Tests: src/profile/base-folder.ts, src/profile/held-folder.ts, src/small-file.ts, src/tsh/logout-aws.ts
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  type Dirent,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { generateKey, openSshPrivateKeyPem } from '../../src/pki/keys.js';
import { authorizedKeyLine } from '../../src/pki/ssh/certificate.js';
import { type AwsIdentity, awsIdentities } from '../../src/profile/aws-identity.js';
import { DiskStore } from '../../src/profile/disk-store.js';
import { profileBase } from '../../src/profile/paths.js';
import { putPgService } from '../../src/profile/pg-service-file.js';
import { fileSecrets } from '../../src/profile/secret-store.js';
import type { UserKeys } from '../../src/profile/store.js';
import { writeWhole } from '../../src/profile/whole-file.js';
import { forgetAws } from '../../src/tsh/logout-aws.js';
import { createTestCa } from '../support/ca.js';
import { memoryEnv } from '../support/env.js';
import { isRoot, NOBODY } from '../support/nobody.js';

const keys = (async (): Promise<UserKeys> => {
  const sshKey = await generateKey('ed25519');
  const { cert, key } = createTestCa('root.example.com').issue('alice');
  return {
    tlsKeyPem: key,
    tlsCertPem: cert,
    sshKeyPem: openSshPrivateKeyPem(sshKey),
    sshPublicKey: authorizedKeyLine(sshKey),
    sshCert: readFileSync('test/fixtures/profile/peer.local-cert.pub', 'utf8').trim(),
  };
})();
const AUTHORITY = createTestCa('root').certPem;
const IDENTITY: AwsIdentity = {
  name: 'dev',
  regions: ['us-east-1'],
  accountId: '123456789012',
  arn: 'arn:aws:iam::123456789012:user/alice',
  databases: [],
};
const ALICE = ['p.example.com', 'alice'] as const;
const PROFILE = { webProxyAddr: 'p.example.com:443', user: 'alice', cluster: 'root' };

let home: string;
let base: string;
/** What an attacker wants to have written, and what it says. */
let outside: string;
let victim: string;
let umask: number;
const PRECIOUS = 'precious\n'.repeat(1000);

beforeEach(() => {
  umask = process.umask(0o022);
  home = mkdtempSync(join(tmpdir(), 'home-'));
  base = join(home, '.tsh');
  outside = join(home, 'outside');
  victim = join(outside, 'victim');
  mkdirSync(outside);
  writeFileSync(victim, PRECIOUS, { mode: 0o640 });
});
afterEach(() => {
  process.umask(umask);
  rmSync(home, { recursive: true, force: true });
});

const storeAt = (folder = base) => new DiskStore(folder, { keychain: { vars: {} } });

/** Every file that a login at a cluster and one at AWS write. */
async function logIn(folder = base): Promise<void> {
  const store = storeAt(folder);
  const all = await keys;
  await store.prepare();
  await store.saveProfile(PROFILE);
  await store.saveKeys(...ALICE, 'root', all);
  const knownHosts = ['@cert-authority *.root ssh-ed25519 AAAA'];
  await store.saveHostCas(ALICE[0], [{ cluster: 'root', tlsPems: [AUTHORITY], knownHosts }]);
  await store.saveDatabase(...ALICE, 'root', 'sales', { keyPem: all.tlsKeyPem, certPem: all.tlsCertPem });
  await awsIdentities(folder).save(IDENTITY);
  await awsIdentities(folder).changeDatabases('dev', () => []);
  await fileSecrets(folder).set('aws/dev/sales.pgpass', 'h:1:*:alice:secret\n');
}

async function logOut(): Promise<void> {
  await forgetAws(memoryEnv({ home, vars: { TELEPORT_HOME: base } }), IDENTITY);
  await storeAt().deleteUser(...ALICE);
  await storeAt().deleteAll();
}

function below(folder: string, isMeant: (entry: Dirent) => boolean): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return [...(isMeant(entry) ? [path] : []), ...(entry.isDirectory() ? below(path, isMeant) : [])];
  });
}

/** Nothing was written, made, loosened or removed there. */
function expectOutsideUntouched(): void {
  expect(readdirSync(outside)).toEqual(['victim']);
  expect(readFileSync(victim, 'utf8')).toBe(PRECIOUS);
  expect(lstatSync(victim).mode & 0o7777).toBe(0o640);
}

/** A refusal that says what is wrong and what to type. */
const refusal = (path: string) =>
  expect.objectContaining({
    name: 'TeleportError',
    message: expect.stringContaining(path),
    hint: expect.stringMatching(/\b(mv|rm|chmod)( -\w+)* \/|remove the file/i),
  });

const IN_PLACE_OF_A_FILE: Record<string, { plant: (path: string) => void; asRoot?: boolean }> = {
  'a link to a file': { plant: (path) => symlinkSync(victim, path) },
  'a link to nothing yet': { plant: (path) => symlinkSync(join(outside, 'new'), path) },
  'a link to a folder': { plant: (path) => symlinkSync(outside, path) },
  'a link to itself': { plant: (path) => symlinkSync(path, path) },
  'a second name of a file': { plant: (path) => linkSync(victim, path) },
  'a pipe': { plant: (path) => void execFileSync('mkfifo', [path]) },
  'a folder': { plant: (path) => mkdirSync(path) },
  'a device': { plant: (path) => void execFileSync('mknod', [path, 'c', '1', '5']), asRoot: true },
  'a link to a device': { plant: (path) => symlinkSync('/dev/zero', path) },
  'a file without an end': {
    plant: (path) => {
      writeFileSync(path, '');
      truncateSync(path, 2 ** 33);
    },
  },
};

describe('X13 in the place of each file of a login', () => {
  test.each(Object.entries(IN_PLACE_OF_A_FILE))('%s', async (_, { plant, asRoot = false }) => {
    if (asRoot && !isRoot) return;
    await logIn();
    const files = below(base, (entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(14);
    for (const path of files) {
      rmSync(path);
      plant(path);
    }
    // What is read first has to be moved away by hand; everything else is replaced.
    const moved: string[] = [];
    for (;;) {
      const failure: unknown = await logIn().then(
        () => undefined,
        (error: unknown) => error,
      );
      expectOutsideUntouched();
      if (failure === undefined) break;
      const path = files.find((one) => !moved.includes(one) && String(failure).includes(`${one} `))!;
      expect([path, failure]).toEqual([expect.any(String), refusal(path)]);
      rmSync(path, { recursive: true });
      moved.push(path);
    }
    for (const path of files) expect([path, lstatSync(path).isFile(), lstatSync(path).nlink]).toEqual([path, true, 1]);
  });

  test.each(Object.entries(IN_PLACE_OF_A_FILE))('%s: gone after a logout', async (_, { plant, asRoot = false }) => {
    if (asRoot && !isRoot) return;
    await logIn();
    for (const path of below(base, (entry) => entry.isFile())) {
      rmSync(path);
      plant(path);
    }
    await logOut();
    expect(readdirSync(base)).toEqual([]);
    expectOutsideUntouched();
  });

  test('the lock, too: nobody waits for it', async () => {
    await logIn();
    execFileSync('mkfifo', [join(base, '.lock')]);
    await expect(logIn()).rejects.toEqual(refusal(join(base, '.lock')));
  });

  test('a mode that is stricter than ours stays, a looser one does not', async () => {
    await logIn();
    for (const path of below(base, (entry) => entry.isFile())) chmodSync(path, 0o600);
    await logIn();
    for (const path of below(base, (entry) => entry.isFile())) expect(lstatSync(path).mode & 0o777).toBe(0o600);
    for (const path of below(base, (entry) => entry.isFile())) chmodSync(path, 0o777);
    await logIn();
    for (const path of below(base, (entry) => entry.isFile())) {
      expect(lstatSync(path).mode & 0o777).toBe(/\/cas\/|certs.pem|\.yaml|current-profile/.test(path) ? 0o640 : 0o600);
    }
  });
});

const IN_PLACE_OF_A_FOLDER: Record<string, { plant: (path: string) => void; asRoot?: boolean }> = {
  'a link to a folder': { plant: (path) => symlinkSync(outside, path) },
  'a link to nothing yet': { plant: (path) => symlinkSync(join(outside, 'new'), path) },
  'a file': { plant: (path) => writeFileSync(path, '') },
  'a pipe': { plant: (path) => void execFileSync('mkfifo', [path]) },
  'a folder that everybody can write': {
    plant: (path) => {
      mkdirSync(path);
      chmodSync(path, 0o777);
    },
  },
  'a folder that a group can write': {
    plant: (path) => {
      mkdirSync(path);
      chmodSync(path, 0o770);
    },
  },
  'a folder of another user': {
    plant: (path) => {
      mkdirSync(path);
      chownSync(path, NOBODY, NOBODY);
    },
    asRoot: true,
  },
};

describe('X13 in the place of each folder of a login', () => {
  test.each(Object.entries(IN_PLACE_OF_A_FOLDER))('%s', async (_, { plant, asRoot = false }) => {
    if (asRoot && !isRoot) return;
    await logIn();
    const folders = below(base, (entry) => entry.isDirectory());
    expect(folders.length).toBeGreaterThan(7);
    for (const path of folders) {
      const kept = `${path}.kept`;
      renameSync(path, kept);
      plant(path);
      const said: unknown = await logIn().catch((error: unknown) => error);
      expect(said).toMatchObject({ name: 'TeleportError', message: expect.stringContaining(path) });
      expect((said as { hint?: string }).hint).toMatch(/\b(mv|rm|chmod) |A part of that path is a file/);
      expectOutsideUntouched();
      rmSync(path, { recursive: true });
      renameSync(kept, path);
    }
    await logIn();
  });

  test.each(Object.entries(IN_PLACE_OF_A_FOLDER))('%s: gone after a logout', async (_, { plant, asRoot = false }) => {
    if (asRoot && !isRoot) return;
    for (const path of ['keys/p.example.com/cas', 'aws'].map((name) => join(base, name))) {
      await logIn();
      rmSync(path, { recursive: true });
      plant(path);
      // What one user has cannot be told any more, so only a full logout removes it.
      await storeAt().deleteAll();
      expect(readdirSync(base)).toEqual([]);
      expectOutsideUntouched();
    }
  });
});

describe('X13 the folder itself', () => {
  test.each([
    ['a link', () => symlinkSync(join(home, 'disk'), base), () => base],
    ['a link of links', () => symlinkSync('disk', join(home, 'a')) ?? symlinkSync(join(home, 'a'), base), () => base],
    ['a path with ..', () => {}, () => profileBase({ TELEPORT_HOME: `${home}/disk/../disk/.` }, home)],
    ['in a folder of root that everybody can write', () => chmodSync(home, 0o1777), () => base],
    ['that a group can write', () => mkdirSync(base) ?? chmodSync(base, 0o770), () => base],
    ['that everybody can write, but not remove from', () => mkdirSync(base) ?? chmodSync(base, 0o1777), () => base],
  ])('%s: as good as any', async (_, make, at) => {
    mkdirSync(join(home, 'disk'));
    make();
    await logIn(at());
    expect(await storeAt(at()).readKeys(...ALICE, 'root')).toMatchObject({ tlsKeyPem: (await keys).tlsKeyPem });
    await storeAt(at()).deleteAll();
    expect(readdirSync(at())).toEqual([]);
    if (existsSync(base) && lstatSync(base).isSymbolicLink()) expect(statSync(base).isDirectory()).toBe(true);
  });

  test('that everybody can write: nobody is asked for a password, and no login in it is believed', async () => {
    await logIn();
    chmodSync(base, 0o777);
    for (const work of [() => storeAt().prepare(), () => storeAt().readProfile(ALICE[0]), () => logIn()]) {
      await expect(work()).rejects.toMatchObject({
        code: 'AccessDenied',
        message: `others can write the folder ${base} (mode 0777)`,
        hint: `They could put another login in the place of yours. chmod go-w ${base}`,
      });
    }
    await expect(awsIdentities(base).read('dev')).rejects.toMatchObject({ code: 'AccessDenied' });
    await storeAt().deleteAll();
    expect(readdirSync(base)).toEqual([]);
  });

  (isRoot ? test : test.skip)(
    "of another user, as root in a container finds it: that user's folders count",
    async () => {
      await logIn();
      for (const path of [base, ...below(base, () => true)]) lchownSync(path, NOBODY, NOBODY);
      await logIn();
      expect(await storeAt().readProfile(ALICE[0])).toMatchObject(PROFILE);
    },
  );
});

describe('X13 between the look and the deed', () => {
  /** Puts a link to `to` in the place of a folder and the folder back, without end. */
  const SWAP = `const { renameSync, symlinkSync } = require('node:fs');
    const [, at, to] = process.argv;
    symlinkSync(to, at + '.link');
    console.log('ready');
    for (;;) {
      try { renameSync(at, at + '.kept'); renameSync(at + '.link', at); renameSync(at, at + '.link'); renameSync(at + '.kept', at); } catch {}
    }`;

  // Elsewhere a folder is found by its name again.
  (process.platform === 'linux' ? test : test.skip)(
    'a folder that becomes a link leads nobody outside',
    async () => {
      await logIn();
      const folder = join(base, 'keys', 'p.example.com');
      writeFileSync(join(outside, 'alice.key'), PRECIOUS);
      const child = spawn(process.execPath, ['-e', SWAP, folder, outside], { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        await once(child.stdout, 'data');
        const all = await keys;
        const store = storeAt();
        let [written, refused] = [0, 0];
        const tried = async (work: () => Promise<unknown>) =>
          await work().then(
            () => (written += 1),
            () => (refused += 1),
          );
        for (let n = 0; n < 40; n++) {
          await tried(() =>
            store.saveDatabase(...ALICE, 'root', 'sales', { keyPem: all.tlsKeyPem, certPem: all.tlsCertPem }),
          );
          await tried(() => fileSecrets(base).set('keys/p.example.com/alice.key', all.tlsKeyPem));
          await tried(() => fileSecrets(base).delete('keys/p.example.com/alice.key'));
        }
        expect(written + refused).toBe(120);
      } finally {
        child.kill('SIGKILL');
        await once(child, 'close');
      }
      expect(readdirSync(outside).sort()).toEqual(['alice.key', 'victim']);
      expect(readFileSync(join(outside, 'alice.key'), 'utf8')).toBe(PRECIOUS);
    },
    60_000,
  );

  test('a tsh that was killed while it wrote: the login is whole, and a logout removes what it left', async () => {
    await logIn();
    const half = below(base, (entry) => entry.isFile()).map((path) =>
      join(dirname(path), `.${path.slice(dirname(path).length + 1)}.01234567-89ab-4cde-8f01-23456789abcd.tmp`),
    );
    for (const path of half) writeFileSync(path, '-----BEGIN PRIVATE KEY-----\nhalf', { mode: 0o600 });
    writeFileSync(join(base, '.lock'), `2147483646 ${hostname()} x\n`);
    expect(await storeAt().readKeys(...ALICE, 'root')).toMatchObject({ tlsKeyPem: (await keys).tlsKeyPem });
    expect(await fileSecrets(base).list('keys')).not.toContainEqual(expect.stringContaining('.tmp'));
    await storeAt().deleteUser(...ALICE);
    await forgetAws(memoryEnv({ home, vars: { TELEPORT_HOME: base } }), IDENTITY);
    await awsIdentities(base).delete('dev');
    const left = below(base, (entry) => entry.isFile()).map((path) => path.slice(base.length + 1));
    // Authorities, the profile and the list of hosts are no secrets, and stay.
    expect(left.filter((path) => !/known_hosts|yaml|current-profile|cas\/|certs\.pem/.test(path))).toEqual([]);
    for (const path of half) if (existsSync(path)) utimesSync(path, 1, 1);
    await logIn();
    expect(below(base, (entry) => entry.name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('X13 files outside that a person named', () => {
  (isRoot ? test : test.skip)("another user's link is not followed", async () => {
    const link = join(home, 'link');
    symlinkSync(victim, link);
    lchownSync(link, NOBODY, NOBODY);
    await expect(writeWhole(link, 'x', 0o600)).rejects.toMatchObject({
      message: `${link} is a link of another user (number ${NOBODY}), and is not followed`,
      hint: `Name another place, or remove it: rm ${link}`,
    });
    const warnings: string[] = [];
    const service = {
      host: 'h',
      port: 1,
      sslMode: 'verify-full',
      sslRootCert: '/ca',
      sslCert: '/c',
      sslKey: '/k',
    } as const;
    await putPgService(link, 'root-sales', service, (text) => warnings.push(text));
    expect(warnings.join()).toContain(`${link} is a link of another user`);
    expectOutsideUntouched();
  });
});
