/**
 * TLS for sockets that somebody else accepted: a `tls.Server` that listens nowhere and is given its connections, so one
 * port can carry several protocols. Certificates can be replaced while it runs.
 * Source: auth-grpc-and-routing.md 1.1 and 5.
 */
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer, type DetailedPeerCertificate, type SecureContext, type TLSSocket } from 'node:tls';
import { TeleportError } from '../errors.js';
import { readCertificate, splitPem } from '../pki/x509.js';
import { handshakeError } from './socket-errors.js';

/** How long a handshake may take: Teleport's ALPN router. */
const HANDSHAKE_TIMEOUT_MS = 15_000;

export interface TlsIdentity {
  /** PEM, leaf first. */
  cert: string;
  /** PEM. */
  key: string;
  /**
   * PEM texts: whose certificates a client may show. Their names are sent to it; they verify nothing here. Where all names
   * together are too long none is sent, and a client shows what it has.
   */
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
  /** Ask for a client certificate. It stays optional and is not verified here: `presentedCertificate` gives it to who does. */
  requestCert?: boolean;
  handshakeTimeoutMs?: number;
  /** A finished handshake. The socket has an `error` listener and noDelay where it can. */
  onSecure: (socket: TLSSocket) => void;
  onError?: (error: TeleportError) => void;
}

/**
 * Both ends of a TCP connection, as a text that no other open connection has. It is the same of the TLS socket on it, which does not
 * lead back to the socket below.
 *
 * @returns undefined for what has no address of its own, or none any more
 */
export function endsOf(connection: object): string | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = connection as Partial<Socket>;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
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
 * DER of the certificate that the client presented, verified or not; undefined when it presented none. A chain is refused:
 * exactly one certificate, signed by a root, is what Teleport's clients send.
 *
 * @throws TeleportError `AccessDenied` when it came through an intermediate authority
 */
export function presentedCertificate(socket: TLSSocket): Buffer | undefined {
  const leaf = socket.getPeerCertificate(true) as Partial<DetailedPeerCertificate>;
  const issuer = leaf.issuerCertificate;
  const above = issuer?.issuerCertificate;
  if (issuer !== undefined && above !== undefined && above.fingerprint256 !== issuer.fingerprint256) {
    throw new TeleportError('AccessDenied', 'a client certificate through an intermediate authority is not accepted');
  }
  return leaf.raw;
}

/**
 * Names of authorities in a CertificateRequest, in bytes. The message ends at 64 KiB, and OpenSSL each handshake that would
 * need more (RFC 8446, 4.2.4).
 */
const MOST_NAMES_BYTES = 16 * 1024;

/** Without the option Node would name nobody and load the authorities of the web; an empty list loads none. */
function named(ca: readonly string[]): string[] {
  const names = ca.flatMap((pem) => splitPem(pem, 'CERTIFICATE')).map((pem) => readCertificate(pem).subjectDer);
  const bytes = names.reduce((sum, name) => sum + name.length + 2, 0);
  return bytes > MOST_NAMES_BYTES ? [] : [...ca];
}

function settings(identity: TlsIdentity) {
  return {
    cert: identity.cert,
    key: identity.key,
    ...(identity.ca ? { ca: named(identity.ca) } : {}),
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

/** Of the certificate at the other end: roles, where that is a host of a cluster. */
export function organizationsOf(socket: TLSSocket): string[] {
  const { O: organization = [] } = socket.getPeerCertificate().subject ?? {};
  return [organization].flat();
}
