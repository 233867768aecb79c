/**
 * `teleport start`: Auth, Proxy and Database Service in one process or any of them. They meet only over the network, also
 * here, so that they can move apart. A first SIGTERM, SIGQUIT or SIGINT drains and stops, and what is still open then hears
 * why it ends; a second one ends at once. SIGHUP reads the web certificate again, SIGUSR1 writes the state of the process to
 * the log.
 *
 * Source: cli.md 7.1.
 */
import { hostname } from 'node:os';
import type { AuthRoute } from '../api/host-identity.js';
import type { AuthService } from '../auth/service.js';
import type { Env } from '../cli/env.js';
import type { DatabaseServiceOptions } from '../db/server.js';
import { messageOf, TeleportError } from '../errors.js';
import { createLogger, type Logger } from '../log.js';
import type { HostPort } from '../net/host-port.js';
import { joinHostPort } from '../net/socket-errors.js';
import type { ProxyOptions } from '../proxy/service.js';
import { hostId } from '../store/state-files.js';
import { startCertificateReload } from './certificate-reload.js';
import { readConfigFile, type StartFlags, type TeleportConfig, teleportConfig } from './config.js';
import { lockDataDir } from './data-dir-lock.js';
import { type Metric, processMetrics, processState, type Readiness, startDiagnostics } from './diagnostics.js';
import { closeDataDir, prepareDataDir, readKeypair, removePid, webCertificate, writePid } from './host-files.js';
import { type LogOutput, openLogOutput } from './log-output.js';
import { asMember, identityFor, type Membership } from './membership.js';
import { VERSION } from './version-number.js';

/** How long running sessions may go on after a first SIGTERM. */
const DRAIN_MS = 5_000;

export async function run(env: Env, flags: StartFlags): Promise<number> {
  const { file, raw } = readConfigFile(flags.config);
  const config = teleportConfig(flags, file, raw);
  const output = openLogOutput(config.log.output, env);
  try {
    const { level, format } = config.log;
    return await serve(env, config, output, createLogger({ component: 'PROC', level, format, write: output.write }));
  } finally {
    output.close();
  }
}

