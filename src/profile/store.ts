/**
 * What commands may ask of the place where logins are kept. Two places answer: the folder `~/.tsh` (`disk-store.ts`) and
 * memory, for an identity file given with `-i` (`memory-store.ts`). A profile is named by its proxy's host.
 */
import { TeleportError } from '../errors.js';
import type { Profile } from './profile.js';
import type { CredentialStoreKind } from './secret.js';

/** A new login, and then the same once more, may succeed. */
export class LoginNeeded extends TeleportError {}

/** Certificates of one user for one cluster, as text; nothing in it is secret. */
export interface UserCerts {
  tlsCertPem: string;
  /** `authorized_keys` line without comment. */
  sshPublicKey: string;
  /** `TYPE BASE64`; absent when there is none for that cluster. */
  sshCert?: string | undefined;
}

/** The same with the private keys. */
export interface UserKeys extends UserCerts {
  tlsKeyPem: string;
  sshKeyPem: string;
}

/** Host authorities of one cluster. */
export interface HostCa {
  cluster: string;
  tlsPems: string[];
  /** `@cert-authority` lines for `known_hosts`. Not read back. */
  knownHosts?: string[];
}

/** A key with its certificate. */
export interface DatabaseKeys {
  keyPem: string;
  certPem: string;
}

/** A database that the person is logged into: what its certificate says. */
export interface StoredDatabase {
  certPem: string;
  name: string;
  protocol: string;
  dbUser: string;
  dbName: string;
  dbRoles: string[];
  expiresAt: Date;
}

/** The files that psql needs for one database. */
export interface DatabasePaths {
  /** Host CA of the root cluster. */
  ca: string;
  cert: string;
  key: string;
}

export interface StoredLogin {
  /** Name of the profile: host of the proxy. */
  proxy: string;
  user: string;
}

export interface ProfileStore {
  /** True when nothing is on disk: the profile was made from an identity file. */
  readonly isVirtual: boolean;
  currentName(): Promise<string | undefined>;
  /** Every profile that can be read, sorted. */
  names(): Promise<string[]>;
  /** @returns undefined when there is none. @throws TeleportError `BadParameter` for a broken file, which stays whole */
  readProfile(name: string): Promise<Profile | undefined>;
  /** The file behind a profile, to be named in errors. */
  profileFile(name: string): string;
  /** Before a person is asked for anything. @throws TeleportError `AccessDenied` when nothing can be kept here */
  prepare(): Promise<void>;
  saveProfile(profile: Profile, options?: { makeCurrent?: boolean }): Promise<void>;

  /** Where the private keys of a profile are. */
  credentialStore(name: string): Promise<CredentialStoreKind>;
  /**
   * Keep the private keys of a profile in this place from now on. Those that are there are moved, whosever they are.
   *
   * @returns why entries of a keychain could not be removed, when they could not
   * @throws TeleportError `AccessDenied` when the keychain is the new place and refuses: then nothing has changed
   */
  setCredentialStore(name: string, kind: CredentialStoreKind): Promise<TeleportError | undefined>;

  /** Never asks a keychain. @returns undefined when the user has no certificates here, or no files of keys to them */
  readCerts(name: string, user: string, cluster: string): Promise<UserCerts | undefined>;
  /** @returns undefined when the user has no keys here. @throws LoginNeeded when key and certificate do not belong together */
  readKeys(name: string, user: string, cluster: string): Promise<UserKeys | undefined>;
  /** Other keys than the stored ones remove everything of that user first, database certificates included. */
  saveKeys(name: string, user: string, cluster: string, keys: UserKeys): Promise<void>;
  /** All host authorities known for this proxy, root and leaves. */
  hostCas(name: string): Promise<HostCa[]>;
  /**
   * Of each only what bears the name of its cluster.
   *
   * @param options.areAll  those of other clusters behind this proxy go
   */
  saveHostCas(name: string, cas: readonly HostCa[], options?: { areAll?: boolean }): Promise<void>;

  /** Databases whose certificate lives at least five seconds more. Sorted by name. Never asks a keychain. */
  databases(name: string, user: string, cluster: string, now: Date): Promise<StoredDatabase[]>;
  /** @returns undefined when there is no key to this certificate */
  databaseKey(
    name: string,
    user: string,
    cluster: string,
    database: string,
    certPem: string,
  ): Promise<string | undefined>;
  saveDatabase(name: string, user: string, cluster: string, database: string, keys: DatabaseKeys): Promise<void>;
  /** @returns false when there was nothing to delete */
  deleteDatabase(name: string, user: string, cluster: string, database: string): Promise<boolean>;
  /** What was issued beside the login: all databases of all clusters, and SSH certificates for others than `cluster`. */
  deleteIssued(name: string, user: string, cluster: string): Promise<void>;
  databasePaths(name: string, user: string, cluster: string, database: string, rootCluster: string): DatabasePaths;

  /** Whose keys or certificates are here, also where the profile is gone or broken. Never asks a keychain. */
  logins(): Promise<StoredLogin[]>;
  /** Keys and certificates of one user at one proxy. @returns false when there were none */
  deleteUser(name: string, user: string): Promise<boolean>;
  /** What is left of earlier logins in the keychain. @throws TeleportError `AccessDenied` when it refuses */
  deleteEntries(): Promise<void>;
  /** Everything that can be removed. @throws TeleportError `AccessDenied` when something is left, in files or a keychain */
  deleteAll(): Promise<void>;
}

/** A database certificate counts as long as it lives this much longer (Teleport 18.3.0). */
export const LEAST_LIFE_MS = 5_000;
