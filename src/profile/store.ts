/**
 * What commands may ask of the place where logins are kept. Two places answer: the folder `~/.tsh` (`disk-store.ts`) and
 * memory, for an identity file given with `-i` (`memory-store.ts`). A profile is named by its proxy's host.
 */
import type { Profile } from './profile.js';

/** Keys and certificates of one user for one cluster, as text. */
export interface UserKeys {
  tlsKeyPem: string;
  tlsCertPem: string;
  sshKeyPem: string;
  /** `authorized_keys` line without comment. */
  sshPublicKey: string;
  /** `TYPE BASE64`; absent when there is none for that cluster. */
  sshCert?: string | undefined;
}

/** Host authorities of one cluster. */
export interface HostCa {
  cluster: string;
  tlsPems: string[];
  /** `@cert-authority` lines for `known_hosts`. Not read back. */
  knownHosts?: string[];
}

/** A key with its certificate; `certPath` and `keyPath` are what other programs are told. */
export interface DatabaseKeys {
  keyPem: string;
  certPem: string;
}

/** A database that one is logged into: what its certificate says. */
export interface ActiveDatabase extends DatabaseKeys {
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
  saveProfile(profile: Profile, options?: { makeCurrent?: boolean }): Promise<void>;

  /** @returns undefined when the user has no keys here */
  readKeys(name: string, user: string, cluster: string): Promise<UserKeys | undefined>;
  /** Other keys than the stored ones remove everything of that user first, database certificates included. */
  saveKeys(name: string, user: string, cluster: string, keys: UserKeys): Promise<void>;
  /** All host authorities known for this proxy, root and leaves. */
  hostCas(name: string): Promise<HostCa[]>;
  saveHostCas(name: string, cas: readonly HostCa[]): Promise<void>;

  /** Databases whose certificate lives at least five seconds more. Sorted by name. */
  databases(name: string, user: string, cluster: string, now: Date): Promise<ActiveDatabase[]>;
  saveDatabase(name: string, user: string, cluster: string, database: string, keys: DatabaseKeys): Promise<void>;
  /** @returns false when there was nothing to delete */
  deleteDatabase(name: string, user: string, cluster: string, database: string): Promise<boolean>;
  databasePaths(name: string, user: string, cluster: string, database: string, rootCluster: string): DatabasePaths;

  /** Keys and certificates of one user at one proxy. @returns false when there were none */
  deleteUser(name: string, user: string): Promise<boolean>;
  /** Everything. */
  deleteAll(): Promise<void>;
}

/** A database certificate counts as long as it lives this much longer (Teleport 18.3.0). */
export const LEAST_LIFE_MS = 5_000;
