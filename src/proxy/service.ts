/**
 * The Proxy Service: one port for everybody. Opens the connection to Auth, the tunnels, the web API and the router, and
 * closes them in the reverse order.
 *
 *     TCP ─ first bytes ─┬─ TLS ─ ClientHello ─┬─ teleport-auth@… ────────── raw to Auth
 *                        │                     ├─ http/1.1, h2 or none ───── web API and pages
 *                        │                     ├─ teleport-postgres(-ping) ─ PostgreSQL ─ tunnel ─ agent
 *                        │                     ├─ teleport-proxy-(ssh-)grpc  gRPC
 *                        │                     └─ teleshift-tunnel ───────── an agent dialled in
 *                        └─ PostgreSQL ───────────────────────────────────── PostgreSQL ─ tunnel ─ agent
 */

import { setMaxListeners } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { dialAuth } from '../api/dial.js';
import { type AuthPreferenceSpecV2, AuthPreferenceSpecV2Schema } from '../api/gen/types_pb.js';
import type { HostIdentity } from '../api/host-identity.js';
import { createAuthHttp2Server } from '../api/server.js';
import { messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { withDeadline } from '../net/deadline.js';
import { listen } from '../net/listen.js';
import type { Endpoint } from '../net/proxy-protocol.js';
import { joinHostPort } from '../net/socket-errors.js';
import { shutdownEnd } from '../pg/sqlstate.js';
import type { TunnelHello } from '../tunnel/protocol.js';
import { createTunnelRegistry } from '../tunnel/registry.js';
import { createUpstream } from './auth-server.js';
import { watchAuthorities } from './authorities.js';
import { joinRoutes, transportRoutes } from './grpc.js';
import { type Peer, verifyPeer } from './peer.js';
import { type PostgresConnection, servePostgres } from './postgres.js';
import { type Arrival, createRouter } from './router.js';
import { createTerminators } from './terminators.js';
import { createWebServer, type WebServerOptions } from './web.js';

/** Most open connections of clients and agents together; what comes above it is closed unread. Ours. */
const MAX_CONNECTIONS = 20_000;

/** How long database clients may take over their last words. */
const FAREWELL_TIMEOUT_MS = 6_000;

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
  /** `host:port` for people; the first one is announced. */
  publicAddr?: readonly string[];
  webCert: WebCertificate;
  clusterName: string;
  version: string;
  log: Logger;
  /** Believe PROXY headers on our own port. Default false. */
  proxyProtocol?: boolean;
  now?: () => Date;
  /** Default of `close`. 5 s. */
  drainTimeoutMs?: number;
  /** Repeat of the announcement to Auth, which forgets a Proxy after 10 minutes. Default 3 min. */
  announceMs?: number;
  /** How long Auth's answer about settings is good. Default 3 s. */
  settingsTtlMs?: number;
  rateLimits?: WebServerOptions['rateLimits'];
}

export interface ProxyService extends AsyncDisposable {
  readonly address: { host: string; port: number };
  /** What people type: the first public address, or where we listen. */
  readonly publicAddr: string;
  /** Agents that have dialled in. */
  agents(): TunnelHello[];
  /** Resolves at the next change of `agents()`. */
  agentsChanged(): Promise<void>;
  /** Database connections now open. */
  sessions(): number;
  /** Show another web certificate from the next handshake on. */
  setWebCertificate(certificate: WebCertificate): void;
  /** Stop listening, ask agents and clients to go, cut what is left after `drainMs`. */
  close(options?: { drainMs?: number }): Promise<void>;
}

