/**
 * The Proxy Service: one port for everybody. Opens the connection to Auth, the tunnels, the web API and the router, and
 * closes them in the reverse order.
 *
 *     TCP ─ first bytes ─┬─ TLS ─ ClientHello ─┬─ teleport-auth@… ────────── raw to Auth
 *                        │                     ├─ acme-tls/1 alone ───────── an ACME authority asks
 *                        │                     ├─ http/1.1, h2 or none ───── web API and pages
 *                        │                     ├─ teleport-postgres(-ping) ─ PostgreSQL ─ tunnel ─ agent
 *                        │                     ├─ teleport-proxy-(ssh-)grpc  gRPC
 *                        │                     └─ teleshift-tunnel ───────── an agent dialled in
 *                        └─ PostgreSQL ───────────────────────────────────── PostgreSQL ─ tunnel ─ agent
 */

import type { HostAuthorities } from '../api/authority-watch.js';
import type { AuthClient } from '../api/client.js';
import { dialAuth, openAuth } from '../api/dial.js';
import { type HostIdentity, takeOver } from '../api/host-identity.js';
import { renewHostIdentity } from '../api/host-renewal.js';
import { type Closable, Closers } from '../closers.js';
import { messageOf } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import type { Logger } from '../log.js';
import { type Listener, listen } from '../net/listen.js';
import { askAboutUser, type RightsWatch, watchRights } from '../rights/rights-watch.js';
import type { TunnelHello } from '../tunnel/protocol.js';
import { createUpstream, type Upstream } from './auth-server.js';
import { type TrustedAuthorities, watchAuthorities } from './authorities.js';
import { Challenges } from './challenges.js';
import { FAREWELL_TIMEOUT_MS } from './database-clients.js';
import { Reception, type ReceptionOptions } from './reception.js';
import { RootVisitors } from './root-visitors.js';
import { RootTunnels } from './roots.js';
import { createTerminators, type Terminators } from './terminators.js';
import type { WebServerOptions } from './web.js';

export interface WebCertificate {
  /** Leaf first. */
  certPem: string;
  keyPem: string;
}

export interface ProxyOptions {
  /** Role Proxy. */
  identity: HostIdentity;
  /** Auth's listener. */
  auth: { host: string; port: number };
  listen: { host: string; port: number };
  /** A second port, for PostgreSQL alone. */
  postgresListen?: { host: string; port: number } | undefined;
  /** `host:port` of it for people; the first one is announced. */
  postgresPublicAddr?: readonly string[];
  /** `host:port` for people; the first one is announced. */
  publicAddr?: readonly string[];
  webCert: WebCertificate;
  clusterName: string;
  version: string;
  log: Logger;
  /** Addresses and networks of load balancers whose PROXY headers are believed on our own port. Default: none. */
  proxyHeadersFrom?: readonly string[];
  now?: () => Date;
  /** Default of `close`. 5 s. */
  drainTimeoutMs?: number;
  /** Repeat of the announcement to Auth, which forgets a Proxy after 10 minutes. Default 3 min. */
  announceMs?: number;
  /** How long Auth's answer about settings is good. Default 3 s. */
  settingsTtlMs?: number;
  rateLimits?: WebServerOptions['rateLimits'];
  /** Called for what Auth says of the authority of hosts. */
  onHostAuthorities?: (authorities: HostAuthorities) => void;
  /** How many connections each class may have. */
  crowd?: ReceptionOptions['crowd'];
}

