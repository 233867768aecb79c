/**
 * Databases behind a cluster, ours or Teleport's: listed by Auth's gRPC, reached over the Proxy's web port, with a
 * certificate for each (`certificates.ts`). The login renews itself (`login/login.ts`): each step asks it anew.
 *
 * Source: cli.md 4, login-and-profile.md 8, auth-grpc-and-routing.md 3.1, 7.1 and 7.6.
 */

import { type AuditQuery, auditLines } from '../../api/audit-lines.js';
import type { AuthClient } from '../../api/client.js';
import type { Env } from '../../cli/env.js';
import { TeleportError } from '../../errors.js';
import type { StoredDatabase } from '../../profile/store.js';
import { oncePerKind } from '../../rbac/alike.js';
import { allowedNames, allowedUsers, databaseRolesOf } from '../../rbac/allowed.js';
import { readAnswer } from '../../rbac/answer.js';
import type { AccessAnswer } from '../../rbac/decision.js';
import type { Database } from '../../resources/types.js';
import type {
  Access,
  AccessibleDatabase,
  ActiveDatabase,
  ConnectionInfo,
  Connector,
  ConnectorOptions,
  DatabaseFilter,
  Route,
  RouteRequest,
} from '../access.js';
import { isUpgraded } from '../login/client.js';
import type { Login } from '../login/login.js';
import { pinnedHint } from '../login/session.js';
import { type LeafCluster, listDatabases, type OwnAccess, ownAccess, remoteClusters } from './calls.js';
import { DatabaseCertificates } from './certificates.js';
import { chooseDbName, chooseDbUser } from './choose-names.js';
import { ClusterConnector } from './connector.js';
import { type DialPostgres, dialPostgres } from './dial.js';
import { OwnRequests } from './own-requests.js';

export class ClusterAccess implements Access {
  readonly requests: OwnRequests;
  readonly #env: Env;
  readonly #login: Login;
  readonly #certificates: DatabaseCertificates;
  readonly #dial: DialPostgres;
  #own: Promise<OwnAccess | undefined> | undefined;

  constructor(env: Env, login: Login, dial = dialPostgres) {
    this.#env = env;
    this.#login = login;
    this.#dial = dial;
    this.#certificates = new DatabaseCertificates(env, login);
    this.requests = new OwnRequests(env, login, () => {
      this.#own = undefined;
    });
  }

  get clusterName(): string {
    return this.#login.session.cluster;
  }

  get place(): string {
    return `cluster "${this.clusterName}"`;
  }

  get proxyAddress(): string {
    return this.#login.session.profile.webProxyAddr;
  }

  get unreachable(): string | undefined {
    const { session } = this.#login;
    const isBehind = (session.profile.tlsRoutingEnabled ?? true) && isUpgraded(session, { vars: this.#env.vars });
    return isBehind ? 'Teleport Proxy is behind a layer 7 load balancer or reverse proxy' : undefined;
  }

  /** Who is logged in. */
  get username(): string {
    return this.#login.session.user;
  }

  /** What ran in the caller's own name, oldest first: JSON texts of the audit log. */
  async ownRecords(query: Omit<AuditQuery, 'own'>): Promise<string[]> {
    return await this.#login.withAuth(async (auth) => {
      const found: string[] = [];
      for await (const line of auditLines(auth, { ...query, newestFirst: true, own: true })) found.push(line);
      return found.reverse();
    });
  }