/** @throws TeleportError when Auth cannot be reached or the port is taken */
export async function startProxy(options: ProxyOptions): Promise<ProxyService> {
  const { identity, clusterName, version, log, now = () => new Date(), publicAddr = [] } = options;
  const auth = await dialAuth({ kind: 'direct', ...options.auth }, identity, { version, product: 'teleport' });
  const closers: (() => void | Promise<void>)[] = [() => auth.close()];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const terminators = createTerminators({ identity, webCert: options.webCert });
    closers.push(() => terminators.close());
    const authorities = await watchAuthorities({
      auth,
      hostCaPems: identity.hostCaPems,
      log,
      onChange: terminators.setAuthorities,
    });
    closers.push(() => authorities.close());

    const verify = async (certificateDer: Buffer, by: 'user' | 'host' | 'any'): Promise<Peer> => {
      const check = (): Peer => {
        const { userCaPems, hostCaPems } = authorities;
        const cas = by === 'user' ? userCaPems : by === 'host' ? hostCaPems : [...userCaPems, ...hostCaPems];
        return verifyPeer(certificateDer, cas, now());
      };
      try {
        return check();
      } catch (error) {
        if (await authorities.refresh()) return check();
        throw error;
      }
    };

    const tunnels = createTunnelRegistry({ clusterName, log: log.child('TUNNEL') });
    const upstream = createUpstream(options.auth);
    const transport = createAuthHttp2Server({ routes: transportRoutes({ clusterName, upstream }), version, log });
    const join = createAuthHttp2Server({ routes: joinRoutes(auth), version, log });
    closers.push(
      () => transport.close({ graceMs: 0 }),
      () => join.close({ graceMs: 0 }),
    );

    const settings = { clusterName, version, listenAddr: '', publicAddr: publicAddr[0] };
    const web = createWebServer({
      settings,
      gateway: auth.proxyGateway,
      join: auth.join,
      preference: cachedPreference(auth, options.settingsTtlMs ?? 3_000, log),
      onUpgrade: (connection, client) => attend(router.routeUpgraded(connection, client), connection, client),
      log,
      ...(options.rateLimits ? { rateLimits: options.rateLimits } : {}),
    });
    closers.push(() => web.close());

    const attend = (served: Promise<void>, connection: { destroy(): unknown }, client: Endpoint): void => {
      served.catch((error: unknown) => {
        log.debug('A connection was refused.', { from: client.address, error: messageOf(error) });
        connection.destroy();
      });
    };
    const ending = new AbortController();
    setMaxListeners(0, ending.signal); // one a client
    const databaseClients = new Set<Promise<void>>();
    const postgres = {
      tunnels,
      clusterName,
      startTls: (below: Parameters<typeof terminators.inner.accept>[0]) => terminators.inner.accept(below),
      verify: (certificateDer: Buffer) => verify(certificateDer, 'user'),
      ending: ending.signal,
      log: log.child('DB'),
    };
    const serveClient = (connection: PostgresConnection): Promise<void> => {
      const served = servePostgres(connection, postgres).finally(() => databaseClients.delete(served));
      databaseClients.add(served);
      return served;
    };
    const grpc = (server: typeof transport) => (arrival: Arrival) => {
      const { client, peer, stream } = arrival;
      if (peer && peer.usages.length > 0)
        throw new TeleportError('AccessDenied', 'access denied: invalid client certificate');
      server.accept(stream, { remoteAddr: joinHostPort(client.address, client.port) });
    };
    const router = createRouter({
      clusterName,
      upstream,
      terminator: terminators.of,
      verify,
      proxyProtocol: options.proxyProtocol ?? false,
      serveDirect: (stream, { address, port }) => serveClient({ stream, isDirect: true, address, port }),
      serve: {
        web: ({ stream, client, isHttp2 }) => web.accept(stream, client, { isHttp2 }),
        postgres: ({ stream, client: { address, port }, peer, refusal }) =>
          serveClient({ stream, peer, refusal, isDirect: false, address, port }),
        transport: grpc(transport),
        join: grpc(join),
        tunnel: ({ stream, peer }) => tunnels.accept(stream, { hostId: agentHostId(peer!, clusterName) }),
      },
    });

    const listener = await listen({
      ...options.listen,
      mostConnections: MAX_CONNECTIONS,
      onConnection: (socket) => {
        const client = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
        attend(router.route(socket, client), socket, client);
      },
    });
    closers.push(() => listener.close());
    const address = { host: options.listen.host, port: listener.port };
    settings.listenAddr = joinHostPort(address.host, address.port);
    const publicName = publicAddr[0] ?? settings.listenAddr;
    const announce = (): Promise<unknown> =>
      auth.proxyGateway
        .registerProxy({ hostId: identity.hostId, hostname: identity.nodename, publicAddr: publicName })
        .catch((error: unknown) => log.warn('Cannot announce this Proxy.', { error: messageOf(error) }));
    await announce();
    const timer = setInterval(() => void announce(), options.announceMs ?? 180_000);
    timer.unref();

    let closing: Promise<void> | undefined;
    const close = async (drainMs: number): Promise<void> => {
      clearInterval(timer);
      // Nobody new; those that are there are cut below, once they have heard why.
      const listening = listener.close({ drainMs: drainMs + 2 * FAREWELL_TIMEOUT_MS });
      await tunnels.drain(drainMs);
      ending.abort(shutdownEnd('The Proxy Service is stopping. Connect again when it is back.'));
      await withDeadline(Promise.all(databaseClients), FAREWELL_TIMEOUT_MS, 'clients').catch(() => {});
      await tunnels.close();
      // Connections that wait for nothing but us: idle web clients, gRPC streams.
      web.close();
      await Promise.all([transport.close({ graceMs: 0 }), join.close({ graceMs: 0 })]);
      for (const socket of listener.connections) socket.destroy();
      await listening;
      await stop();
    };
    const service: ProxyService = {
      address,
      publicAddr: publicName,
      agents: tunnels.agents,
      agentsChanged: tunnels.changed,
      sessions: tunnels.streams,
      setWebCertificate: (certificate) => terminators.setWebCertificate(certificate),
      close({ drainMs = options.drainTimeoutMs ?? 5_000 } = {}) {
        closing ??= close(drainMs);
        return closing;
      },
      [Symbol.asyncDispose]: () => service.close(),
    };
    return service;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @throws TeleportError `AccessDenied` for any host that is no Database Service of this cluster */
function agentHostId({ organizations, commonName }: Peer, clusterName: string): string {
  const suffix = `.${clusterName}`;
  if (!organizations.includes('Db') || !commonName.endsWith(suffix)) {
    throw new TeleportError('AccessDenied', 'only a Database Service of this cluster may open a tunnel');
  }
  return commonName.slice(0, -suffix.length);
}

/** Auth's settings, asked at most once in `ttlMs`; the last answer stands in while Auth is away. */
function cachedPreference(
  auth: Awaited<ReturnType<typeof dialAuth>>,
  ttlMs: number,
  log: Logger,
): () => Promise<AuthPreferenceSpecV2> {
  let known: AuthPreferenceSpecV2 | undefined;
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<AuthPreferenceSpecV2> | undefined;
  const ask = async (): Promise<AuthPreferenceSpecV2> => {
    try {
      const { spec } = await auth.auth.getAuthPreference({});
      known = spec ?? create(AuthPreferenceSpecV2Schema);
    } catch (error) {
      if (!known) throw error;
      log.warn('Cannot read the settings of the cluster.', { error: messageOf(error) });
    }
    askedAt = performance.now();
    return known;
  };
  return () => {
    if (known && performance.now() - askedAt < ttlMs) return Promise.resolve(known);
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  };
}
