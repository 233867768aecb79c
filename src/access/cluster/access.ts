/**
 * Databases behind a cluster, ours or Teleport's: listed by Auth's gRPC, reached over the Proxy's web port, with a
 * certificate for each database that is kept in the profile (`db login`) or in memory (`--tunnel`, `db exec`).
 *
 * Source: cli.md section 4, login-and-profile.md section 8, auth-grpc-and-routing.md 3.1, 7.1 and 7.6.
 */
import type { Duplex } from 'node:stream';
import type { AuthClient } from '../../api/client.js';
import { TeleportError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { generateKey, privateKeyPem, publicKeyPem, readPrivateKey } from '../../pki/keys.js';
import { activeDatabase } from '../../profile/active-database.js';
import { deletePgServices, pgServiceName, putPgService } from '../../profile/pg-service-file.js';
import type { DatabaseKeys, ProfileStore, ActiveDatabase as StoredDatabase } from '../../profile/store.js';
import { allowedNames, allowedUsers, databaseRolesOf } from '../../rbac/allowed.js';
import type {
  Access,
  AccessibleDatabase,
  AccessRequests,
  ActiveDatabase,
  ConnectionInfo,
  Connector,
  ConnectorOptions,
  DatabaseFilter,
  Route,
  RouteRequest,
} from '../access.js';
import {
  type CertificateRequest,
  generateDatabaseCertificate,
  isMfaRequired,
  listDatabases,
  type OwnAccess,
  ownAccess,
  REQUESTER,
  type RemoteCluster,
  remoteClusters,
} from './calls.js';
import { chooseDbName, chooseDbUser } from './choose-names.js';
import { clusterConnector } from './connector.js';
import {
  awaitResolution,
  createAccessRequest,
  findAccessRequest,
  listAccessRequests,
  reviewAccessRequest,
} from './requests.js';

/** What one login is, and how to speak to its cluster. */
export interface ClusterContext {
  store: ProfileStore;
  profileName: string;
  /** `host:port` of the web address. */
  webProxyAddr: string;
  /** Where clients that bring their own TLS find PostgreSQL. */
  postgresProxyAddr: { host: string; port: number };
  /** Something in front of the Proxy ends TLS: only connections inside a WebSocket reach it. */
  isUpgraded: boolean;
  username: string;
  cluster: string;
  rootCluster: string;
  accessRequests: string[];
  /** End of the login certificate; PEM of the login's TLS key, of which an RSA one serves for databases as well. */
  credentials(): Promise<{ expires: Date; tlsKeyPem: string }>;
  insecure: boolean;
  /** The service file of libpq, and the other places where sections of ours may be. */
  pgServiceFile: string;
  otherPgServiceFiles?: readonly string[];
  /** Says what a person should know and nothing else depends on. */
  warn: (text: string) => void;
  now: () => Date;
  log: Logger;
  /**
   * Run with a connection to Auth that is opened at the first call; logs in again and repeats once when the login has
   * run out and somebody can be asked.
   *
   * @param work  gets the selected cluster, and the root cluster, which signs the certificates for a leaf too
   */
  withAuth<T>(work: (auth: AuthClient, root: AuthClient) => Promise<T>): Promise<T>;
  /** The same at the root cluster. @param options.isSilent  nothing is said while it takes, however long that is */
  withRoot<T>(work: (auth: AuthClient) => Promise<T>, options?: { isSilent?: boolean }): Promise<T>;
  /** The same login with access requests taken up or given back; this context is replaced. */
  changeRequests(change: { add?: readonly string[]; drop?: readonly string[] }): Promise<void>;
  readonly signal: AbortSignal;
  /** Why the Proxy may close connections of this login without a word. */
  hintOfSilence?: string | undefined;
  /** TLS to the Proxy with ALPN teleport-postgres(-ping), through whatever stands in front of it. */
  dialPostgres(keys: DatabaseKeys | undefined): Promise<Duplex>;
  close(): Promise<void>;
}

export interface ClusterAccess extends Access {
  /** Clusters behind the same Proxy, whichever is selected. */
  leaves(): Promise<RemoteCluster[]>;
  /** Who is logged in. */
  readonly username: string;
  readonly requests: AccessRequests;
}

/** The context is asked anew for each step: a login in between replaces it. */
export function clusterAccess(context: () => ClusterContext): ClusterAccess {
  let own: Promise<OwnAccess | undefined> | undefined;
  /** Undefined when the roles cannot be read; then users are unknown and nothing can be guessed. */
  const ownOnce = (auth: AuthClient) => {
    own ??= ownAccess(auth).catch((error: unknown) => {
      context().log.debug('Cannot read own roles.', { error: String(error) });
      return undefined;
    });
    return own;
  };
  const active = async (): Promise<ActiveDatabase[]> => {
    const { store, profileName, username, cluster, now } = context();
    return await store.databases(profileName, username, cluster, now());
  };
  const stored = async (name: string) => {
    const { store, profileName, username, cluster, now } = context();
    return (await store.databases(profileName, username, cluster, now())).find((one) => one.name === name);
  };
  /** Undefined when the key is gone: then there is a new one to be fetched. */
  const keysOf = async ({ name, certPem }: StoredDatabase): Promise<DatabaseKeys | undefined> => {
    const { store, profileName, username, cluster } = context();
    const keyPem = await store.databaseKey(profileName, username, cluster, name, certPem);
    return keyPem === undefined ? undefined : { keyPem, certPem };
  };
  const databases: Access['databases'] = (filter: DatabaseFilter, options = {}) =>
    context().withAuth(async (auth) => {
      const [found, me] = await Promise.all([listDatabases(auth, filter, options), ownOnce(auth)]);
      return found.map((database) => accessible(database, me));
    });

  const issue = async (route: Route, requester: number): Promise<DatabaseKeys> => {
    return await context().withAuth(async (auth, root) => {
      // Read here and not before: a login in between sets another end and may bring another key.
      const { username, cluster, accessRequests, credentials } = context();
      const { expires, tlsKeyPem } = await credentials();
      const key = await databaseKey(tlsKeyPem);
      const request: CertificateRequest = {
        username,
        clusterName: cluster,
        database: route.database,
        dbUser: route.dbUser,
        dbName: route.dbName,
        dbRoles: route.dbRoles,
        tlsPublicKey: publicKeyPem(key),
        expires,
        requester,
        accessRequests,
      };
      if (await isMfaRequired(auth, request)) {
        throw new TeleportError(
          'AccessDenied',
          `MFA is required to access Database "${route.database.metadata.name}": only WebAuthn and SSO MFA methods are supported with per-session MFA`,
          { hint: 'Ask an administrator for a role without "require_session_mfa" for this database.' },
        );
      }
      const certPem = await generateDatabaseCertificate(root, request);
      return { certPem, keyPem: privateKeyPem(key) };
    });
  };

  const hasKeyFiles = async () => (await context().store.credentialStore(context().profileName)) === 'file';

  const login = async (route: Route): Promise<DatabaseKeys> => {
    const keys = await issue(route, REQUESTER.none);
    const { store, profileName, username, cluster, rootCluster, postgresProxyAddr, insecure, pgServiceFile } =
      context();
    const name = route.database.metadata.name;
    await store.saveDatabase(profileName, username, cluster, name, keys);
    // An identity file is for one program: nothing of it is kept for others.
    if (store.isVirtual || !(await hasKeyFiles())) return keys;
    const files = store.databasePaths(profileName, username, cluster, name, rootCluster);
    const service = {
      ...postgresProxyAddr,
      user: route.dbUser || undefined,
      dbName: route.dbName || undefined,
      sslMode: insecure ? ('verify-ca' as const) : ('verify-full' as const),
      sslRootCert: files.ca,
      sslCert: files.cert,
      sslKey: files.key,
    };
    await putPgService(pgServiceFile, pgServiceName(cluster, name), service, context().warn);
    return keys;
  };

  return {
    get clusterName() {
      return context().cluster;
    },
    get place() {
      return `cluster "${context().cluster}"`;
    },
    get proxyAddress() {
      return context().webProxyAddr;
    },
    get unreachable() {
      return context().isUpgraded ? 'Teleport Proxy is behind a layer 7 load balancer or reverse proxy' : undefined;
    },
    get username() {
      return context().username;
    },
    active,
    databases,
    leaves: () => context().withAuth((_auth, root) => remoteClusters(root)),

    async route(found: AccessibleDatabase, request: RouteRequest): Promise<Route> {
      const { database } = found;
      const { name } = database.metadata;
      if (request.autoCreate || request.dbGroups) {
        throw new TeleportError('BadParameter', '--auto-create and --db-groups work with --aws only', {
          hint: 'Leave it out: in a cluster the roles say which users there are, see "tsh db ls -v".',
        });
      }
      const kept = await stored(name);
      const given = { dbUser: request.dbUser || kept?.dbUser, dbName: request.dbName || kept?.dbName };
      // An active database comes without what the roles allow; that is asked only when something is missing.
      const isShort = !given.dbUser || !given.dbName;
      const [asked] = isShort && found.users.unknown ? await databases({ name }) : [];
      const { users, names } = asked ?? found;
      const dbUser = given.dbUser || chooseDbUser(name, users);
      const dbName = given.dbName || chooseDbName(name, names);
      return { database, dbUser, dbName, dbRoles: request.dbRoles ?? kept?.dbRoles ?? [] };
    },

    async login(route) {
      await login(route);
    },

    requests: {
      get canTakeUp() {
        return !context().store.isVirtual;
      },
      list: () => context().withRoot((auth) => listAccessRequests(auth)),
      find: (id) => context().withRoot((auth) => findAccessRequest(auth, id)),
      create: (wish) => context().withRoot((auth) => createAccessRequest(auth, { ...wish, user: context().username })),
      review: (review) =>
        context().withRoot((auth) => reviewAccessRequest(auth, { ...review, author: context().username })),
      decided: (request) => context().withRoot((auth) => awaitResolution(auth, request, context()), { isSilent: true }),
      async change(change) {
        await context().changeRequests(change);
        own = undefined;
      },
    },
    hasKeyFiles,

    async logout(names) {
      const { store, profileName, username, cluster, pgServiceFile, otherPgServiceFiles = [], warn } = context();
      for (const name of names) await store.deleteDatabase(profileName, username, cluster, name);
      const sections = names.map((name) => pgServiceName(cluster, name));
      await deletePgServices([pgServiceFile, ...otherPgServiceFiles], sections, warn);
    },

    async connectionInfo(name): Promise<ConnectionInfo> {
      const { store, profileName, username, cluster, rootCluster, postgresProxyAddr, insecure } = context();
      const files = store.databasePaths(profileName, username, cluster, name, rootCluster);
      return {
        ...postgresProxyAddr,
        caFile: files.ca,
        certFile: files.cert,
        keyFile: files.key,
        sslMode: insecure ? 'verify-ca' : 'verify-full',
      };
    },

    async connector(route, options: ConnectorOptions = {}): Promise<Connector> {
      const { name } = route.database.metadata;
      const kept = await stored(name);
      const requester = options.isExec ? REQUESTER.dbExec : REQUESTER.localProxyTunnel;
      const fetch = () => (options.inMemory ? issue(route, requester) : login(route));
      const usable = kept && isFor(kept, route) ? await keysOf(kept) : undefined;
      const first = usable ?? (await fetch());
      // A client that brings its own certificate would not see a new one: then nothing is renewed.
      const keys = options.clientTls ? async () => first : renewed(first, fetch, context);
      return clusterConnector({
        dial: async ({ withCertificate }) => context().dialPostgres(withCertificate ? await keys() : undefined),
        address: context().webProxyAddr,
        log: context().log,
        clientTls: options.clientTls,
        warm: options.warm,
        onRefused: options.onRefused,
        hintOfSilence: context().hintOfSilence,
      });
    },

    async [Symbol.asyncDispose]() {
      await context().close();
    },
  };
}

function accessible(database: AccessibleDatabase['database'], me: OwnAccess | undefined): AccessibleDatabase {
  if (!me) {
    const unknown = { allowed: [], denied: [], unknown: true };
    return { database, users: unknown, names: unknown, dbRoles: [] };
  }
  return {
    database,
    users: allowedUsers(me.roles, database, me.username, me.traits),
    names: allowedNames(me.roles, database, me.traits),
    dbRoles: databaseRolesOf(me.roles, database, me.traits),
  };
}

/** A login with an RSA key uses it for databases too (as tsh does); otherwise a quick key of its own. */
async function databaseKey(tlsKeyPem: string) {
  const own = readPrivateKey(tlsKeyPem);
  return own.asymmetricKeyType === 'rsa' ? own : await generateKey('ecdsa-p256');
}

function isFor(kept: ActiveDatabase, route: Route): boolean {
  return (
    kept.dbUser === route.dbUser &&
    kept.dbName === route.dbName &&
    [...kept.dbRoles].sort().join() === [...route.dbRoles].sort().join()
  );
}

/** The same keys until they are about to end, then fetched once for all who wait. */
function renewed(first: DatabaseKeys, fetch: () => Promise<DatabaseKeys>, context: () => ClusterContext) {
  let current = first;
  let fetching: Promise<DatabaseKeys> | undefined;
  return async (): Promise<DatabaseKeys> => {
    if (activeDatabase(current.certPem, context().now()) !== undefined) return current;
    fetching ??= fetch()
      .then((next) => {
        current = next;
        context().log.debug('Database certificate renewed.');
        return next;
      })
      .finally(() => {
        fetching = undefined;
      });
    return await fetching;
  };
}