  /** May the caller enter, and why not; only of clusters that are ours. */
  async whyNot(asked: {
    database: string;
    dbUser: string | undefined;
    dbName: string | undefined;
    dbRoles: string[];
  }): Promise<AccessAnswer> {
    const wish = { ...asked, dbUser: asked.dbUser ?? '', dbName: asked.dbName ?? '' };
    return await this.#login.withAuth(async (auth) =>
      readAnswer(await auth.accessReader.explainAccess({ user: '', ...wish })),
    );
  }

  async active(): Promise<ActiveDatabase[]> {
    return await this.#stored();
  }

  async databases(
    filter: DatabaseFilter,
    options: { names?: string[]; useSearchAsRoles?: boolean } = {},
  ): Promise<AccessibleDatabase[]> {
    return await this.#login.withAuth(async (auth) => {
      const [found, me] = await Promise.all([listDatabases(auth, filter, options), this.#ownOnce(auth)]);
      const allowanceIn = allowancesOf(me);
      return found.map((database) => ({ database, ...allowanceIn(database) }));
    });
  }

  /** Clusters behind the same Proxy, whichever is selected. */
  leaves(): Promise<LeafCluster[]> {
    return this.#login.withAuth((_auth, root) => remoteClusters(root));
  }

  async route(found: AccessibleDatabase, request: RouteRequest): Promise<Route> {
    const { database } = found;
    const { name } = database.metadata;
    if (request.autoCreate || request.dbGroups) {
      throw new TeleportError('BadParameter', '--auto-create and --db-groups work with --aws only', {
        hint: 'Leave it out: in a cluster the roles say which users there are, see "tsh db ls -v".',
      });
    }
    const kept = await this.#storedFor(name);
    const given = { dbUser: request.dbUser || kept?.dbUser, dbName: request.dbName || kept?.dbName };
    // An active database comes without what the roles allow; that is asked only when something is missing.
    const isShort = !given.dbUser || !given.dbName;
    const [asked] = isShort && found.users.unknown ? await this.databases({ name }) : [];
    const { users, names } = asked ?? found;
    const dbUser = given.dbUser || chooseDbUser(name, users);
    const dbName = given.dbName || chooseDbName(name, names);
    return { database, dbUser, dbName, dbRoles: request.dbRoles ?? kept?.dbRoles ?? [] };
  }

  async login(route: Route): Promise<void> {
    await this.#certificates.save(route);
  }

  logout(names: string[]): Promise<void> {
    return this.#certificates.remove(names);
  }

  hasKeyFiles(): Promise<boolean> {
    return this.#certificates.areFiles();
  }

  async connectionInfo(name: string): Promise<ConnectionInfo> {
    return this.#certificates.connectionInfo(name);
  }

  async connector(route: Route, options: ConnectorOptions = {}): Promise<Connector> {
    const kept = await this.#storedFor(route.database.metadata.name);
    const keys = await this.#certificates.keysFor(route, kept, options);
    const { pinnedIp } = this.#login.session.facts ?? {};
    return new ClusterConnector({
      dial: async ({ withCertificate }) =>
        await this.#dial(this.#env, this.#login, withCertificate ? await keys() : undefined),
      address: this.proxyAddress,
      log: this.#env.log,
      clientTls: options.clientTls,
      warm: options.warm,
      onRefused: options.onRefused,
      hintOfSilence: pinnedIp && pinnedHint(pinnedIp),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#login.close();
  }

  /** The certificates that are kept and have not ended. */
  async #stored(): Promise<StoredDatabase[]> {
    const { store, name, user, cluster } = this.#login.session;
    return await store.databases(name, user, cluster, this.#env.now());
  }

  async #storedFor(database: string): Promise<StoredDatabase | undefined> {
    return (await this.#stored()).find(({ name }) => name === database);
  }

  /** Undefined when the roles cannot be read; then users are unknown and nothing can be guessed. */
  #ownOnce(auth: AuthClient): Promise<OwnAccess | undefined> {
    this.#own ??= ownAccess(auth).catch((error: unknown) => {
      this.#env.log.debug('Cannot read own roles.', { error: String(error) });
      return undefined;
    });
    return this.#own;
  }
}

/** What a person may be in each database of a list. */
function allowancesOf(me: OwnAccess | undefined): (database: Database) => Omit<AccessibleDatabase, 'database'> {
  const unknown = { allowed: [], denied: [], unknown: true };
  if (!me) return () => ({ users: unknown, names: unknown, dbRoles: [] });
  const { roles, username, traits } = me;
  return oncePerKind(roles, (database) => ({
    users: allowedUsers(roles, database, username, traits),
    names: allowedNames(roles, database, traits),
    dbRoles: databaseRolesOf(roles, database, traits),
  }));
}
