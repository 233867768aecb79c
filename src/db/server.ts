/**
 * The Database Service: knows its databases, says so to Auth (heartbeats) and to each Proxy (the tunnel), and serves the
 * connections that come down the tunnel.
 *
 * Source: database-service.md sections 6 to 8; the tunnel is `tunnel/protocol.ts`.
 */
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import type { AuthClient } from '../api/client.js';
import { toMessage } from '../api/convert.js';
import { dialAuth } from '../api/dial.js';
import type { AuthRoute, HostIdentity } from '../api/host-identity.js';
import { openAuditSpool } from '../audit/spool.js';
import { createCredentialCache } from '../aws/credential-cache.js';
import { createAwsLogins } from '../dbserver/aws-login.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { amazonRoots } from '../net/roots.js';
import { shutdownEnd } from '../pg/sqlstate.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import { checkServed } from '../resources/served.js';
import type { Database, DatabaseServer, TargetHealth } from '../resources/types.js';
import { checkDatabase } from '../resources/validate-database.js';
import { runTunnel } from '../tunnel/agent.js';
import { createAuthorizer } from './authorize.js';
import { createClientCertificates } from './client-certificate.js';
import { type AwsMatcher, checkMatchers, runDiscovery } from './discovery.js';
import { type EngineContext, serveSession } from './engine.js';
import { type HealthCheck, startHealthCheck } from './health.js';
import { watchLocks } from './lock-watch.js';
import { importMetadata } from './metadata.js';
import { createRegistry } from './registry.js';
import type { ResourceMatcher } from './resource-matcher.js';
import { watchResources } from './resource-watch.js';

export interface DatabaseServiceOptions {
  /** Role Db. */
  identity: HostIdentity;
  /** Web ports of the Proxies to hold a tunnel to. */
  proxies: { host: string; port: number }[];
  /** Way to Auth's gRPC; by default through the first Proxy. */
  authRoute?: AuthRoute;
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
}

/** How long sessions that are ended may take over their last words. */
const FAREWELL_TIMEOUT_MS = 5_000;
/** Between a heartbeat that failed and the next. */
const HEARTBEAT_RETRY_MS = 10_000;

export interface DatabaseService {
  databases(): Database[];
  /** Resolves when every Proxy has heard our first hello. */
  ready(): Promise<void>;
  /** Connections that are being served. */
  sessions(): number;
  /** Stop taking connections, wait for those that run, close them at the deadline. */
  close(options?: { drainMs?: number }): Promise<void>;
}

