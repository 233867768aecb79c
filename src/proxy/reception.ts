/**
 * What stands behind the port of a Proxy: finds out what a connection wants, and leads it to the tunnels, the database
 * clients, the web API or the gRPC services. The picture is in `service.ts`.
 */
import type { Duplex } from 'node:stream';
import type { AuthClient } from '../api/client.js';
import { type AuthHttp2Server, createAuthHttp2Server } from '../api/server.js';
import { messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { type Bearer, checkUsage } from '../identity/bearer.js';
import { hostIdIn, isBound } from '../identity/host.js';
import type { Logger } from '../log.js';
import { Crowd, type CrowdOptions } from '../net/crowd.js';
import { cutAfter } from '../net/hang-up.js';
import type { SocketEndpoint } from '../net/proxy-protocol.js';
import { type RightsWatch, standingOf } from '../rights/rights-watch.js';
import { type TunnelHost, TunnelRegistry } from '../tunnel/registry.js';
import { atMoment } from '../wait.js';
import type { Upstream } from './auth-server.js';
import { believes, type TrustedAuthorities, verifier } from './authorities.js';
import { BoundAgents } from './bound-agents.js';
import type { Challenges } from './challenges.js';
import { DatabaseClients } from './database-clients.js';
import { joinRoutes, type TransportOptions, transportRoutes } from './grpc.js';
import { Leafs } from './leafs.js';
import { cachedSettings } from './preference.js';
import { type Arrival, createRouter, type Router, type RouterOptions } from './router.js';
import type { Terminators } from './terminators.js';
import { WebServer, type WebServerOptions } from './web.js';

export interface ReceptionOptions {
  auth: AuthClient;
  /** A connection of its own for the calls that strangers cause: when they take all that it can carry, ours go on. */
  forVisitors: Pick<AuthClient, 'proxyGateway' | 'join'>;
  /** Raw connections to Auth. */
  upstream: Upstream;
  rights: RightsWatch;
  challenges: Challenges;
  terminators: Terminators;
  authorities: TrustedAuthorities;
  settings: WebServerOptions['settings'];
  clusterName: string;
  version: string;
  proxyHeadersFrom: readonly string[];
  settingsTtlMs: number;
  rateLimits?: WebServerOptions['rateLimits'];
  crowd?: Omit<CrowdOptions, 'log'> | undefined;
  now: () => Date;
  log: Logger;
}

/** After the sessions that are in it (`postgres.ts`). */
const TUNNEL_CUT_MS = 700;
/** For the answers of calls and requests under way. */
const CALLS_CUT_MS = 300;

export class Reception {
  readonly tunnels: TunnelRegistry;
  /** All connections of this Proxy that somebody else began. */
  readonly crowd: Crowd;
  readonly #clients: DatabaseClients;
  readonly #transport: AuthHttp2Server;
  readonly #join: AuthHttp2Server;
  readonly #web: WebServer;
  readonly #router: Router;
  readonly #rights: RightsWatch;
  readonly #authorities: TrustedAuthorities;
  readonly #bound: BoundAgents;
  readonly #leafs: Leafs;
  readonly #now: () => Date;
  readonly #clusterName: string;
  readonly #log: Logger;
  #closing: Promise<void> | undefined;

  constructor(options: ReceptionOptions) {
    const { auth, forVisitors, upstream, terminators, settings, rateLimits, clusterName, version, now, log } = options;
    const { authorities } = options;
    const verify = verifier(authorities, { clusterName, now });
    const gateway = auth.proxyGateway;
    this.#leafs = new Leafs({ authorities, report: (online) => gateway.reportLeafs({ online }), log });
    this.#rights = options.rights;
    this.#authorities = options.authorities;
    this.#now = now;
    this.#clusterName = clusterName;
    this.#log = log;
    this.crowd = new Crowd({ log, ...options.crowd });
    this.#bound = new BoundAgents(auth);
    this.tunnels = new TunnelRegistry({ clusterName, log: log.child('TUNNEL') });
    this.#clients = new DatabaseClients({
      tunnels: this.tunnels,
      openLeaf: async ({ identity, certificateDer }, clientAddr) => {
        // Nobody over there knows: what runs is ended here, and what was ended does not begin.
        const { ended, isStrict } = await standingOf(auth, identity);
        if (ended !== undefined) throw new TeleportError('AccessDenied', `access denied: ${ended}`);
        const stream = await this.#leafs.openDatabase(identity.routeToCluster, { certificateDer, clientAddr });
        return { stream, isStrict };
      },
      isLeaf: (cluster) => this.#leafs.isLeaf(cluster),
      rights: options.rights,
      clusterName,
      startTls: (below) => terminators.inner.accept(below),
      verify: (certificateDer) => verify(certificateDer, 'user'),
      believes: (peer) => believes(options.authorities, peer),
      log: log.child('DB'),
    });
    const dialAuth: TransportOptions['dialAuth'] = async (cluster, client, from) =>
      cluster === clusterName ? await upstream.dial(client) : await this.#leafs.openAuth(cluster, client, from);
    this.#transport = createAuthHttp2Server({ routes: transportRoutes({ clusterName, dialAuth }), version, log });
    this.#join = createAuthHttp2Server({ routes: joinRoutes(forVisitors), version, log });
    this.#web = new WebServer({
      settings,
      gateway: forVisitors.proxyGateway,
      join: forVisitors.join,
      cluster: cachedSettings(auth, options.settingsTtlMs, log),
      onUpgrade: (inner, client, guest) =>
        this.#attend(this.#router.routeUpgraded(inner, client, guest), inner, client),
      log,
      ...(rateLimits ? { rateLimits } : {}),
    });
    this.#router = createRouter({
      clusterName,
      forward: async (cluster, connection, client) => {
        if (cluster === clusterName) return await upstream.forward(connection, client);
        const signal = abortedWith(connection);
        await upstream.join(connection, await this.#leafs.openAuth(cluster, client, { signal }));
      },
      challenge: (connection, name) => options.challenges.serve(connection, name),
      terminator: terminators.of,
      verify,
      proxyHeadersFrom: options.proxyHeadersFrom,
      serveDirect: (stream, { address, port }, guest) =>
        this.#clients.serve({ stream, isDirect: true, address, port, guest }),
      serve: this.#services(),
    });
  }

  /** Take a TCP connection over. */
  receive(connection: Duplex, client: SocketEndpoint, port: { onlyPostgres?: boolean } = {}): void {
    const guest = this.crowd.arrive(connection, client.address);
    if (guest) this.#attend(this.#router.route(connection, client, guest, port), connection, client);
    else connection.destroy();
  }

  /** Ask agents and clients to go, cut what is left after `drainMs`. */
  close({ drainMs }: { drainMs: number }): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    await Promise.all([this.tunnels.drain(drainMs), this.#leafs.drain(drainMs)]);
    await this.#clients.end();
    await Promise.all([this.tunnels.close(), this.#leafs.close()]);
    // Connections that wait for nothing but us: idle web clients, gRPC streams.
    this.#web.close();
    await Promise.all([this.#transport.close({ graceMs: 0 }), this.#join.close({ graceMs: 0 })]);
  }

  #attend(served: Promise<void>, connection: Duplex, client: SocketEndpoint): void {
    served.catch((error: unknown) => {
      this.#log.debug('A connection was refused.', { from: client.address, error: messageOf(error) });
      connection.destroy();
    });
  }

  #acceptTunnel(stream: Duplex, peer: Bearer): void {
    const { remote } = peer;
    if (remote !== undefined) {
      const hostId = leafHostId(peer, remote);
      // A session that is in it may outlive the certificate, and not the trust.
      const mayGoOn = () => this.#leafs.isLeaf(remote) && this.#leafs.isInUse(stream);
      this.#guard(stream, peer, { cutMs: TUNNEL_CUT_MS, mayGoOn });
      this.#leafs.accept(stream, remote, hostId);
      return;
    }
    const host = this.#agentOf(peer);
    // A session that is in it may outlive the certificate.
    this.#guard(stream, peer, { cutMs: TUNNEL_CUT_MS, mayGoOn: () => this.tunnels.hostOf(stream) !== undefined });
    this.tunnels.accept(stream, host);
  }

  #acceptGrpc(server: AuthHttp2Server, { client, guest, peer, stream }: Arrival): void {
    if (peer) {
      checkUsage(peer.identity, 'everything');
      this.#guard(stream, peer, { cutMs: CALLS_CUT_MS, mayGoOn: () => false });
    }
    const remoteAddr = joinHostPort(client.address, client.port);
    server.accept(stream, { bearer: peer, remoteAddr, busy: () => guest.busy() });
  }

  /**
   * A connection ends with the right of its bearer, after a while for last words, and with the certificate or its authority,
   * unless it may go on then.
   *
   * @throws TeleportError `AccessDenied` for one who is locked
   */
  #guard(stream: Duplex, peer: Bearer, { cutMs, mayGoOn }: { cutMs: number; mayGoOn: () => boolean }): void {
    const { identity, role, remote = this.#clusterName } = peer;
    const isBelieved = () => mayGoOn() || believes(this.#authorities, peer);
    const who = role ? { serverId: hostIdIn(identity.username, remote) } : { identity };
    const holder = { ...who, isBelieved };
    const refusal = this.#rights.refusal(holder);
    if (refusal !== undefined) throw new TeleportError('AccessDenied', `access denied: ${refusal}`);
    const watched = this.#rights.during(holder, () => cutAfter(stream, cutMs));
    const forget = atMoment(identity.expires, this.#now, () => {
      if (!mayGoOn()) stream.destroy();
    });
    stream.once('close', () => {
      watched[Symbol.dispose]();
      forget();
    });
  }

  /** @throws TeleportError `AccessDenied` for any host that is not a Database Service of this cluster */
  #agentOf(peer: Bearer): TunnelHost {
    const hostId = agentHostId(peer, this.#clusterName);
    return isBound(peer.identity) ? { hostId, mayOffer: (name) => this.#bound.offers(hostId, name) } : { hostId };
  }

  /** Who serves what a connection asks for. */
  #services(): RouterOptions['serve'] {
    return {
      web: ({ stream, client, guest, peer, isHttp2 }) => {
        if (peer) this.#guard(stream, peer, { cutMs: CALLS_CUT_MS, mayGoOn: () => false });
        this.#web.accept(stream, { client, guest }, { isHttp2 });
      },
      postgres: ({ stream, client: { address, port }, guest, peer, refusal }) =>
        this.#clients.serve({ stream, peer, refusal, isDirect: false, address, port, guest }),
      transport: (arrival) => this.#acceptGrpc(this.#transport, arrival),
      join: (arrival) => this.#acceptGrpc(this.#join, arrival),
      tunnel: ({ stream, peer }) => this.#acceptTunnel(stream, peer!),
    };
  }
}

/** Aborted when the connection is closed. */
function abortedWith(connection: Duplex): AbortSignal {
  const closed = new AbortController();
  if (connection.destroyed) closed.abort();
  else connection.once('close', () => closed.abort());
  return closed.signal;
}

/** @throws TeleportError `AccessDenied` for any host of a leaf that is not a Proxy */
function leafHostId({ identity, role }: Bearer, cluster: string): string {
  const hostId = role === 'Proxy' ? hostIdIn(identity.username, cluster) : undefined;
  if (hostId !== undefined) return hostId;
  throw new TeleportError('AccessDenied', 'only a Proxy Service of a leaf cluster may open a tunnel');
}

/** @throws TeleportError `AccessDenied` for any host that is not a Database Service of this cluster */
function agentHostId({ identity, role }: Bearer, clusterName: string): string {
  const hostId = role === 'Db' ? hostIdIn(identity.username, clusterName) : undefined;
  if (hostId !== undefined) return hostId;
  throw new TeleportError('AccessDenied', 'only a Database Service of this cluster may open a tunnel');
}