async function serve(env: Env, config: TeleportConfig, output: LogOutput, log: Logger): Promise<number> {
  let running: RunningTeleport | undefined;
  let reloadAsked = false;
  // From before the start until after the end: a reload that comes early must not stop the program.
  using _hangup = env.onSignal('SIGHUP', () => {
    try {
      output.reopen();
    } catch (error) {
      log.warn('Cannot open the log again, keeping the old file.', { error: messageOf(error) });
    }
    log.info('Reading certificates again.');
    reloadAsked = true;
    void running?.reload();
  });
  using _state = env.onSignal('SIGUSR1', () => {
    const sessions = running?.sessions() ?? 0;
    log.info('Got signal SIGUSR1, logging diagnostic info.', { sessions, ...processState() });
  });
  using _upgrade = env.onSignal('SIGUSR2', () => {
    log.warn('Got signal SIGUSR2, and this program does not replace itself while it runs. Restart it instead.');
  });
  await using started = await startTeleport(config, { log, now: env.now });
  running = started;
  if (reloadAsked) void started.reload();
  if (config.pidFile) await writePid(config.pidFile, process.pid, log);
  await new Promise<void>((resolve) => {
    if (env.signal.aborted) resolve();
    else env.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  log.info('Stopping.', { sessions: started.sessions() });
  if (config.pidFile) await removePid(config.pidFile, log);
  return 0;
}

export interface RunningTeleport extends AsyncDisposable {
  auth?: HostPort;
  proxy?: HostPort;
  /** Where /healthz, /readyz and /metrics are. */
  diag?: HostPort;
  sessions(): number;
  /** Read the web certificate again, where it comes from files of the configuration. Never rejects. */
  reload(): Promise<void>;
  close(options?: { drainMs?: number }): Promise<void>;
}

/** Start what the configuration asks for; everything is up when this returns. Used by `start`, the tests and the demo. */
export async function startTeleport(
  config: TeleportConfig,
  { log, now = () => new Date() }: { log: Logger; now?: () => Date },
): Promise<RunningTeleport> {
  await prepareDataDir(config.dataDir);
  const lock = await lockDataDir(config.dataDir, { log, now });
  log.info(config.file ? 'Starting Teleport with a config file' : 'Starting Teleport', {
    version: VERSION,
    ...(config.file ? { config_file: config.file } : {}),
  });
  for (const service of config.ignored) log.warn('This program does not have this service, ignoring it.', { service });
  for (const key of config.unused) log.warn('This setting has no effect in this program.', { setting: key });

  const stack = new AsyncDisposableStackOf();
  stack.push(lock);
  let readiness: Readiness = 'starting';
  const gauges: (() => Metric)[] = [];
  const becomeReady = () => {
    if (readiness === 'starting') readiness = 'ok';
  };
  const running: RunningTeleport = {
    sessions: () => 0,
    reload: async () => {},
    close({ drainMs = DRAIN_MS } = {}) {
      readiness = 'draining';
      return stack.close(drainMs);
    },
    [Symbol.asyncDispose]: () => running.close(),
  };
  try {
    await closeDataDir(config.dataDir);
    const id = await hostId(config.dataDir);
    // First, so that it answers while the others start and while they drain.
    if (config.diagAddr) {
      const diagnostics = await startDiagnostics({
        ...config.diagAddr,
        readiness: () => readiness,
        metrics: () => [...processMetrics(VERSION), ...gauges.map((read) => read())],
      });
      stack.push(diagnostics);
      running.diag = diagnostics.address;
      log.info('Diagnostics are served.', { addr: joinHostPort(diagnostics.address.host, diagnostics.address.port) });
    }
    let auth: AuthService | undefined;
    if (config.auth) {
      const { startAuth } = await import('../auth/service.js');
      auth = await startAuth({
        dataDir: config.dataDir,
        hostId: id,
        nodename: config.nodename,
        version: VERSION,
        log: log.child('AUTH'),
        now,
        ...config.auth,
      });
      stack.push(auth);
      running.auth = auth.address;
      log.info('Auth Service is listening.', {
        addr: `${auth.address.host}:${auth.address.port}`,
        cluster: auth.clusterName,
      });
    }
    const member: Membership = { config, auth, hostId: id, now };
    let proxyAt: HostPort | undefined = config.proxyServer;
    if (config.proxy) {
      const { startProxy } = await import('../proxy/service.js');
      const { publicAddr, keypairs, reloadIntervalMs } = config.proxy;
      const publicHosts = publicAddr.map((addr) => addr.replace(/:\d+$/, ''));
      const names = ['localhost', '127.0.0.1', '::1', config.nodename, hostname(), ...publicHosts];
      const authAt = auth?.address ?? config.authServer;
      if (authAt === undefined) {
        throw new TeleportError(
          'BadParameter',
          'config: a Proxy without an Auth Service beside it requires auth_server',
          {
            hint: 'Set "auth_server: HOST:3025" in the section "teleport", or pass --auth-server=HOST:3025.',
          },
        );
      }
      const identity = await identityFor(member, 'Proxy', [...new Set(names)]);
      const webCert = keypairs[0]
        ? await readKeypair(keypairs[0])
        : await webCertificate(config.dataDir, [...new Set(names)], now());
      const options: ProxyOptions = {
        identity,
        auth: authAt,
        listen: config.proxy.listen,
        publicAddr,
        webCert,
        clusterName: identity.clusterName,
        proxyProtocol: config.proxy.proxyProtocol,
        version: VERSION,
        log: log.child('PROXY'),
        now,
      };
      const proxy = await asMember(member, identity, authAt, () => startProxy(options));
      stack.push(proxy);
      proxyAt = { host: connectable(proxy.address.host), port: proxy.address.port };
      running.proxy = proxyAt;
      gauges.push(
        gauge(
          'teleport_reverse_tunnels_connected',
          'Agents that have dialled in to this Proxy.',
          () => proxy.agents().length,
        ),
        gauge('teleport_proxy_db_active_connections_total', 'Database connections open at this Proxy.', proxy.sessions),
      );
      if (keypairs[0]) {
        const files = keypairs[0];
        const certificate = startCertificateReload({
          shown: webCert,
          read: () => readKeypair(files),
          apply: proxy.setWebCertificate,
          intervalMs: reloadIntervalMs,
          log: log.child('PROXY'),
        });
        stack.push(certificate);
        running.reload = certificate.reload;
      }
      log.info('Proxy Service is listening.', {
        addr: `${proxy.address.host}:${proxy.address.port}`,
        public_addr: proxy.publicAddr,
      });
    }
    if (config.db) {
      // Agents speak to a Proxy; an --auth-server that is one serves as well.
      const proxy = proxyAt ?? config.authServer!;
      const identity = await identityFor(member, 'Db', [config.nodename]);
      const route: AuthRoute = auth ? { kind: 'direct', ...auth.address } : { kind: 'proxy', ...proxy };
      const { startDatabaseService } = await import('../db/server.js');
      const options: DatabaseServiceOptions = {
        identity,
        proxies: [proxy],
        authRoute: route,
        databases: config.db.databases,
        resources: config.db.resources,
        aws: config.db.aws,
        dataDir: config.dataDir,
        version: VERSION,
        log: log.child('DB'),
        now,
      };
      const db = await asMember(member, identity, proxy, () => startDatabaseService(options));
      stack.push(db);
      running.sessions = db.sessions;
      gauges.push(
        gauge('teleport_db_active_connections_total', 'Database connections that this agent serves.', db.sessions),
        gauge('teleport_db_databases', 'Databases that this agent offers.', () => db.databases().length),
      );
      const isUp = db.ready().then(() => log.info('Database Service is ready.', { databases: db.databases().length }));
      // A Proxy elsewhere may come later; our own is there.
      if (config.proxy) await isUp;
      else {
        void isUp.then(becomeReady, () => {});
        return running;
      }
    }
    becomeReady();
    return running;
  } catch (error) {
    await stack.close(0);
    throw error;
  }
}

/** An address to dial for a socket that listens everywhere. */
function connectable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

function gauge(name: string, help: string, value: () => number): () => Metric {
  return () => ({ name, type: 'gauge', help, value: value() });
}

interface Closable {
  close(options?: { drainMs?: number }): Promise<void>;
}

/** What was started, closed in reverse order; every one is given the chance, the first failure is told. */
class AsyncDisposableStackOf {
  readonly #items: Closable[] = [];
  #closed: Promise<void> | undefined;

  push(item: Closable): void {
    this.#items.push(item);
  }

  close(drainMs: number): Promise<void> {
    this.#closed ??= this.#close(drainMs);
    return this.#closed;
  }

  async #close(drainMs: number): Promise<void> {
    const failures: unknown[] = [];
    for (const item of this.#items.reverse())
      await item.close({ drainMs }).catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
