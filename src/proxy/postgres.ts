/**
 * PostgreSQL clients: find out who asks for which database, open a stream to an agent, pass on the client's first packet
 * and then every byte both ways. Three ways in (`auth-grpc-and-routing.md` 7.1):
 *
 *     direct      plain TCP:                    SSLRequest → S → TLS with client certificate → StartupMessage
 *     non-tunnel  TLS without a certificate:    SSLRequest → S → TLS with client certificate → StartupMessage
 *     tunnel      TLS with a database in it:    [SSLRequest → N] → StartupMessage
 *
 * A CancelRequest goes the same way; it is refused outside TLS. The end of the certificate, idle time and everything
 * about roles is the agent's to watch.
 */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import type { Logger } from '../log.js';
import { relay } from '../net/relay.js';
import { encodeError, readStartup, type Startup } from '../pg/backend.js';
import { checkDatabaseUsage, checkPinnedIp, type Peer, presentedCertificate } from './peer.js';
import type { TunnelRegistry } from './tunnel.js';

export interface PostgresOptions {
  tunnels: Pick<TunnelRegistry, 'open'>;
  clusterName: string;
  /** TLS as server with the host certificate, asking for a client certificate; resolves after the handshake. */
  startTls: (below: Duplex) => Promise<TLSSocket>;
  /** Verifies against the User CA. @throws TeleportError `AccessDenied` */
  verify: (certificateDer: Buffer) => Promise<Peer>;
  log: Logger;
  /** From the first byte to the StartupMessage. Default 60 s. */
  startupTimeoutMs?: number;
}

export interface PostgresConnection {
  /** Inside the outer TLS, if there is one. */
  stream: Duplex;
  /** The verified certificate of the outer TLS, if it showed one. */
  peer?: Peer | undefined;
  /** `direct`: no outer TLS. */
  isDirect: boolean;
  address: string;
  port: number;
}

/** Serve one client until it or the database has finished. Never throws. */
export async function servePostgres(connection: PostgresConnection, options: PostgresOptions): Promise<void> {
  const { stream, address, port, isDirect } = connection;
  const { log } = options;
  const isTunnelMode = connection.peer !== undefined && connection.peer.database !== '';
  let startup: Startup | undefined;
  try {
    startup = await readStartup(stream, {
      timeoutMs: options.startupTimeoutMs ?? 60_000,
      // Without TLS of its own a direct client is cut; the others hear why.
      requireTls: isDirect,
      ...(isTunnelMode ? {} : { upgrade: options.startTls }),
    });
    const peer = isTunnelMode ? connection.peer : await innerPeer(startup, options);
    if (!peer) throw noCertificate();
    checkDatabaseUsage(peer);
    checkPinnedIp(peer, address);
    if (peer.routeToCluster !== '' && peer.routeToCluster !== options.clusterName) {
      throw new TeleportError('NotFound', `cluster ${JSON.stringify(peer.routeToCluster)} is not found`);
    }
    const agent = await options.tunnels.open(peer.database, {
      certificateDer: peer.certificateDer,
      clientAddr: address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`,
    });
    agent.write(startup.packet);
    await relay(startup.duplex, agent);
  } catch (error) {
    if (startup && !startup.duplex.destroyed) sayAndEnd(startup.duplex, error);
    else stream.destroy();
    const level = isTeleportError(error) ? 'info' : 'error';
    log[level]('A database connection was refused.', { from: address, error: messageOf(error) });
  }
}

async function innerPeer(startup: Startup, options: PostgresOptions): Promise<Peer | undefined> {
  if (!startup.isTls) return undefined;
  const certificateDer = presentedCertificate(startup.duplex as TLSSocket);
  return certificateDer && (await options.verify(certificateDer));
}

function noCertificate(): TeleportError {
  return new TeleportError('AccessDenied', 'access denied: a client certificate is required', {
    hint: 'Connect with "tsh db connect" or through "tsh proxy db", or set sslcert and sslkey as "tsh db config" prints them.',
  });
}

/** How long a refused client may take to read why. */
const LINGER_MS = 5_000;

function sayAndEnd(stream: Duplex, error: unknown): void {
  stream.resume();
  stream.end(encodeError(error));
  const timer = setTimeout(() => stream.destroy(), LINGER_MS);
  timer.unref();
  stream.once('close', () => clearTimeout(timer));
}