export async function startDatabaseService(options: DatabaseServiceOptions): Promise<DatabaseService> {
  const { identity, proxies, version, log, now = () => new Date(), heartbeatMs = 5 * 60_000 } = options;
  const databases = options.databases.map(databaseWithDefaults);
  for (const database of databases) {
    checkDatabase(database);
    checkServed(database);
  }
  const { aws = [] } = options;
  checkMatchers(aws);
  const stop = new AbortController();
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // one a session
  const registry = createRegistry(databases);
  const metadata = importMetadata({ registry, log, signal: stop.signal });
  const health = new Map<string, { uri: string; check: HealthCheck }>();
  const running = new Set<Promise<void>>();
  let draining = false;

  const route: AuthRoute = options.authRoute ?? { kind: 'proxy', ...proxies[0]! };
  const auth = await dialAuth(route, identity, { version });
  const client = () => Promise.resolve(auth);
  const spool = await openAuditSpool({
    dir: join(options.dataDir, 'audit-spool'),
    ship: async (events, signal) => {
      await auth.databaseAgent.emitAuditEvents({ events }, { signal });
    },
    log: log.child('AUDIT'),
  }).catch(async (error: unknown) => {
    await auth.close();
    throw error;
  });

  let userCas: Promise<string[]>;
  const askUserCas = () => {
    userCas = fetchCas(auth, 'user');
    userCas.catch(() => {}); // told to whoever waits for it
  };
  askUserCas();
  const locks = watchLocks({
    fetch: (signal) => auth.databaseAgent.watchLocks({}, { signal, timeoutMs: 0 }),
    serverId: identity.hostId,
    now,
    log: log.child('DB'),
    signal: stop.signal,
  });
  const context: EngineContext = {
    locks,
    authorizer: createAuthorizer({
      registry,
      auth: client,
      userCas: (refresh) => {
        if (refresh) askUserCas();
        return userCas;
      },
      clusterName: identity.clusterName,
      serverId: identity.hostId,
      now,
    }),
    aws: createAwsLogins(createCredentialCache({ now, warn: (text) => log.warn(text) })),
    checker: 'Database service',
    clientCertificates: createClientCertificates(client, now),
    amazonRoots: amazonRoots(),
    spool,
    server: { hostId: identity.hostId, version, clusterName: identity.clusterName, now },
    ending: ending.signal,
    log: log.child('DB'),
  };

  // Announcements
  const healthOf = (name: string): TargetHealth => health.get(name)?.check.status() ?? { status: 'unknown' };
  const announce = async (database: Database) => {
    const server: DatabaseServer = {
      kind: 'db_server',
      version: 'v3',
      metadata: { name: database.metadata.name, expires: new Date(now().getTime() + 2 * heartbeatMs).toISOString() },
      spec: { version, hostname: identity.nodename, host_id: identity.hostId, database },
      status: { target_health: healthOf(database.metadata.name) },
    };
    await auth.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
  };
  const withdraw = (name: string) =>
    auth.auth.deleteDatabaseServer({ namespace: 'default', hostId: identity.hostId, name }).catch((error: unknown) => {
      log.debug('Cannot withdraw a database.', { db: name, error: messageOf(error) });
    });
  /** @returns whether Auth has heard all of them */
  const announceAll = async () => {
    const heard = registry.all().map((database) =>
      announce(database).then(
        () => true,
        (error: unknown) => {
          log.warn('Heartbeat failed.', { db: database.metadata.name, error: messageOf(error) });
          return false;
        },
      ),
    );
    return (await Promise.all(heard)).every(Boolean);
  };
  let heartbeat: NodeJS.Timeout | undefined;
  // One that failed is repeated soon: the announcement before it must not run out meanwhile.
  const beatLater = (allHeard: boolean) => {
    if (draining) return;
    const waitMs = allHeard ? heartbeatMs : Math.min(heartbeatMs, HEARTBEAT_RETRY_MS);
    heartbeat = setTimeout(() => void announceAll().then(beatLater), waitMs);
  };
  const watchHealth = (database: Database) => {
    const { name } = database.metadata;
    const known = health.get(name);
    if (known?.uri === database.spec.uri) return;
    known?.check.stop();
    const onChange = (status: TargetHealth) => {
      log.info('Database health changed.', { db: name, health: status.status, reason: status.transition_error ?? '' });
      void announce(database).catch(() => {});
      tellProxies();
    };
    health.set(name, { uri: database.spec.uri, check: startHealthCheck({ uri: database.spec.uri, onChange }) });
  };

  // The tunnel
  const changed = new Set<() => void>();
  const tellProxies = () => {
    for (const listener of changed) listener();
  };
  const tunnel = runTunnel({
    proxies,
    identity,
    hello: () => ({
      hostId: identity.hostId,
      hostname: identity.nodename,
      version,
      databases: registry.all().map(({ metadata: { name } }) => ({ name, health: healthOf(name).status })),
      ...(draining ? { draining } : {}),
    }),
    onChange: (listener) => {
      changed.add(listener);
      return () => changed.delete(listener);
    },
    onConnection: (stream, caller) => {
      const session = serveSession(context, stream, caller).finally(() => running.delete(session));
      running.add(session);
    },
    log: log.child('TUNNEL'),
  });
  registry.onChange((names) => {
    for (const name of names) {
      const database = registry.get(name);
      if (database) {
        watchHealth(database);
        void metadata.complete(database);
        void announce(database).catch((error: unknown) => {
          log.warn('Heartbeat failed.', { db: name, error: messageOf(error) });
        });
      } else {
        health.get(name)?.check.stop();
        health.delete(name);
        void withdraw(name);
      }
    }
    tellProxies();
  });

  registry.all().forEach(watchHealth);
  beatLater(await announceAll());
  for (const database of registry.all()) void metadata.complete(database);
  const watching =
    options.resources.length > 0
      ? watchResources({ matchers: options.resources, auth, registry, log, signal: stop.signal })
      : undefined;
  const discovering = runDiscovery({
    matchers: aws,
    onFound: registry.setCloud,
    signal: stop.signal,
    log: log.child('DISCOVERY'),
  });

  return {
    databases: () => registry.all(),
    ready: () => tunnel.connected,
    sessions: () => running.size,
    async close({ drainMs = 0 } = {}) {
      draining = true;
      tellProxies();
      clearTimeout(heartbeat);
      for (const { check } of health.values()) check.stop();
      await Promise.all(registry.all().map(({ metadata }) => withdraw(metadata.name)));
      if (drainMs > 0 && running.size > 0) await settled(Promise.all(running), drainMs);
      ending.abort(shutdownEnd('The Database Service is stopping. Connect again when it is back.'));
      await settled(Promise.all(running), FAREWELL_TIMEOUT_MS);
      stop.abort();
      await Promise.all([tunnel.close(), watching, locks.ended]);
      await settled(Promise.all([...running, discovering]), 5_000);
      await settled(spool.drained(), 2_000);
      await spool.close();
      await auth.close();
    },
  };
}

async function fetchCas(auth: AuthClient, type: string): Promise<string[]> {
  const { certAuthoritiesV2 } = await auth.trust.getCertAuthorities({ type });
  return certAuthoritiesV2.flatMap(({ spec }) =>
    [...(spec?.activeKeys?.tls ?? []), ...(spec?.additionalTrustedKeys?.tls ?? [])].map(({ cert }) =>
      Buffer.from(cert).toString(),
    ),
  );
}

/** Wait, but not for ever. */
async function settled(work: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([
    work.catch(() => {}),
    new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    }),
  ]);
  clearTimeout(timer);
}
