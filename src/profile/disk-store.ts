/**
 * Logins in the folder `~/.tsh`, in the layout of Teleport 18. Writers take one lock; every file is put into its place
 * whole. A key is only believed together with a certificate for it, so a reader between two writes reads again.
 */

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError, nodeCodeOf, TeleportError } from '../errors.js';
import { certificatesIn } from '../pki/certificate-file.js';
import { authoritiesByCluster } from '../pki/cluster-name.js';
import { readPrivateKey, sameKey } from '../pki/keys.js';
import { publicKeyOf, splitPem } from '../pki/x509.js';
import { shellWord } from '../shell-word.js';
import { readIfThere } from '../small-file.js';
import { activeDatabase } from './active-database.js';
import { assertNotEverybodys, tryBase, withBase, writeWithin } from './base-folder.js';
import { deleteEntries, moveKeys, type SecretOpener, secretOpener } from './key-places.js';
import type { KeychainOptions } from './keychain.js';
import {
  basePaths,
  CA_MODE,
  isFileName,
  KEPT_AT_LOGOUT,
  keyAccounts,
  keyFolder,
  PROFILE_MODE,
  profilePath,
  proxyPaths,
  SECRET_MODE,
  userPaths,
  usersOf,
} from './paths.js';
import { type Profile, parseProfile, profileName, profileText } from './profile.js';
import type { CredentialStoreKind, SecretStore } from './secret.js';
import {
  type DatabaseKeys,
  type HostCa,
  LoginNeeded,
  type ProfileStore,
  type StoredDatabase,
  type UserCerts,
  type UserKeys,
} from './store.js';
import { everyOne, wipe } from './wipe.js';

export interface DiskStoreOptions {
  /** How the keychain is asked, when a profile keeps its keys there. */
  keychain: KeychainOptions;
}

/** The store in this folder; it need not exist yet. */
export class DiskStore implements ProfileStore {
  readonly isVirtual = false;
  readonly #base: string;
  readonly #paths: ReturnType<typeof basePaths>;
  readonly #open: SecretOpener;
  /** Profiles of which it was said where their keys go. */
  readonly #chosen = new Map<string, CredentialStoreKind>();

  constructor(base: string, options: DiskStoreOptions) {
    this.#base = base;
    this.#paths = basePaths(base);
    this.#open = secretOpener(base, options.keychain);
  }

