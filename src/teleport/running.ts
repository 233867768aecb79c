/**
 * The services of this process, as the configuration asks for them: diagnostics, Auth, Proxy, Discovery and Database Service, started in
 * this order and closed in the reverse one. They meet only over the network, also here, so that they can move apart.
 */
import { hostname } from 'node:os';
import type { KeptCertificate } from '../acme/kept-certificate.js';
import { HostFreshness } from '../api/authority-watch.js';
import type { AuthRoute, HostIdentity } from '../api/host-identity.js';
import type { AuthService } from '../auth/service.js';
import type { Env } from '../cli/env.js';
import { Closers } from '../closers.js';
import type { DatabaseService, DatabaseServiceOptions } from '../db/server.js';
import type { DiscoveryServiceOptions } from '../discovery/service.js';
import { TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { hostOf, joinHostPort } from '../host-port.js';
import { renewalOf } from '../identity/host.js';
import { connectable, LOOPBACK_NAMES } from '../ip.js';
import type { Logger } from '../log.js';
import { withoutProxies } from '../net/http-proxy.js';
import type { ProxyOptions, ProxyService } from '../proxy/service.js';
import { Renewal } from '../renewal.js';
import type { SystemRole } from '../resources/system-role.js';
import { hostId } from '../store/state-files.js';
import { VERSION } from '../version.js';
import { type CertificateReload, type Keypair, startCertificateReload } from './certificate-reload.js';
import type { TeleportConfig } from './config.js';
import type { AuthConfig } from './config-auth.js';
import type { DatabaseConfig } from './config-databases.js';
import type { DiscoveryConfig } from './config-discovery.js';
import type { AcmeConfig, ProxyConfig } from './config-proxy.js';
import { lockDataDir } from './data-dir-lock.js';
import { type Metric, processMetrics, type Readiness, startDiagnostics } from './diagnostics.js';
import { closeDataDir, prepareDataDir, readKeypair, saveIdentity, webCertificate } from './host-files.js';
import { asMember, identityFor, type Membership } from './membership.js';

/** How long running sessions may go on after a first SIGTERM. */
const DRAIN_MS = 5_000;

export interface StartOptions {
  log: Logger;
  now?: () => Date;
  vars: Env['vars'];
  /** Between two looks at whether certificates are to be renewed. Default a minute. */
  renewalLookMs?: number | undefined;
}

/** Start what the configuration asks for; everything is up when this returns. Used by `start`, the tests and the demo. */
export async function startTeleport(
  config: TeleportConfig,
  { log, now = () => new Date(), vars, renewalLookMs }: StartOptions,
): Promise<RunningTeleport> {
  await prepareDataDir(config.dataDir);
  const lock = await lockDataDir(config.dataDir, { log, now });
  log.info(config.file ? 'Starting Teleport with a config file' : 'Starting Teleport', {
    version: VERSION,
    ...(config.file ? { config_file: config.file } : {}),
  });
  for (const service of config.ignored) log.warn('This program does not have this service, ignoring it.', { service });
  for (const key of config.unused) log.warn('This setting has no effect in this program.', { setting: key });

  const closers = new Closers();
  closers.keep(lock);
  // A tunnel goes straight to its Proxy, and so does all else between services. AWS is another matter, and of the SDK.
  const running = new RunningTeleport(config, {
    closers,
    log,
    now,
    vars: withoutProxies(vars),
    renewalLookMs,
  });
  try {
    await running.begin();
    return running;
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** A certificate, and whether it is of the authorities of now. */
interface Fresh {
  identity: HostIdentity;
  freshness: HostFreshness;
}

interface Surroundings {
  closers: Closers;
  log: Logger;
  now: () => Date;
  vars: Env['vars'];
  renewalLookMs: number | undefined;
}

export class RunningTeleport implements AsyncDisposable {
  auth?: HostPort;
  proxy?: HostPort;
  /** Where /healthz, /readyz and /metrics are. */
  diag?: HostPort;
  readonly #config: TeleportConfig;
  readonly #closers: Closers;
  readonly #log: Logger;
  readonly #now: () => Date;
  readonly #vars: Env['vars'];
  readonly #renewalLookMs: number | undefined;
  readonly #gauges: (() => Metric)[] = [];
  #readiness: Readiness = 'starting';
  #certificate: CertificateReload | undefined;
  #auth: AuthService | undefined;
  #databases: DatabaseService | undefined;
  /** Services that listen to Auth. */
  readonly #members: { isCutOff: boolean }[] = [];

  constructor(config: TeleportConfig, { closers, log, now, vars, renewalLookMs }: Surroundings) {
    this.#config = config;
    this.#closers = closers;
    this.#log = log;
    this.#now = now;
    this.#vars = vars;
    this.#renewalLookMs = renewalLookMs;
  }

  /** Called once. */
  async begin(): Promise<void> {
    const config = this.#config;
    await closeDataDir(config.dataDir);
    const id = await hostId(config.dataDir);
    // First, so that it answers while the others start and while they drain.
    if (config.diagAddr) await this.#startDiagnostics(config.diagAddr);
    const auth = config.auth ? await this.#startAuth(id, config.auth) : undefined;
    const member: Membership = { config, auth, hostId: id, now: this.#now, vars: this.#vars };
    if (config.proxy) await this.#startProxy(member, config.proxy);
    if (config.discovery) await this.#startDiscovery(member, config.discovery);
    if (config.db) await this.#startDatabases(member, config.db);
    else this.#becomeReady();
  }

  sessions(): number {
    return this.#databases?.sessions() ?? 0;
  }

  /**
   * Read the web certificate again, where it comes from files of the configuration, and look for the file of the audit log.
   * Never rejects.
   */
  async reload(): Promise<void> {
    // The log's own alarm has said what is wrong.
    await Promise.all([this.#certificate?.reload(), this.#auth?.checkAuditLog().catch(() => {})]);
  }

  close({ drainMs = DRAIN_MS }: { drainMs?: number } = {}): Promise<void> {
    this.#readiness = 'draining';
    return this.#closers.close(drainMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #readinessNow(): Readiness {
    const isCutOff = this.#members.some((member) => member.isCutOff);
    return this.#readiness === 'ok' && isCutOff ? 'cut-off' : this.#readiness;
  }

  #becomeReady(): void {
    if (this.#readiness === 'starting') this.#readiness = 'ok';
  }

  async #startDiagnostics(at: HostPort): Promise<void> {
    const diagnostics = this.#closers.keep(
      await startDiagnostics({
        ...at,
        readiness: () => this.#readinessNow(),
        metrics: () => [...processMetrics(VERSION), ...this.#gauges.map((read) => read())],
      }),
    );
    this.diag = diagnostics.address;
    const { host, port } = diagnostics.address;
    this.#log.info('Diagnostics are served.', { addr: joinHostPort(host, port) });
  }

  async #startAuth(id: string, config: AuthConfig): Promise<AuthService> {
    const { dataDir, nodename } = this.#config;
    const { startAuth } = await import('../auth/service.js');
    const auth = this.#closers.keep(
      await startAuth({
        dataDir,
        hostId: id,
        nodename,
        version: VERSION,
        log: this.#log.child('AUTH'),
        now: this.#now,
        renewalLookMs: this.#renewalLookMs,
        vars: this.#vars,
        insecure: this.#config.insecure,
        ...config,
        listen: { ...config.listen, crowd: { limits: this.#config.connectionLimits } },
      }),
    );
    this.#auth = auth;
    this.auth = auth.address;
    const { host, port } = auth.address;
    this.#log.info('Auth Service is listening.', { addr: joinHostPort(host, port), cluster: auth.clusterName });
    return auth;
  }

  async #startProxy(member: Membership, config: ProxyConfig): Promise<void> {
    const { startProxy } = await import('../proxy/service.js');
    const { dataDir, nodename, authServer } = this.#config;
    const { listen, postgresListen, postgresPublicAddr, publicAddr, proxyHeadersFrom, keypairs } = config;
    const authAt = member.auth?.address ?? authServer;
    if (authAt === undefined) throw noAuthServer();
    const names = [
      ...new Set([...LOOPBACK_NAMES, nodename, hostname(), ...[...publicAddr, ...postgresPublicAddr].map(hostOf)]),
    ];
    const identity = await identityFor(member, 'Proxy', names);
    const acme = config.acme && (await this.#acmeCertificate(config, config.acme));
    const webCert = keypairs[0]
      ? await readKeypair(keypairs[0])
      : (acme?.current ?? (await webCertificate(dataDir, names, this.#now())));
    const freshness = new HostFreshness(identity);
    const options: ProxyOptions = {
      identity,
      onHostAuthorities: (authorities) => freshness.heard(authorities),
      auth: authAt,
      listen,
      postgresListen,
      postgresPublicAddr,
      publicAddr,
      webCert,
      clusterName: identity.clusterName,
      proxyHeadersFrom,
      crowd: { limits: this.#config.connectionLimits },
      version: VERSION,
      log: this.#log.child('PROXY'),
      now: this.#now,
    };
    const proxy = this.#closers.keep(await asMember(member, identity, authAt, () => startProxy(options)));
    acme?.begin(proxy);
    this.proxy = { host: connectable(proxy.address.host), port: proxy.address.port };
    this.#members.push(proxy);
    const sessions = () => proxy.sessions();
    this.#gauges.push(
      gauge(
        'teleport_reverse_tunnels_connected',
        'Agents that have dialled in to this Proxy.',
        () => proxy.agents().length,
      ),
      gauge('teleport_proxy_db_active_connections_total', 'Database connections open at this Proxy.', sessions),
    );
    this.#keepFresh(member, { identity, freshness }, proxy);
    this.#reloadCertificate(proxy, webCert, config);
    const addr = joinHostPort(proxy.address.host, proxy.address.port);
    this.#log.info('Proxy Service is listening.', { addr, public_addr: proxy.publicAddr });
  }

  /** A host's certificate lives for 30 days. That of a member is kept for the next start. */
  #keepFresh(
    { config, auth }: Membership,
    { identity, freshness }: Fresh,
    service: { renewIdentity(): Promise<void> },
  ): void {
    const renewal = this.#closers.keep(
      new Renewal({
        what: `the certificate of this host (${identity.role})`,
        dueAt: () => (freshness.isOutdated ? new Date(0) : renewalOf(identity.certPem)),
        renew: async () => {
          await service.renewIdentity();
          if (!auth) await saveIdentity(config.dataDir, identity);
        },
        now: this.#now,
        log: this.#log,
        everyMs: this.#renewalLookMs,
      }),
    );
    freshness.onOutdated = () => renewal.hurry();
    if (freshness.isOutdated) renewal.hurry();
  }

  async #acmeCertificate({ listen }: ProxyConfig, acme: AcmeConfig): Promise<KeptCertificate> {
    const { openAcmeCertificate } = await import('./acme.js');
    const { dataDir } = this.#config;
    const surroundings = { dataDir, vars: this.#vars, now: this.#now, log: this.#log.child('PROXY') };
    const kept = this.#closers.keep(await openAcmeCertificate(acme, listen, surroundings));
    this.#gauges.push(
      gauge('teleport_proxy_acme_failing', '1 while no new certificate can be had.', () => Number(kept.isFailing)),
      gauge(
        'teleport_proxy_acme_certificate_end_seconds',
        'When the certificate from the ACME authority ends, since 1970; 0 without one.',
        () => kept.endsAt,
      ),
    );
    return kept;
  }

  /** Where the web certificate comes from files, they are read again. */
  #reloadCertificate(
    proxy: ProxyService,
    shown: Keypair,
    { keypairs: [files], reloadIntervalMs: intervalMs }: ProxyConfig,
  ): void {
    if (!files) return;
    this.#certificate = this.#closers.keep(
      startCertificateReload({
        shown,
        read: () => readKeypair(files),
        apply: (pair) => proxy.setWebCertificate(pair),
        intervalMs,
        log: this.#log.child('PROXY'),
      }),
    );
  }

  /** What an agent needs to start. Agents speak to a Proxy; an --auth-server that is one serves as well. */
  async #agent(member: Membership, role: SystemRole) {
    const { nodename, proxyServer, authServer } = this.#config;
    const proxy = this.proxy ?? proxyServer ?? authServer!;
    const identity = await identityFor(member, role, [nodename]);
    const { vars } = member;
    const authRoute: AuthRoute = member.auth
      ? { kind: 'direct', ...member.auth.address }
      : { kind: 'proxy', ...proxy, vars };
    return { proxy, identity, authRoute, freshness: new HostFreshness(identity) };
  }

  async #startDiscovery(member: Membership, { matchers, group, intervalMs }: DiscoveryConfig): Promise<void> {
    const { proxy, identity, authRoute, freshness } = await this.#agent(member, 'Discovery');
    const { startDiscoveryService } = await import('../discovery/service.js');
    const options: DiscoveryServiceOptions = {
      identity,
      authRoute,
      onHostAuthorities: (authorities) => freshness.heard(authorities),
      matchers,
      group,
      intervalMs,
      version: VERSION,
      log: this.#log.child('DISCOVERY'),
      now: this.#now,
    };
    const discovery = this.#closers.keep(await asMember(member, identity, proxy, () => startDiscoveryService(options)));
    this.#members.push(discovery);
    this.#keepFresh(member, { identity, freshness }, discovery);
    this.#gauges.push(
      gauge('teleport_discovery_databases', 'Databases that the Discovery Service finds in AWS.', () =>
        discovery.found(),
      ),
      gauge('teleport_discovery_failing_searches', 'Searches that AWS did not answer in full the last time.', () =>
        discovery.failing(),
      ),
    );
    this.#log.info('Discovery Service is ready.', { discovery_group: group });
  }

  async #startDatabases(member: Membership, config: DatabaseConfig): Promise<void> {
    const { dataDir } = this.#config;
    const { vars } = member;
    const { proxy, identity, authRoute, freshness } = await this.#agent(member, 'Db');
    const { startDatabaseService } = await import('../db/server.js');
    const options: DatabaseServiceOptions = {
      identity,
      onHostAuthorities: (authorities) => freshness.heard(authorities),
      proxies: [proxy],
      authRoute,
      vars,
      databases: config.databases,
      resources: config.resources,
      aws: config.aws,
      dataDir,
      version: VERSION,
      log: this.#log.child('DB'),
      now: this.#now,
    };
    const db = this.#closers.keep(await asMember(member, identity, proxy, () => startDatabaseService(options)));
    this.#databases = db;
    this.#members.push(db);
    this.#keepFresh(member, { identity, freshness }, db);
    const sessions = () => db.sessions();
    this.#gauges.push(
      gauge('teleport_db_active_connections_total', 'Database connections that this agent serves.', sessions),
      gauge('teleport_db_databases', 'Databases that this agent offers.', () => db.databases().length),
      gauge(
        'teleport_db_audit_waiting_bytes',
        'Audit records that Auth does not have yet.',
        () => db.audit().waitingBytes,
      ),
      gauge(
        'teleport_db_audit_refused_records',
        'Audit records that Auth refused since the start.',
        () => db.audit().refusedRecords,
      ),
      gauge('teleport_db_audit_failing', '1 while audit records cannot be written.', () =>
        Number(db.audit().isFailing),
      ),
    );
    const isUp = this.#readyWith(db);
    // A Proxy elsewhere may come later; our own is there.
    if (this.proxy) await isUp;
    else void isUp.catch(() => {});
  }

  async #readyWith(db: DatabaseService): Promise<void> {
    await db.ready();
    this.#log.info('Database Service is ready.', { databases: db.databases().length });
    this.#becomeReady();
  }
}

function noAuthServer(): TeleportError {
  return new TeleportError('BadParameter', 'config: a Proxy without an Auth Service beside it requires auth_server', {
    hint: 'Set "auth_server: HOST:3025" in the section "teleport", or pass --auth-server=HOST:3025.',
  });
}

function gauge(name: string, help: string, value: () => number): () => Metric {
  return () => ({ name, type: 'gauge', help, value: value() });
}
