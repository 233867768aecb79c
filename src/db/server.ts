/**
 * The Database Service: knows its databases, says so to Auth (heartbeats) and to each Proxy (the tunnel), and serves the
 * connections that come down the tunnel.
 *
 * Source: database-service.md 6 to 8; the tunnel is `tunnel/protocol.ts`.
 */

import { join } from 'node:path';
import { abortForMany } from '../abort.js';
import { followAuthorities, type HostAuthorities } from '../api/authority-watch.js';
import type { AuthClient } from '../api/client.js';
import { dialAuth } from '../api/dial.js';
import { type AuthRoute, type HostIdentity, takeOver } from '../api/host-identity.js';
import { renewHostIdentity } from '../api/host-renewal.js';
import { type AuditSpool, openAuditSpool } from '../audit/spool.js';
import { CredentialCache } from '../aws/credential-cache.js';
import { distinctNames, holdersOf, type Trouble } from '../cloud/distinct-names.js';
import { type AwsMatcher, checkMatchers } from '../cloud/matchers.js';
import { searchReporter } from '../cloud/report.js';
import { runSearches, type Search } from '../cloud/search.js';
import { createAwsLogins } from '../dbserver/aws-login.js';
import type { ConnectContext } from '../dbserver/connect.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { amazonRoots } from '../net/roots.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import { checkServed } from '../resources/served.js';
import type { Database, TargetHealth } from '../resources/types.js';
import { checkDatabase } from '../resources/validate-database.js';
import { askAboutUser, type RightsWatch, watchRights } from '../rights/rights-watch.js';
import { runTunnel, type TunnelAgent } from '../tunnel/agent.js';
import type { TunnelHello } from '../tunnel/protocol.js';
import { settledWithin } from '../wait.js';
import { askedTrust, createAuthorizer } from './authorize.js';
import { AutoUsers } from './auto-users.js';
import { createClientCertificates } from './client-certificate.js';
import { HealthWatch } from './health.js';
import { Heartbeat } from './heartbeat.js';
import { importMetadata, type MetadataImport } from './metadata.js';
import { createRegistry, type Registry } from './registry.js';
import type { ResourceMatcher } from './resource-matcher.js';
import { watchResources } from './resource-watch.js';
import { recordUserLeftBehind } from './session-audit.js';
import { Sessions } from './sessions.js';
import { shipTo } from './ship.js';
import { lockAtAuth } from './user-lock.js';
import { sweepUsers } from './user-sweep.js';

export interface DatabaseServiceOptions {
  /** Role Db. */
  identity: HostIdentity;
  /** Web ports of the Proxies to hold a tunnel to. */
  proxies: { host: string; port: number }[];
  /** Way to Auth's gRPC. */
  authRoute: AuthRoute;
  /** Environment, for the authorities of the web. */
  vars: Record<string, string | undefined>;
  databases: Database[];
  /** Which db resources of the cluster this agent offers as well. */
  resources: ResourceMatcher[];
  /** Where to look for databases in AWS. */
  aws?: readonly AwsMatcher[];
  dataDir: string;
  version: string;
  log: Logger;
  now?: () => Date;
  /** Repeat of the db_server announcement; its life is twice that. Default 5 min. */
  heartbeatMs?: number;
  /** Called for what Auth says of the authority of hosts. */
  onHostAuthorities?: (authorities: HostAuthorities) => void;
}

/** What has to be opened before an agent can begin. */
interface Opened {
  databases: Database[];
  auth: AuthClient;
  spool: AuditSpool;
}

/** @throws TeleportError for a database or a matcher that cannot be served, or when Auth cannot be reached */
export async function startDatabaseService(options: DatabaseServiceOptions): Promise<DatabaseService> {
  const databases = options.databases.map(databaseWithDefaults);
  for (const database of databases) {
    checkDatabase(database);
    checkServed(database);
  }
  checkMatchers(options.aws ?? []);
  const { identity, version } = options;
  const auth = await dialAuth(options.authRoute, identity, { version });
  const spool = await openSpool(auth, options).catch(async (error: unknown) => {
    await auth.close();
    throw error;
  });
  const service = new DatabaseService(options, { databases, auth, spool });
  await service.begin(options);
  return service;
}

async function openSpool(auth: AuthClient, { dataDir, log }: DatabaseServiceOptions): Promise<AuditSpool> {
  return await openAuditSpool({
    dir: join(dataDir, 'audit-spool'),
    ship: shipTo(auth),
    log: log.child('AUDIT'),
  });
}