/** @throws TeleportError when Auth cannot be reached or the port is taken */
export async function startProxy(options: ProxyOptions): Promise<ProxyService> {
  const { identity, clusterName, version, log, now = () => new Date() } = options;
  const closers = new Closers();
  try {
    const route = { kind: 'direct', ...options.auth } as const;
    const auth = closers.keep(await dialAuth(route, identity, { version, product: 'teleport' }));
    const forVisitors = closers.keep(openAuth(route, identity, { version, product: 'teleport' }));
    const terminators = closers.keep(createTerminators({ identity, webCert: options.webCert }));
    const rights = closers.keep(followRights(auth, options));
    const news: { roots?: RootTunnels } = {};
    const authorities = closers.keep(
      await watchAuthorities({
        auth,
        clusterName,
        hostCaPems: identity.hostCaPems,
        log,
        onChange: ({ userCas, hostCas, remotes }) => {
          terminators.setAuthorities(userCas, [...hostCas, ...remotes.flatMap((remote) => remote.hostCas)]);
          rights.look();
        },
        onNews: () => void news.roots?.settle(),
        onHosts: options.onHostAuthorities,
      }),
    );
    const settings = settingsOf(options);
    const upstream = createUpstream({ ...options.auth, identity: () => identity, now });
    const challenges = new Challenges();
    const reception = closers.keep(
      new Reception({
        challenges,
        auth,
        forVisitors,
        upstream,
        rights,
        terminators,
        authorities,
        settings,
        clusterName,
        version,
        proxyHeadersFrom: options.proxyHeadersFrom ?? [],
        settingsTtlMs: options.settingsTtlMs ?? 3_000,
        rateLimits: options.rateLimits,
        crowd: options.crowd,
        now,
        log,
      }),
    );
    const roots = closers.keep(rootTunnels(options, { auth, authorities, reception, rights, upstream }));
    news.roots = roots;
    await roots.settle();
    const listener = await listen({
      ...options.listen,
      onConnection: (socket) => {
        reception.receive(socket, { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
      },
    });
    const address = { host: options.listen.host, port: listener.port };
    settings.listenAddr = joinHostPort(address.host, address.port);
    settings.postgresAddr = settings.listenAddr;
    const postgres = options.postgresListen && (await listenForPostgres(options.postgresListen, reception, listener));
    if (postgres) settings.postgresAddr = joinHostPort(options.postgresListen!.host, postgres.port);
    const proxy = new ProxyService(options, {
      address,
      auth,
      forVisitors,
      terminators,
      challenges,
      reception,
      rights,
      roots,
      listeners: postgres ? [listener, postgres] : [listener],
      closers,
    });
    await proxy.announce();
    return proxy;
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** The second port. When it cannot be had, the first one is given back. */
async function listenForPostgres(
  at: { host: string; port: number },
  reception: Reception,
  first: Listener,
): Promise<Listener> {
  try {
    return await listen({
      ...at,
      onConnection: (socket) => {
        const client = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
        reception.receive(socket, client, { onlyPostgres: true });
      },
    });
  } catch (error) {
    await first.close({ drainMs: 0 });
    throw error;
  }
}

/** What the web API says of this Proxy; where it listens is filled in when that is known. */
function settingsOf({ clusterName, version, publicAddr = [], postgresPublicAddr }: ProxyOptions) {
  return {
    clusterName,
    version,
    listenAddr: '',
    publicAddr: publicAddr[0],
    postgresAddr: '',
    postgresPublicAddr: postgresPublicAddr?.[0],
  };
}

interface Surroundings {
  auth: AuthClient;
  authorities: TrustedAuthorities;
  reception: Reception;
  rights: RightsWatch;
  upstream: Upstream;
}

/** Tunnels to the roots of this cluster; none before the first `settle`. */
function rootTunnels(
  { identity, version, now = () => new Date(), log }: ProxyOptions,
  { auth, authorities, reception, rights, upstream }: Surroundings,
): RootTunnels {
  const { clusterName } = identity;
  const { tunnels, crowd } = reception;
  return new RootTunnels({
    identity,
    authorities,
    visitors: new RootVisitors({ clusterName, authorities, tunnels, rights, upstream, crowd, now, log }),
    list: async () => (await auth.proxyGateway.listRoots({})).roots,
    version,
    log,
  });
}

/** Locks and users as Auth says them. */
function followRights(
  auth: AuthClient,
  { identity, log, now = () => new Date() }: ProxyOptions,
): RightsWatch & Closable {
  const stop = new AbortController();
  const rights = watchRights({
    fetch: (signal) => auth.databaseAgent.watchLocks({ withUsers: true }, { signal, timeoutMs: 0 }),
    reconnect: auth.reconnect,
    ask: askAboutUser(auth),
    hostId: identity.hostId,
    now,
    log,
    signal: stop.signal,
  });
  return Object.assign(rights, {
    async close() {
      stop.abort();
      await rights.ended;
    },
  });
}

interface Opened {
  address: { host: string; port: number };
  auth: AuthClient;
  forVisitors: AuthClient;
  terminators: Terminators;
  challenges: Challenges;
  reception: Reception;
  rights: RightsWatch;
  roots: RootTunnels;
  listeners: Listener[];
  /** For all but the listeners. */
  closers: Closers;
}

export class ProxyService implements AsyncDisposable {
  readonly address: { host: string; port: number };
  /** What people type: the first public address, or where we listen. */
  readonly publicAddr: string;
  readonly #opened: Opened;
  readonly #identity: HostIdentity;
  readonly #drainTimeoutMs: number;
  readonly #log: Logger;
  readonly #announcing: NodeJS.Timeout;
  #closing: Promise<void> | undefined;

  constructor(options: ProxyOptions, opened: Opened) {
    this.address = opened.address;
    this.publicAddr = options.publicAddr?.[0] ?? joinHostPort(this.address.host, this.address.port);
    this.#opened = opened;
    this.#identity = options.identity;
    this.#drainTimeoutMs = options.drainTimeoutMs ?? 5_000;
    this.#log = options.log;
    this.#announcing = setInterval(() => void this.announce(), options.announceMs ?? 180_000).unref();
  }

  /** Say to Auth where this Proxy is; repeated by itself. Never rejects. */
  async announce(): Promise<void> {
    const { hostId, nodename: hostname } = this.#identity;
    try {
      await this.#opened.auth.proxyGateway.registerProxy({ hostId, hostname, publicAddr: this.publicAddr });
    } catch (error) {
      this.#log.warn('Cannot announce this Proxy.', { error: messageOf(error) });
    }
  }

  /** Agents that have dialled in. */
  agents(): TunnelHello[] {
    return this.#opened.reception.tunnels.agents();
  }

  /** Resolves at the next change of `agents()`. */
  agentsChanged(): Promise<void> {
    return this.#opened.reception.tunnels.changed();
  }

  /** Auth has said nothing for too long. */
  get isCutOff(): boolean {
    return this.#opened.rights.isCutOff;
  }

  /** Database connections now open. */
  sessions(): number {
    return this.#opened.reception.tunnels.streams();
  }

  /** What an ACME authority that asks about the name is shown; undefined: nothing any more. */
  answerChallenge(name: string, certificate: WebCertificate | undefined): void {
    this.#opened.challenges.answer(name, certificate);
  }

  /** Get the next host certificate, and show it from now on. @throws what Auth says */
  async renewIdentity(): Promise<void> {
    const { auth, forVisitors, terminators, roots } = this.#opened;
    takeOver(this.#identity, await renewHostIdentity(auth, this.#identity));
    terminators.setHostIdentity(this.#identity);
    auth.reconnect();
    forVisitors.reconnect();
    roots.redial();
  }

  /** Show another web certificate from the next handshake on. */
  setWebCertificate(certificate: WebCertificate): void {
    this.#opened.terminators.setWebCertificate(certificate);
  }

  /** Stop listening, ask agents and clients to go, cut what is left after `drainMs`. */
  close({ drainMs = this.#drainTimeoutMs }: { drainMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(drainMs: number): Promise<void> {
    const { listeners, reception, closers } = this.#opened;
    clearInterval(this.#announcing);
    // Nobody new; those that are there are cut below, once they have heard why.
    const drain = { drainMs: drainMs + 2 * FAREWELL_TIMEOUT_MS };
    const listening = Promise.all(listeners.map((listener) => listener.close(drain)));
    await reception.close({ drainMs });
    for (const { connections } of listeners) for (const socket of connections) socket.destroy();
    await listening;
    await closers.close();
  }
}
