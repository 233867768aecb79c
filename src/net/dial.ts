/**
 * Outgoing connections: TCP (or a Unix socket), and TLS over it. One deadline covers everything a call does. Errors are
 * `ConnectionProblem` with the text that a Go program would print and Node's error as cause.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  checkServerIdentity,
  connect as connectTls,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { TeleportError, TimedOut } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { redactValue } from '../redact.js';
import { inTime } from '../wait.js';
import { connectTunnel, proxyFor } from './http-proxy.js';
import { dialError, handshakeError } from './socket-errors.js';
import { secureContextFor, type TrustOptions } from './trust.js';

export { proxyFor } from './http-proxy.js';
export { certificateAlert, isDisconnect } from './socket-errors.js';

const DEFAULT_TIMEOUT_MS = 10_000;
/** Between keep-alive probes: what Go's dialler uses. */
const KEEPALIVE_MS = 15_000;

export interface DialTcpOptions {
  host: string;
  port: number;
  /** A Unix socket instead of host and port. */
  path?: string;
  /** Default 10 s, the HTTP proxy's tunnel included. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Keep sending after the other side ended. Default false. */
  allowHalfOpen?: boolean;
  /** Environment; when given, HTTPS_PROXY and NO_PROXY are obeyed. */
  vars?: Record<string, string | undefined>;
}

/** What a TLS connection is like, wherever it leads. */
export type TlsSettings = TrustOptions &
  Omit<DialTcpOptions, 'host' | 'port'> & {
    /** Name for SNI and for the check of the certificate. Default: `host`. An IP address is checked, but not sent. */
    servername?: string;
    alpn?: readonly string[];
    checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
  };

export type DialTlsOptions = DialTcpOptions &
  TlsSettings & {
    /** Speak TLS over this stream instead of dialling; it is destroyed when the handshake fails. */
    socket?: Duplex;
  };

/** @throws TeleportError `ConnectionProblem`; the signal's reason when it is aborted */
export async function dialTcp(options: DialTcpOptions): Promise<Socket> {
  const { host, port, path, timeoutMs = DEFAULT_TIMEOUT_MS, signal, vars } = options;
  const address = path ?? joinHostPort(host, port);
  if (path === undefined && vars && !URL.canParse(`https://${address}`)) {
    throw new TeleportError('BadParameter', `${JSON.stringify(redactValue(address))} is not an address`);
  }
  const proxy = path === undefined && vars ? proxyFor(new URL(`https://${address}`), vars) : undefined;
  const started = performance.now();
  const target = proxy
    ? {
        host: proxy.hostname.replace(/^\[|\]$/g, ''),
        port: Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80)),
      }
    : { host, port };
  signal?.throwIfAborted();
  const socket = connectTcp({
    ...(path ? { path } : target),
    allowHalfOpen: options.allowHalfOpen ?? false,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: KEEPALIVE_MS,
  });
  const dialled = path ?? joinHostPort(target.host, target.port);
  await opened(socket, 'connect', { timeoutMs, signal, address: dialled }, (error) => dialError(error, dialled));
  if (!proxy) return socket;
  try {
    if (proxy.protocol !== 'http:') {
      throw new TeleportError('NotImplemented', `an HTTP proxy by ${proxy.protocol}// is not supported; use http://`);
    }
    const left = Math.max(1, timeoutMs - (performance.now() - started));
    await connectTunnel(socket, address, { timeoutMs: left, proxy: dialled, credentials: proxy });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/**
 * A TLS connection whose server certificate was checked. The server's verdict on ours comes later, with its first bytes:
 * keep an `error` listener.
 *
 * @throws TeleportError `ConnectionProblem`, with `certificateProblem` and `host` when the certificate was refused
 */
export async function dialTls(options: DialTlsOptions): Promise<TLSSocket> {
  const { host, port, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const started = performance.now();
  const name = options.servername ?? host;
  const dialling = options.socket ? Promise.resolve(options.socket) : dialTcp(options);
  let secureContext: SecureContext;
  try {
    secureContext = secureContextFor(options); // while the network is waited for
  } catch (error) {
    dialling.then((socket) => socket.destroy()).catch(() => {});
    throw error;
  }
  const below = await dialling;
  const socket = connectTls({
    socket: below,
    host: name,
    ...(isIP(name) === 0 && name !== '' ? { servername: name } : {}),
    ...(options.alpn ? { ALPNProtocols: [...options.alpn] } : {}),
    secureContext,
    checkServerIdentity: options.checkServerIdentity ?? checkName,
    rejectUnauthorized: options.rejectUnauthorized ?? true,
  });
  const left = Math.max(1, timeoutMs - (performance.now() - started));
  await opened(socket, 'secureConnect', { timeoutMs: left, signal, address: joinHostPort(host, port) }, (error) =>
    handshakeError(error, options.socket ? name : joinHostPort(name, port)),
  );
  return socket;
}

/** As Go checks it: a Common Name is not a host name, where Node still takes it for one (RFC 6125, section 6.4.4). */
function checkName(host: string, certificate: PeerCertificate): Error | undefined {
  const problem = checkServerIdentity(host, certificate);
  if (problem || certificate.subjectaltname) return problem;
  const reason = 'certificate relies on legacy Common Name field, use SANs instead';
  return Object.assign(new Error(reason), { code: 'ERR_TLS_CERT_ALTNAME_INVALID', reason });
}

/** Wait until a socket is open; otherwise destroy it and throw. An `error` listener stays on it for good. */
async function opened<S extends Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  { timeoutMs, signal, address }: { timeoutMs: number; signal: AbortSignal | undefined; address: string },
  explain: (error: unknown) => Error,
): Promise<void> {
  socket.on('error', () => {});
  const open = new Promise<void>((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', (error) => reject(explain(error)));
    socket.once('close', () => reject(explain(Object.assign(new Error('closed'), { code: 'ECONNRESET' }))));
  });
  const awaited = event === 'connect' ? 'connection' : 'answer to the TLS handshake';
  try {
    await inTime(open, timeoutMs, () => new TimedOut(awaited, timeoutMs, { address }), signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