  async currentName() {
    return (await readIfThere(this.#paths.currentProfile))?.trim() || undefined;
  }

  async names() {
    const entries = await entriesOf(this.#base);
    const files = entries.filter((entry) => entry.isFile() && /^[^.].*\.yaml$/.test(entry.name));
    return files.map(({ name }) => name.slice(0, -'.yaml'.length)).sort();
  }

  async readProfile(name: string) {
    const path = profilePath(this.#base, name);
    await assertNotEverybodys(this.#base);
    const text = await readIfThere(path);
    return text === undefined ? undefined : await parseProfile(text, path);
  }

  profileFile(name: string) {
    return profilePath(this.#base, name);
  }

  prepare() {
    return tryBase(this.#base);
  }

  async saveProfile(profile: Profile, options: { makeCurrent?: boolean } = {}) {
    const name = profileName(profile);
    await this.#locked(async () => {
      const credentialStore = await this.#recorded(name);
      const text = profileText({ ...profile, ...(credentialStore ? { credentialStore } : {}) });
      await writeWithin(this.#base, profilePath(this.#base, name), text, PROFILE_MODE);
      if (options.makeCurrent ?? true)
        await writeWithin(this.#base, this.#paths.currentProfile, `${name}\n`, PROFILE_MODE);
    });
  }

  async credentialStore(name: string) {
    return (await this.#recorded(name)) ?? 'file';
  }

  async setCredentialStore(name: string, kind: CredentialStoreKind) {
    // Before the lock: the system may have to ask the person.
    await (await this.#open(kind)).check();
    return await this.#locked(async () => {
      const from = await this.credentialStore(name);
      const record = async () => {
        this.#chosen.set(name, kind);
        const profile = await this.readProfile(name);
        if (profile === undefined) return;
        const text = profileText({ ...profile, credentialStore: kind });
        await writeWithin(this.#base, profilePath(this.#base, name), text, PROFILE_MODE);
      };
      return await moveKeys(this.#open, keyFolder(name), { from, to: kind, record });
    });
  }

  async readCerts(name: string, user: string, cluster: string) {
    const files = userPaths(this.#base, name, user);
    const certs = await readCerts(files, cluster);
    if (certs === undefined || existsSync(files.tlsKey)) return certs;
    return (await this.credentialStore(name)) === 'keychain' ? certs : undefined;
  }

  async readKeys(name: string, user: string, cluster: string) {
    const read = async () => await readUser(this.#base, name, user, cluster, await this.#secretsOf(name));
    const seen = await read();
    if (typeof seen !== 'string') return seen;
    // Another process may be writing.
    const again = await this.#locked(read);
    if (again === 'keyless') return undefined;
    if (again !== 'torn') return again;
    throw new LoginNeeded('BadParameter', `the key and the certificate of ${user} do not belong together`, {
      hint: `Log in again with "tsh login --proxy=${shellWord(name)} --user=${shellWord(user)}".`,
    });
  }

  async saveKeys(name: string, user: string, cluster: string, keys: UserKeys) {
    const files = userPaths(this.#base, name, user);
    const accounts = keyAccounts(name, user);
    await this.#locked(async () => {
      const secrets = await this.#secretsOf(name);
      if (await areOtherKeys(secrets, accounts, keys)) {
        for (const path of files.all) await wipe(this.#base, path);
        await deleteEntries(this.#open, keyFolder(name), accounts.owns);
      }
      await secrets.set(accounts.tls, lined(keys.tlsKeyPem));
      await writeWithin(this.#base, files.tlsCert, lined(keys.tlsCertPem), SECRET_MODE);
      await secrets.set(accounts.ssh, lined(keys.sshKeyPem));
      await writeWithin(this.#base, files.sshPublicKey, lined(keys.sshPublicKey), SECRET_MODE);
      if (keys.sshCert) await writeWithin(this.#base, files.sshCert(cluster), lined(keys.sshCert), SECRET_MODE);
    });
  }

  async hostCas(name: string) {
    const { cas } = proxyPaths(this.#base, name);
    const clusters = (await entriesOf(cas)).flatMap((entry) => CA_FILE.exec(entry.name)?.[1] ?? []);
    // Whose authorities they are says the name of the file: what stands in it is that cluster's own word.
    const read = async (cluster: string) => ownOf(cluster, await certificatesOf(join(cas, `${cluster}.pem`)));
    const found = await Promise.all(clusters.map(async (cluster) => ({ cluster, tlsPems: await read(cluster) })));
    return found.filter(({ tlsPems }) => tlsPems.length > 0);
  }

  async saveHostCas(name: string, given: readonly HostCa[], { areAll = false } = {}) {
    const files = proxyPaths(this.#base, name);
    const cas = given
      .filter(({ cluster }) => isFileName(cluster))
      .map((ca) => ({ ...ca, tlsPems: ownOf(ca.cluster, ca.tlsPems.flatMap(splitCertificates)) }))
      .filter(({ tlsPems }) => tlsPems.length > 0);
    await this.#locked(async () => {
      for (const { cluster, tlsPems } of cas) {
        await writeWithin(this.#base, files.ca(cluster), tlsPems.map(lined).join(''), CA_MODE);
      }
      const kept = new Set(cas.map(({ cluster }) => files.ca(cluster)));
      const others = areAll ? (await entriesOf(files.cas)).filter((entry) => CA_FILE.test(entry.name)) : [];
      for (const path of others.map((entry) => join(files.cas, entry.name))) {
        if (!kept.has(path)) await wipe(this.#base, path);
      }
      const all = cas.flatMap(({ tlsPems }) => tlsPems.map((pem) => `${lined(pem)}\n`));
      await writeWithin(this.#base, files.certsPem, all.join(''), CA_MODE);
      await keepKnownHosts(this.#base, cas, areAll ? name : undefined);
    });
  }

  async databases(name: string, user: string, cluster: string, now: Date) {
    const files = userPaths(this.#base, name, user);
    const found = (await entriesOf(files.dbFolder(cluster))).filter((entry) => /^[^.].*\.crt$/.test(entry.name));
    if (found.length === 0) return [];
    const kind = await this.credentialStore(name);
    const read = found.map(async (entry): Promise<StoredDatabase | undefined> => {
      const database = entry.name.slice(0, -'.crt'.length);
      const certPem = await readIfThere(files.dbCert(cluster, database));
      if (!certPem || (kind === 'file' && !existsSync(files.dbKey(cluster, database)))) return undefined;
      try {
        return activeDatabase(certPem, now);
      } catch {
        return undefined; // half a file of another program; it is not a login
      }
    });
    const all = (await Promise.all(read)).filter((one) => one !== undefined);
    return all.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async databaseKey(name: string, user: string, cluster: string, database: string, certPem: string) {
    const key = await (await this.#secretsOf(name)).get(keyAccounts(name, user).database(cluster, database));
    return key !== undefined && isPair(key, certPem) ? key : undefined;
  }

  async saveDatabase(name: string, user: string, cluster: string, database: string, keys: DatabaseKeys) {
    const files = userPaths(this.#base, name, user);
    await this.#locked(async () => {
      const account = keyAccounts(name, user).database(cluster, database);
      await (await this.#secretsOf(name)).set(account, lined(keys.keyPem));
      await writeWithin(this.#base, files.dbCert(cluster, database), lined(keys.certPem), SECRET_MODE);
    });
  }

  async deleteDatabase(name: string, user: string, cluster: string, database: string) {
    const files = userPaths(this.#base, name, user);
    return await this.#removing(async () => {
      const certGone = await wipe(this.#base, files.dbCert(cluster, database));
      const account = keyAccounts(name, user).database(cluster, database);
      const keyGone = await (await this.#secretsOf(name)).delete(account);
      return certGone || keyGone;
    });
  }

  async deleteIssued(name: string, user: string, cluster: string) {
    const files = userPaths(this.#base, name, user);
    await this.#removing(async () => {
      await wipe(this.#base, files.dbFolders);
      await deleteEntries(this.#open, keyFolder(name), keyAccounts(name, user).isDatabase);
      for (const { name: file } of await entriesOf(files.sshFolder)) {
        const path = join(files.sshFolder, file);
        if (path !== files.sshCert(cluster)) await wipe(this.#base, path);
      }
    });
  }

  databasePaths(name: string, user: string, cluster: string, database: string, rootCluster: string) {
    const files = userPaths(this.#base, name, user);
    return {
      ca: proxyPaths(this.#base, name).ca(rootCluster),
      cert: files.dbCert(cluster, database),
      key: files.dbKey(cluster, database),
    };
  }

  async logins() {
    const entries = await entriesOf(this.#paths.keys);
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const found = folders.sort().map(async (proxy) => {
      const names = (await entriesOf(proxyPaths(this.#base, proxy).folder)).map((entry) => entry.name);
      return usersOf(names).map((user) => ({ proxy, user }));
    });
    return (await Promise.all(found)).flat();
  }

  async deleteUser(name: string, user: string) {
    if ((await entriesOf(this.#base)).length === 0) return false;
    return await this.#removing(async () => {
      let found = false;
      await everyOne(userPaths(this.#base, name, user).all, async (path) => {
        found = (await wipe(this.#base, path)) || found;
      });
      return (await deleteEntries(this.#open, keyFolder(name), keyAccounts(name, user).owns)) || found;
    });
  }

  async deleteEntries() {
    await deleteEntries(this.#open, '', () => true);
  }

  async deleteAll() {
    if ((await entriesOf(this.#base)).length === 0) return;
    await this.#removing(async () => {
      const found = (await entriesOf(this.#base)).filter(({ name }) => !KEPT_AT_LOGOUT.includes(name));
      const files = found.map(({ name }) => join(this.#base, name)).filter((path) => path !== this.#paths.lock);
      await everyOne([...files.map((path) => () => wipe(this.#base, path)), () => this.deleteEntries()], (remove) =>
        remove(),
      );
    });
  }

  async #recorded(name: string) {
    return this.#chosen.get(name) ?? (await this.readProfile(name))?.credentialStore;
  }

  async #secretsOf(name: string) {
    return await this.#open(await this.credentialStore(name));
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    return withBase(this.#base, work);
  }

  #removing<T>(work: () => Promise<T>): Promise<T> {
    return withBase(this.#base, work, { isRemoval: true });
  }
}

async function readCerts(files: ReturnType<typeof userPaths>, cluster: string): Promise<UserCerts | undefined> {
  const [tlsCertPem, sshPublicKey, sshCert] = await Promise.all(
    [files.tlsCert, files.sshPublicKey, files.sshCert(cluster)].map(readIfThere),
  );
  if (!tlsCertPem?.trim()) return undefined;
  return { tlsCertPem, sshPublicKey: sshPublicKey?.trim() ?? '', sshCert: sshCert?.trim() || undefined };
}

/**
 * Undefined: no certificates. `keyless`: no key to them. `torn`: a key and a certificate that do not belong together,
 * maybe because one is being written.
 */
async function readUser(
  base: string,
  name: string,
  user: string,
  cluster: string,
  secrets: SecretStore,
): Promise<UserKeys | undefined | 'keyless' | 'torn'> {
  const certs = await readCerts(userPaths(base, name, user), cluster);
  if (certs === undefined) return undefined;
  const accounts = keyAccounts(name, user);
  const [tlsKeyPem, sshKeyPem] = await Promise.all([secrets.get(accounts.tls), secrets.get(accounts.ssh)]);
  if (!tlsKeyPem?.trim()) return 'keyless';
  if (tlsKeyPem.includes('PIV YUBIKEY')) {
    throw new TeleportError('NotImplemented', `the key of ${user} is on a hardware token`, {
      hint: 'Hardware keys are not supported. Use a role without require_session_mfa: hardware_key.',
    });
  }
  return isPair(tlsKeyPem, certs.tlsCertPem) ? { ...certs, tlsKeyPem, sshKeyPem: sshKeyPem ?? '' } : 'torn';
}

function isPair(keyPem: string, certPem: string): boolean {
  try {
    return sameKey(readPrivateKey(keyPem), publicKeyOf(certPem));
  } catch {
    return false;
  }
}

async function areOtherKeys(
  secrets: SecretStore,
  accounts: ReturnType<typeof keyAccounts>,
  keys: UserKeys,
): Promise<boolean> {
  const stored = await Promise.all([secrets.get(accounts.tls), secrets.get(accounts.ssh)]);
  return [keys.tlsKeyPem, keys.sshKeyPem].some((pem, i) => {
    const before = stored[i]?.trim();
    if (!before || before === pem.trim()) return false;
    try {
      return !sameKey(readPrivateKey(before), readPrivateKey(pem));
    } catch {
      return true;
    }
  });
}

/** @throws TeleportError `BadParameter` with the path when a certificate in it is broken */
async function certificatesOf(path: string): Promise<string[]> {
  const text = await readIfThere(path);
  if (!text?.trim()) return [];
  return certificatesIn(text, {
    source: 'the login',
    where: path,
    nextStep: 'Or log in again: tsh logout, then tsh login.',
  });
}

const CA_FILE = /^([^.].*)\.pem$/;

/** Of one cluster's file: a cluster vouches for itself only. */
const ownOf = (cluster: string, pems: readonly string[]): string[] => authoritiesByCluster(pems).get(cluster) ?? [];

const splitCertificates = (pem: string): string[] => splitPem(pem, 'CERTIFICATE');

/** @param wholeOf  the proxy whose lines are exactly those given: others of it go */
async function keepKnownHosts(base: string, cas: readonly HostCa[], wholeOf: string | undefined): Promise<void> {
  const path = basePaths(base).knownHosts;
  const before = ((await readIfThere(path)) ?? '').split('\n').filter((line) => line !== '');
  const kept = before.filter((line) => wholeOf === undefined || !line.startsWith(`@cert-authority ${wholeOf},`));
  const lines = [...new Set([...kept, ...cas.flatMap(({ knownHosts = [] }) => knownHosts.map((l) => l.trim()))])];
  if (lines.length > 0) await writeWithin(base, path, `${lines.join('\n')}\n`, SECRET_MODE);
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (nodeCodeOf(error) === 'ENOENT' || nodeCodeOf(error) === 'ENOTDIR') return [];
    throw fileError('read', folder, error);
  }
}

function lined(text: string): string {
  return text.endsWith('\n') ? text : `${text}\n`;
}
