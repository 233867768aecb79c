/**
 * PostgreSQL clients: find out who asks for which database, open a stream to an agent, pass on the client's first packet
 * and then every byte both ways. Three ways in (auth-grpc-and-routing.md 7.1):
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
import { knownAs } from '../api/known-as.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { type Bearer, checkUsage } from '../identity/bearer.js';
import { checkPinnedIp } from '../identity/pinned-ip.js';
import type { Logger } from '../log.js';
import type { Guest } from '../net/crowd.js';
import { hangUp } from '../net/hang-up.js';
import { relay } from '../net/relay.js';
import { presentedCertificate } from '../net/tls-server.js';
import { encodeError, readStartup, type Startup, StartupRefused } from '../pg/backend.js';
import { lastWords } from '../pg/last-words.js';
import { SessionEnd } from '../pg/sqlstate.js';
import { type RightHolder, type RightsWatch, trustEnded } from '../rights/rights-watch.js';
import type { TunnelRegistry } from '../tunnel/registry.js';

export interface PostgresOptions {
  tunnels: Pick<TunnelRegistry, 'open' | 'hostOf'>;
  /** Of other clusters. @throws TeleportError for one that is not there, and for a user who was ended */
  openLeaf: (peer: Bearer, clientAddr: string) => Promise<Opened>;
  isLeaf: (cluster: string) => boolean;
  rights: Pick<RightsWatch, 'during' | 'refusal'>;
  clusterName: string;
  /** TLS as server with the host certificate, asking for a client certificate; resolves after the handshake. */
  startTls: (below: Duplex) => Promise<TLSSocket>;
  /** Verifies against the User CA. @throws TeleportError `AccessDenied` */
  verify: (certificateDer: Buffer) => Promise<Bearer>;
  /** Whether the authority behind a verified certificate is believed now. */
  believes: (peer: Bearer) => boolean;
  log: Logger;
  /** From the first byte to the StartupMessage. Default 60 s. */
  startupTimeoutMs?: number;
  /** Aborted when the Proxy stops: every client hears the reason. */
  ending: AbortSignal;
}

interface Opened {
  stream: Duplex;
  /** Whether it ends when Auth falls silent. For a database of ours the agent sees to it: it knows the mode of the moment. */
  isStrict: boolean;
}

export interface PostgresConnection {
  /** Inside the outer TLS, if there is one. */
  stream: Duplex;
  /** The verified certificate of the outer TLS, if it showed one. */
  peer?: Bearer | undefined;
  /** What was wrong with it, if anything: the client hears it in answer to its StartupMessage. */
  refusal?: unknown;
  /** `direct`: no outer TLS. */
  isDirect: boolean;
  address: string;
  port: number;
  guest: Guest;
}

/** Serve one client until it or the database has finished. Never throws. */
export async function servePostgres(connection: PostgresConnection, options: PostgresOptions): Promise<void> {
  const { stream, address, port, isDirect } = connection;
  const { log } = options;
  const isTunnelMode = connection.refusal !== undefined || connection.peer?.identity.routeToDatabase !== undefined;
  const { ending, rights } = options;
  const cut = new AbortController();
  let startup: Startup | undefined;
  // Until bytes flow both ways; after that the relay takes leave of the client.
  const onCut = () => refuse(stream, startup?.duplex, cut.signal.reason);
  const onEnding = () => cut.abort(ending.reason);
  cut.signal.addEventListener('abort', onCut);
  ending.addEventListener('abort', onEnding);
  try {
    startup = await readStartup(stream, {
      timeoutMs: options.startupTimeoutMs ?? 60_000,
      requireTls: isDirect,
      ...(isTunnelMode ? {} : { upgrade: options.startTls }),
    });
    const isCancel = startup.message.type === 'CancelRequest';
    // A cancel is over in a moment, and most needed when all connections are taken: it goes on as a stranger's.
    const isWelcome = (refusal: unknown) => isCancel && isTeleportError(refusal, 'LimitExceeded');
    if (connection.refusal !== undefined && !isWelcome(connection.refusal)) throw connection.refusal;
    const peer = isTunnelMode ? connection.peer : await innerPeer(startup, options);
    if (!peer) throw noCertificate();
    if (!isCancel) connection.guest.become(knownAs(peer));
    const { pinnedIp, routeToCluster, routeToDatabase } = peer.identity;
    checkUsage(peer.identity, 'databases');
    checkPinnedIp(pinnedIp, address);
    const refusal = rights.refusal({ identity: peer.identity });
    if (refusal !== undefined) throw new TeleportError('AccessDenied', `access denied: ${refusal}`);
    const clientAddr = joinHostPort(address, port);
    const isOwn = routeToCluster === '' || routeToCluster === options.clusterName;
    const { certificateDer } = peer;
    const openOwn = async () => ({
      stream: await options.tunnels.open(routeToDatabase?.serviceName ?? '', { certificateDer, clientAddr }),
      isStrict: false,
    });
    const { stream: agent, isStrict } = isOwn ? await openOwn() : await options.openLeaf(peer, clientAddr);
    cut.signal.removeEventListener('abort', onCut);
    const serverId = options.tunnels.hostOf(agent);
    const isBelieved = () => options.believes(peer) && (isOwn || options.isLeaf(routeToCluster));
    const ifNotBelieved = isOwn ? undefined : trustEnded(routeToCluster);
    const holder = { identity: peer.identity, serverId, isBelieved, ifNotBelieved, isStrict };
    using _rights = endWithRight(rights, holder, cut);
    agent.write(startup.packet);
    await relay(startup.duplex, agent, { signal: cut.signal, lastWords: lastWords() });
  } catch (error) {
    refuse(stream, error instanceof StartupRefused ? error.duplex : startup?.duplex, error);
    const level = isTeleportError(error) ? 'info' : 'error';
    log[level]('A database connection was refused.', { from: address, error: messageOf(error) });
  } finally {
    ending.removeEventListener('abort', onEnding);
  }
}

/** The agent's turn comes first: it records why a session ended. */
const AGENT_FIRST_MS = 400;

export function endWithRight(
  rights: Pick<RightsWatch, 'during'>,
  holder: RightHolder,
  cut: AbortController,
): Disposable {
  let ending: NodeJS.Timeout | undefined;
  const watched = rights.during(holder, (reason) => {
    ending ??= setTimeout(() => cut.abort(new SessionEnd('57P01', reason)), AGENT_FIRST_MS);
  });
  return {
    [Symbol.dispose]() {
      watched[Symbol.dispose]();
      clearTimeout(ending);
    },
  };
}

/** @param duplex  where the client reads; undefined while nobody knows what it speaks */
function refuse(stream: Duplex, duplex: Duplex | undefined, error: unknown): void {
  if (duplex) hangUp(duplex, encodeError(error));
  else stream.destroy();
}

async function innerPeer(startup: Startup, options: PostgresOptions): Promise<Bearer | undefined> {
  if (!startup.isTls) return undefined;
  const certificateDer = presentedCertificate(startup.duplex as TLSSocket);
  return certificateDer && (await options.verify(certificateDer));
}

function noCertificate(): TeleportError {
  return new TeleportError('AccessDenied', 'access denied: a client certificate is required', {
    hint: 'Connect with "tsh db connect" or through "tsh proxy db", or set sslcert and sslkey as "tsh db config" prints them.',
  });
}
