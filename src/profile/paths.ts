/**
 * The names of the files that `tsh` keeps; nobody else spells one. Same tree as Teleport 18's `~/.tsh`, so that both
 * programs share a login. PROXY is the proxy's host without port, USER the Teleport user, CLUSTER a Teleport cluster.
 *
 *     ~/.tsh/                                 0700
 *     ├── current-profile                     0660   PROXY and a newline
 *     ├── PROXY.yaml                          0660   `profile.ts`
 *     ├── known_hosts                         0600   SSH host authorities of all proxies
 *     ├── config/config.yaml                         written by people: aliases, headers
 *     ├── config/keychain             0600   ours; exists while the keychain may hold entries, `keychain-secrets.ts`
 *     ├── .lock                               0600   ours; exists while a `tsh` writes
 *     └── keys/                               0700
 *         └── PROXY/                          0700
 *             ├── USER, USER.pub              0600   SSH key pair
 *             ├── USER.key, USER.crt          0600   TLS key and certificate
 *             ├── USER-ssh/CLUSTER-cert.pub   0600   SSH certificate
 *             ├── USER-db/CLUSTER/DB.key|.crt 0600   database key and certificate
 *             ├── certs.pem                   0640   all host CA certificates, an old copy
 *             └── cas/CLUSTER.pem             0640   host CA certificates of one cluster
 *     ~/.pg_service.conf, or PGSERVICEFILE           `pg-service-file.ts`
 *
 * Modes are those asked for; the umask is applied. Spec: login-and-profile.md 6.1.
 */
import { join, normalize, resolve } from 'node:path';
import { TeleportError } from '../errors.js';

export const FOLDER_MODE = 0o700;
export const SECRET_MODE = 0o600;
export const CA_MODE = 0o640;
export const PROFILE_MODE = 0o660;
/** Asked for a new service file of libpq. */
export const SERVICE_FILE_MODE = 0o666;

/** What a full logout leaves: other programs' folders and files in the base folder. */
export const KEPT_AT_LOGOUT: readonly string[] = ['config', 'azure', 'bin', 'id_vnet', 'id_vnet.pub'];

/** The base folder: `TELEPORT_HOME`, else `.tsh` in the person's home. */
export function profileBase(vars: Record<string, string | undefined>, home: string): string {
  return vars.TELEPORT_HOME ? normalize(vars.TELEPORT_HOME).replace(/(.)\/+$/, '$1') : join(home, '.tsh');
}

/** Where a machine and a person keep settings of `tsh`: aliases and headers. */
export function tshConfigPaths(
  base: string,
  vars: Record<string, string | undefined>,
): { machine: string; own: string } {
  return { machine: vars.TELEPORT_GLOBAL_TSH_CONFIG || '/etc/tsh.yaml', own: basePaths(base).config };
}

/** What a person's files depend on; a command's `Env` is one. */
interface Surroundings {
  vars: Record<string, string | undefined>;
  home: string;
  cwd: string;
}

/** The service file that libpq reads: `PGSERVICEFILE`, else `~/.pg_service.conf`. `TELEPORT_HOME` does not move it. */
export function pgServicePath({ vars, home, cwd }: Surroundings): string {
  return vars.PGSERVICEFILE ? resolve(cwd, vars.PGSERVICEFILE) : join(home, '.pg_service.conf');
}

/** All places where sections of ours may be: the real `tsh`, and one without that variable, write into the home folder. */
export function pgServicePaths(where: Surroundings): string[] {
  return [...new Set([pgServicePath(where), pgServicePath({ vars: {}, home: where.home, cwd: where.cwd })])];
}

/** Files of the base folder itself. */
export function basePaths(base: string) {
  return {
    currentProfile: join(base, 'current-profile'),
    knownHosts: join(base, 'known_hosts'),
    config: join(base, 'config', 'config.yaml'),
    keychainMark: join(base, 'config', 'keychain'),
    keys: join(base, 'keys'),
    lock: join(base, '.lock'),
  };
}

/** `PROXY.yaml`. */
export function profilePath(base: string, proxyHost: string): string {
  return join(base, `${fileName(proxyHost)}.yaml`);
}

/** Files that all users of a proxy share. */
export function proxyPaths(base: string, proxyHost: string) {
  const folder = join(base, 'keys', fileName(proxyHost));
  return {
    folder,
    certsPem: join(folder, 'certs.pem'),
    cas: join(folder, 'cas'),
    ca: (cluster: string) => join(folder, 'cas', `${fileName(cluster)}.pem`),
  };
}

/** Files of one user at one proxy. */
export function userPaths(base: string, proxyHost: string, user: string) {
  const { folder } = proxyPaths(base, proxyHost);
  const stem = join(folder, fileName(user));
  const dbFolder = (cluster: string) => join(`${stem}-db`, fileName(cluster));
  return {
    sshKey: stem,
    sshPublicKey: `${stem}.pub`,
    tlsKey: `${stem}.key`,
    tlsCert: `${stem}.crt`,
    sshFolder: `${stem}-ssh`,
    sshCert: (cluster: string) => join(`${stem}-ssh`, `${fileName(cluster)}-cert.pub`),
    dbFolders: `${stem}-db`,
    dbFolder,
    dbKey: (cluster: string, database: string) => join(dbFolder(cluster), `${fileName(database)}.key`),
    dbCert: (cluster: string, database: string) => join(dbFolder(cluster), `${fileName(database)}.crt`),
    /** Everything of the user, files and folders, also what only other programs write. */
    all: ['', '.key', '.crt', '.pub', '.ppk', '-ssh', '-db', '-app', '-kube', '-windowsdesktop'].map(
      (end) => stem + end,
    ),
  };
}

/** Users that have files in the folder of a proxy, by the names of its entries; what only is a folder of authorities is nobody's. */
export function usersOf(entries: readonly string[]): string[] {
  const stems = entries
    .filter((name) => name !== 'cas' && name !== 'certs.pem' && !name.startsWith('.'))
    .map((name) => name.replace(/\.(key|crt|pub|ppk)$|-(ssh|db|app|kube|windowsdesktop)$/, ''));
  return [...new Set(stems)].filter((stem) => stem !== '').sort();
}

/** Names of one user's private keys, wherever they are kept (`secret-store.ts`): those of the files above. */
export function keyAccounts(proxyHost: string, user: string) {
  const stem = `${keyFolder(proxyHost)}/${fileName(user)}`;
  const databases = `${stem}-db/`;
  return {
    ssh: stem,
    tls: `${stem}.key`,
    database: (cluster: string, database: string) => `${databases}${fileName(cluster)}/${fileName(database)}.key`,
    isDatabase: (account: string) => account.startsWith(databases),
    /** Whether an account is this user's. */
    owns: (account: string) => account === stem || account === `${stem}.key` || account.startsWith(databases),
  };
}

/** The folder of all keys of a proxy, as the start of an account. */
export function keyFolder(proxyHost: string): string {
  return `keys/${fileName(proxyHost)}`;
}

/** A name from a server or a person as one component of a path. @throws BadParameter for one that would lead elsewhere */
export function fileName(name: string): string {
  if (isFileName(name)) return name;
  throw new TeleportError('BadParameter', `${JSON.stringify(name)} cannot be the name of a file`);
}

export const isFileName = (name: string): boolean =>
  name !== '' && name !== '.' && !name.includes('..') && !/[/\\\p{Cc}]/u.test(name);
