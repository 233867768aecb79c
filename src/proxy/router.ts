/**
 * From an accepted connection to the service that it asks for: first bytes, ClientHello, TLS, client certificate.
 * Decisions are made in `alpn-route.ts`; this file does what was decided. Rules: auth-grpc-and-routing.md 1.1 to 1.3.
 */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { ALPN, PING_SUFFIX } from '../api/alpn.js';
import { knownAs } from '../api/known-as.js';
import { TeleportError } from '../errors.js';
import type { Bearer } from '../identity/bearer.js';
import { checkPinnedIp } from '../identity/pinned-ip.js';
import { addressList } from '../ip.js';
import type { Guest } from '../net/crowd.js';
import { peek, peekClientHello } from '../net/peek.js';
import { PING_INTERVAL_MS, PingStream } from '../net/ping-stream.js';
import { type SocketEndpoint, takeProxyHeader } from '../net/proxy-protocol.js';
import { presentedCertificate } from '../net/tls-server.js';
import { chooseRoute, classify, FIRST_BYTES, type Service } from './alpn-route.js';
import type { Verify } from './authorities.js';
import type { Terminator } from './terminator.js';

/** A connection with its TLS behind it. */
export interface Arrival {
  stream: Duplex;
  client: SocketEndpoint;
  /** Verified; undefined when none was shown. */
  peer: Bearer | undefined;
  /** What is wrong with the certificate that was shown; only PostgreSQL, which can tell its client, gets such a one. */
  refusal?: unknown;
  isHttp2: boolean;
  guest: Guest;
}

export interface RouterOptions {
  clusterName: string;
  /** Join a client with the Auth Service of a cluster. @throws TeleportError for a cluster that is not there */
  forward: (cluster: string, connection: Duplex, client: SocketEndpoint) => Promise<void>;
  /** Answer an ACME authority that asks about a name; undefined where none does. */
  challenge: (connection: Duplex, name: string) => Promise<void> | undefined;
  /** TLS for a service; inside an upgraded connection it shows the host certificate. */
  terminator: (service: Service, options: { isUpgraded: boolean }) => Terminator;
  /** Verifies against the User or the Host CA. @throws TeleportError `AccessDenied` */
  verify: Verify;
  serve: Record<Exclude<Service, 'reverse-tunnel'>, (arrival: Arrival) => void | Promise<void>>;
  /** Plain TCP that begins as PostgreSQL does. */
  serveDirect: (stream: Duplex, client: SocketEndpoint, guest: Guest) => void | Promise<void>;
  /** Addresses and networks from which a PROXY header in front of a connection is believed. */
  proxyHeadersFrom: readonly string[];
  /** Default 10 s. */
  firstBytesTimeoutMs?: number;
  /** Default 15 s. */
  helloTimeoutMs?: number;
}

export interface Router {
  /** Take a TCP connection. Rejects with the reason when it is refused; the caller destroys it then. */
  route(
    connection: Duplex,
    client: SocketEndpoint,
    guest: Guest,
    /** The port for PostgreSQL alone. */
    port?: { onlyPostgres?: boolean },
  ): Promise<void>;
  /** Take what is inside an upgraded connection: TLS only. */
  routeUpgraded(connection: Duplex, client: SocketEndpoint, guest: Guest): Promise<void>;
}

export function createRouter(options: RouterOptions): Router {
  const { firstBytesTimeoutMs = 10_000, helloTimeoutMs = 15_000 } = options;
  const balancers = addressList(options.proxyHeadersFrom);

  const route: Router['route'] = async (connection, from, guest, { onlyPostgres = false } = {}) => {
    let client = from;
    let kind = await firstBytes(connection, firstBytesTimeoutMs);
    if (kind === 'proxy-header') {
      if (!balancers.has(from.address)) throw refused('a PROXY header is not believed from this address');
      client = (await takeProxyHeader(connection, { timeoutMs: firstBytesTimeoutMs }))?.source ?? from;
      kind = await firstBytes(connection, firstBytesTimeoutMs);
    }
    guest.from(client.address);
    if (kind === 'postgres') return await options.serveDirect(connection, client, guest);
    if (kind !== 'tls' || onlyPostgres) throw refused(onlyPostgres ? 'not PostgreSQL' : 'neither TLS nor PostgreSQL');
    await routeTls(connection, client, guest, false);
  };

  const routeTls = async (
    connection: Duplex,
    client: SocketEndpoint,
    guest: Guest,
    isUpgraded: boolean,
  ): Promise<void> => {
    const hello = await peekClientHello(connection, { timeoutMs: helloTimeoutMs });
    const chosen = chooseRoute(hello, options);
    if (chosen.action === 'close') throw refused(`no service for ${JSON.stringify(hello.alpn)}`);
    if (chosen.action === 'forward') {
      guest.become({ kind: 'forwarded' });
      return await options.forward(chosen.cluster, connection, client);
    }
    const answered = chosen.action === 'challenge' ? options.challenge(connection, chosen.name) : undefined;
    if (answered) return await answered;
    // Whoever asks for nothing that is served hears so from TLS.
    const service = chosen.action === 'challenge' ? 'web' : chosen.service;
    const socket = await options.terminator(service, { isUpgraded }).accept(connection);
    await serveTls(socket, service, client, guest);
  };

  const serveTls = async (socket: TLSSocket, service: Service, client: SocketEndpoint, guest: Guest): Promise<void> => {
    const negotiated = socket.alpnProtocol || '';
    let peer: Bearer | undefined;
    let refusal: unknown;
    try {
      peer = await peerOf(socket, service);
      if (peer) {
        checkPinnedIp(peer.identity.pinnedIp, client.address);
        guest.become(knownAs(peer));
      }
    } catch (error) {
      if (service !== 'postgres') throw error;
      refusal = error;
    }
    const isPing = negotiated.endsWith(PING_SUFFIX);
    const stream = isPing ? new PingStream(socket, { pingIntervalMs: PING_INTERVAL_MS }) : socket;
    if (isPing) stream.on('error', () => {});
    const arrival: Arrival = { stream, client, peer, refusal, isHttp2: negotiated === ALPN.h2, guest };
    // A certificate that names a database means the database, whatever the protocol name says.
    const isDatabase = peer?.identity.routeToDatabase !== undefined && service !== 'transport' && service !== 'tunnel';
    const target = isDatabase ? 'postgres' : service;
    if (target === 'reverse-tunnel') return void socket.end();
    await options.serve[target](arrival);
  };

  const peerOf = async (socket: TLSSocket, service: Service): Promise<Bearer | undefined> => {
    const certificate = presentedCertificate(socket);
    if (certificate) return await options.verify(certificate, VERIFIED_BY[service]);
    if (service === 'transport' || service === 'tunnel') throw refused('a client certificate is required');
    return undefined;
  };

  return { route, routeUpgraded: (connection, client, guest) => routeTls(connection, client, guest, true) };
}

const VERIFIED_BY: Record<Service, Parameters<Verify>[1]> = {
  web: 'any',
  postgres: 'user',
  'reverse-tunnel': 'any',
  join: 'any',
  transport: 'any',
  tunnel: 'tunnel',
};

async function firstBytes(connection: Duplex, timeoutMs: number) {
  return classify(await peek(connection, { bytes: FIRST_BYTES, timeoutMs }));
}

function refused(why: string): TeleportError {
  return new TeleportError('Protocol', why);
}
