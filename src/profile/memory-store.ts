/**
 * A login that lives in memory only: the keys of an identity file given with `-i`. Reads like the folder; database
 * certificates are kept until the process ends. Paths are those that real `tsh` names for such a profile, or the ones in
 * `TSH_VIRTUAL_PATH_*`. Spec: login-and-profile.md 7.2.
 */
import { TeleportError } from '../errors.js';
import { activeDatabase } from './active-database.js';
import { profilePath, proxyPaths, userPaths } from './paths.js';
import { type Profile, profileName } from './profile.js';
import type { DatabaseKeys, HostCa, ProfileStore, UserKeys } from './store.js';

export interface MemoryStoreOptions {
  profile: Profile;
  keys: UserKeys;
  hostCas: HostCa[];
  vars?: Record<string, string | undefined>;
}

/** A store with this one login. */
export function memoryStore({ profile, keys, hostCas, vars = {} }: MemoryStoreOptions): ProfileStore {
  let current = profile;
  const name = profileName(profile);
  const saved = new Map<string, DatabaseKeys>([['', { keyPem: keys.tlsKeyPem, certPem: keys.tlsCertPem }]]);
  const refuse = async (): Promise<never> => {
    throw new TeleportError('BadParameter', 'a login from an identity file cannot be changed');
  };
  return {
    isVirtual: true,
    currentName: async () => name,
    names: async () => [name],
    readProfile: async (asked) => (asked === name ? current : undefined),
    profileFile: (asked) => profilePath('', asked),
    prepare: refuse,
    saveProfile: async (changed) => {
      current = changed;
    },
    credentialStore: async () => 'file',
    setCredentialStore: refuse,
    readCerts: async () => keys,
    readKeys: async () => keys,
    saveKeys: refuse,
    hostCas: async () => hostCas,
    saveHostCas: async () => {},
    // The identity itself counts when it was issued for a database.
    databases: async (_name, _user, _cluster, now) =>
      [...saved.values()].map((one) => activeDatabase(one.certPem, now)).filter((one) => one !== undefined),
    databaseKey: async (_name, _user, _cluster, _database, certPem) =>
      [...saved.values()].find((one) => one.certPem === certPem)?.keyPem,
    saveDatabase: async (_name, _user, cluster, database, pair) => {
      saved.set(`${cluster}/${database}`, pair);
    },
    deleteDatabase: async (_name, _user, cluster, database) => saved.delete(`${cluster}/${database}`),
    deleteIssued: refuse,
    databasePaths(_name, user, cluster, database, rootCluster) {
      const upper = database.toUpperCase();
      const files = userPaths('', name, user);
      return {
        ca: first(vars, ['CA_HOST', 'CA']) ?? proxyPaths('', name).ca(rootCluster),
        cert: first(vars, [`DB_${upper}`, 'DB']) ?? files.dbCert(cluster, database),
        key: first(vars, [`KEY_DB_${upper}`, 'KEY_DB', 'KEY']) ?? files.dbKey(cluster, database),
      };
    },
    logins: async () => (current.user ? [{ proxy: name, user: current.user }] : []),
    deleteUser: refuse,
    deleteEntries: refuse,
    deleteAll: refuse,
  };
}

function first(vars: Record<string, string | undefined>, names: readonly string[]): string | undefined {
  return names.map((name) => vars[`TSH_VIRTUAL_PATH_${name}`]).find((path) => path);
}