export class DatabaseService {
  readonly #identity: HostIdentity;
  readonly #auth: AuthClient;
  readonly #spool: AuditSpool;
  readonly #now: () => Date;
  readonly #log: Logger;
  readonly #registry: Registry;
  readonly #metadata: MetadataImport;
  readonly #health: HealthWatch;
  readonly #heartbeat: Heartbeat;
  readonly #rights: RightsWatch;
  readonly #authorities: Promise<void>;
  readonly #autoUsers: AutoUsers;
  readonly #sessions: Sessions;
  readonly #tunnel: TunnelAgent;
  /** Called when the Proxies have something to hear. */
  readonly #onNews = new Set<() => void>();
  /** Ends what runs beside the sessions. */
  readonly #stop = abortForMany();
  #watching: Promise<void> | undefined;
  #discovering: Promise<void> | undefined;
  #sweeping: Promise<void> | undefined;
  #cloud: Database[] = [];
  #isDraining = false;

  constructor(options: DatabaseServiceOptions, { databases, auth, spool }: Opened) {
    const { identity, version, log, now = () => new Date(), heartbeatMs = 5 * 60_000 } = options;
    const { signal } = this.#stop;
    const registry = createRegistry(databases);
    this.#identity = identity;
    this.#auth = auth;
    this.#spool = spool;
    this.#now = now;
    this.#log = log;
    this.#registry = registry;
    this.#metadata = importMetadata({ registry, log, signal });
    this.#health = new HealthWatch((database, health) => this.#healthChanged(database, health));
    const healthOf = (name: string) => this.#health.of(name);
    this.#heartbeat = new Heartbeat({ auth, registry, healthOf, identity, version, everyMs: heartbeatMs, now, log });
    this.#rights = watchRights({
      fetch: (signal) => auth.databaseAgent.watchLocks({ withUsers: true }, { signal, timeoutMs: 0 }),
      reconnect: auth.reconnect,
      ask: askAboutUser(auth),
      hostId: identity.hostId,
      now,
      log: log.child('DB'),
      signal,
    });
    const { hostId, clusterName } = identity;
    const client = () => Promise.resolve(auth);
    const trust = askedTrust(auth, clusterName);
    const authorizer = createAuthorizer({ registry, auth: client, trust, clusterName, serverId: hostId, now });
    const clientCertificates = createClientCertificates(client, now);
    this.#authorities = followAuthorities({
      auth,
      onChange: (hosts) => {
        options.onHostAuthorities?.(hosts);
        authorizer.refresh().then(
          () => this.#rights.look(),
          () => {},
        ); // asked again by whoever needs them
        clientCertificates.forget();
      },
      log: log.child('DB'),
      signal,
    });
    const connect: ConnectContext = {
      aws: createAwsLogins(new CredentialCache({ now, warn: (text) => log.warn(text) })),
      checker: 'Database service',
      clientCertificates,
      amazonRoots: amazonRoots(),
      vars: options.vars,
    };
    this.#autoUsers = new AutoUsers({ connect, lock: lockAtAuth(auth), log: log.child('DB'), signal });
    this.#sessions = new Sessions({
      ...connect,
      rights: this.#rights,
      autoUsers: this.#autoUsers,
      authorizer,
      spool,
      server: { hostId, version, clusterName, now },
      log: log.child('DB'),
    });
    this.#tunnel = runTunnel({
      proxies: options.proxies,
      identity,
      hello: () => this.#hello(identity, version),
      onChange: (listener) => {
        this.#onNews.add(listener);
        return () => this.#onNews.delete(listener);
      },
      watch: (serverId, onEnded) => this.#rights.during({ serverId }, onEnded),
      onConnection: (stream, caller) => this.#sessions.serve(stream, caller),
      log: log.child('TUNNEL'),
    });
  }

  /** Announce the databases, then look for more. Called once. */
  async begin({ resources, aws = [] }: Pick<DatabaseServiceOptions, 'resources' | 'aws'>): Promise<void> {
    const registry = this.#registry;
    const { signal } = this.#stop;
    registry.onChange((names) => this.#databasesChanged(names));
    for (const database of registry.all()) this.#health.watch(database);
    await this.#heartbeat.begin();
    for (const database of registry.all()) void this.#metadata.complete(database);
    if (resources.length > 0) {
      this.#watching = watchResources({ matchers: resources, auth: this.#auth, registry, log: this.#log, signal });
    }
    this.#sweeping = sweepUsers({
      registry,
      autoUsers: this.#autoUsers,
      onEnd: (database, user, end) => this.#userEnded(database, user, end),
      log: this.#log.child('DB'),
      signal,
    });
    const log = this.#log.child('DISCOVERY');
    const report = searchReporter(this.#auth, { nodename: this.#identity.nodename, log });
    this.#discovering = runSearches({
      matchers: aws,
      setting: 'db_service.aws',
      onRound: (searches) => report({ searches, troubles: this.#offerFound(searches) }),
      signal,
      now: this.#now,
      log,
    });
  }

  /** @returns what is not offered as it was found */
  #offerFound(searches: readonly Search[]): Trouble[] {
    const holders = holdersOf(this.#cloud);
    const { found, troubles } = distinctNames(
      searches.flatMap((search) => search.found),
      holders,
    );
    // AWS has just said all this: nothing is left to ask.
    this.#cloud = found.map(({ database }) => ({ ...database, status: { aws: database.spec.aws ?? {} } }));
    this.#registry.setCloud(this.#cloud);
    return troubles;
  }

  databases(): Database[] {
    return this.#registry.all();
  }

  /** Resolves when every Proxy has heard our first hello. */
  ready(): Promise<void> {
    return this.#tunnel.connected;
  }

  /** Get the next host certificate, and show it from now on. Sessions go on. @throws what Auth says */
  async renewIdentity(): Promise<void> {
    takeOver(this.#identity, await renewHostIdentity(this.#auth, this.#identity));
    this.#auth.reconnect();
    this.#tunnel.redial();
  }

  /** Auth has said nothing for too long. */
  get isCutOff(): boolean {
    return this.#rights.isCutOff;
  }

  /** Connections that are being served. */
  sessions(): number {
    return this.#sessions.count;
  }

  /** How the records of sessions get on. */
  audit(): AuditSpool['state'] {
    return this.#spool.state;
  }

  /** Stop taking connections, wait for those that run, close them at the deadline. */
  async close({ drainMs = 0 }: { drainMs?: number } = {}): Promise<void> {
    this.#isDraining = true;
    this.#tellProxies();
    this.#health.stop();
    await this.#heartbeat.end();
    await this.#sessions.end(drainMs);
    this.#stop.abort();
    await Promise.all([this.#tunnel.close(), this.#watching, this.#rights.ended, this.#authorities]);
    const rest = [this.#sessions.settled(), this.#autoUsers.settled(), this.#discovering, this.#sweeping];
    await settledWithin(Promise.all(rest), 5_000);
    await settledWithin(this.#spool.drained(), 2_000);
    await this.#spool.close();
    await this.#auth.close();
  }

  #hello({ hostId, nodename }: HostIdentity, version: string): TunnelHello {
    const databases = this.#registry.all().map(({ metadata: { name } }) => {
      return { name, health: this.#health.of(name).status };
    });
    return { hostId, hostname: nodename, version, databases, ...(this.#isDraining ? { draining: true } : {}) };
  }

  #databasesChanged(names: readonly string[]): void {
    for (const name of names) {
      const database = this.#registry.get(name);
      if (database) {
        this.#health.watch(database);
        void this.#metadata.complete(database);
        void this.#heartbeat.tryAnnounce(database);
      } else {
        this.#health.forget(name);
        void this.#heartbeat.withdraw(name);
      }
    }
    this.#tellProxies();
  }

  #healthChanged(database: Database, { status, transition_error: reason = '' }: TargetHealth): void {
    this.#log.info('Database health changed.', { db: database.metadata.name, health: status, reason });
    void this.#heartbeat.announce(database).catch(() => {}); // the next heartbeat says it as well
    this.#tellProxies();
  }

  /** Of no session that is known here any more. */
  #userEnded(database: Database, user: string, { isDropped }: { isDropped: boolean }): void {
    const { hostId, clusterName } = this.#identity;
    const how = isDropped ? 'dropped' : 'disabled';
    this.#log.info(`A database user that was left behind is ${how}.`, { db: database.metadata.name, user });
    try {
      const server = { hostId, clusterName, now: this.#now };
      recordUserLeftBehind(this.#spool, database, { user, isDropped }, server).catch(() => {}); // said by the spool
    } catch (error) {
      this.#log.error('Cannot record the end of a user.', { user, error: messageOf(error) });
    }
  }

  #tellProxies(): void {
    for (const listener of this.#onNews) listener();
  }
}
