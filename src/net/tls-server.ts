/**
 * TLS for sockets that somebody else accepted: a `tls.Server` that listens nowhere and is given its connections, so one
 * port can carry several protocols. Certificates can be replaced while it runs.
 * Source: auth-grpc-and-routing.md, gotchas for a Node server.
 */
import { constants } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { createServer, type PeerCertificate, type SecureContext, type TLSSocket } from 'node:tls';
import { TeleportError } from '../errors.js';
import { handshakeError } from './socket-errors.js';

/** How long a handshake may take: Teleport's ALPN router. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

export interface TlsIdentity {
  /** PEM, leaf first. */
  cert: string;
  /** PEM. */
  key: string;
  /** PEM texts: who may sign client certificates. */
  ca?: readonly string[];
}

export interface TlsServerOptions {
  identity: TlsIdentity;
  /** What can be spoken, best first; the order here wins. */
  alpn?: readonly string[];
  /** Chooses the protocol instead of `alpn`; undefined sends the alert `no_application_protocol`. */
  chooseAlpn?: (offered: readonly string[], servername: string) => string | undefined;
  /** Another identity for a server name; undefined keeps the usual one. */
  contextFor?: (servername: string) => SecureContext | undefined;
  /** Ask for a client certificate. It stays optional here: `peerCertificate` says whether there is a good one. */
  requestCert?: boolean;
  handshakeTimeoutMs?: number;
  /** A finished handshake. The socket has an `error` listener and noDelay where it can. */
  onSecure: (socket: TLSSocket) => void;
  onError?: (error: TeleportError) => void;
}

export interface TlsServer {
  /** Start a handshake on a connection; bytes put back by `peek` are read first. Returns at once. */
  accept(connection: Duplex): void;
  /** Use another certificate from the next handshake on. @throws when it cannot be used; the old one stays */
  setIdentity(identity: TlsIdentity): void;
  /** Cut handshakes and connections. */
  close(): void;
}

export function makeTlsServer(options: TlsServerOptions): TlsServer {
  const { chooseAlpn, contextFor, onSecure, onError } = options;
  const open = new Set<Duplex>();
  const server = createServer({
    ...settings(options.identity),
    requestCert: options.requestCert ?? false,
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    ...(options.alpn && !chooseAlpn ? { ALPNProtocols: [...options.alpn] } : {}),
    ...(chooseAlpn
      ? { ALPNCallback: ({ protocols, servername }: Offer) => chooseAlpn(protocols, servername ?? '') }
      : {}),
    ...(contextFor ? { SNICallback: (name: string, done: SniDone) => answer(() => contextFor(name), done) } : {}),
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.setNoDelay(true);
    onSecure(socket);
  });
  server.on('tlsClientError', (error, socket) => {
    onError?.(handshakeError(error, ''));
    socket.destroy();
  });
  return {
    accept(connection) {
      connection.on('error', () => {});
      open.add(connection);
      connection.once('close', () => open.delete(connection));
      server.emit('connection', connection);
    },
    setIdentity: (identity) => server.setSecureContext(settings(identity)),
    close() {
      for (const connection of open) connection.destroy();
    },
  };
}

/**
 * The client's certificate, if it was verified. A chain is refused: exactly one certificate, signed by a root that we
 * know, is what Teleport's clients send.
 *
 * @returns undefined without a certificate or with one that is not trusted
 * @throws TeleportError `AccessDenied` when it came through an intermediate authority
 */
export function peerCertificate(socket: TLSSocket): PeerCertificate | undefined {
  if (!socket.authorized) return undefined;
  const leaf = socket.getPeerCertificate(true);
  if (leaf.raw === undefined) return undefined;
  const issuer = leaf.issuerCertificate as typeof leaf | undefined;
  const above = issuer?.issuerCertificate;
  if (issuer !== undefined && above !== undefined && above.fingerprint256 !== issuer.fingerprint256) {
    throw new TeleportError('AccessDenied', 'a client certificate through an intermediate authority is not accepted');
  }
  return leaf;
}

function settings(identity: TlsIdentity) {
  return {
    cert: identity.cert,
    key: identity.key,
    ...(identity.ca ? { ca: [...identity.ca] } : {}),
    minVersion: 'TLSv1.2' as const,
    // A resumed session would skip the check of the client certificate against today's authorities.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

type Offer = { protocols: string[]; servername: string };
type SniDone = (error: Error | null, context?: SecureContext) => void;

function answer(get: () => SecureContext | undefined, done: SniDone): void {
  try {
    done(null, get());
  } catch (error) {
    done(error as Error);
  }
}
