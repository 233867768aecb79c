/**
 * TLS as server on a connection, as a promise: which TLS socket belongs to which connection. `net/tls-server.ts` reports
 * finished handshakes without saying whose, so TCP connections are distinguished by the addresses and ports of both ends; a
 * connection without an address of its own (inside ping frames or a WebSocket) gets a server to itself.
 */
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { TeleportError, TimedOut } from '../errors.js';
import { endsOf, makeTlsServer, type TlsIdentity, type TlsServer } from '../net/tls-server.js';

export interface TerminatorOptions {
  identity: TlsIdentity;
  alpn?: readonly string[];
  /** Ask for a client certificate; nobody is refused here without one. */
  requestCert: boolean;
  /** Default 15 s. */
  handshakeTimeoutMs?: number;
}

export interface Terminator {
  /** @throws TeleportError `ConnectionProblem` when the handshake fails; the connection is destroyed then */
  accept(connection: Duplex): Promise<TLSSocket>;
  setIdentity(identity: TlsIdentity): void;
  close(): void;
}

interface Pending {
  resolve: (socket: TLSSocket) => void;
  reject: (error: unknown) => void;
}

const HANDSHAKE_TIMEOUT_MS = 15_000;

export function createTerminator(options: TerminatorOptions): Terminator {
  const pending = new Map<string, Pending>();
  const own = new Set<TlsServer>();
  let identity = options.identity;
  const settings = {
    requestCert: options.requestCert,
    ...(options.alpn ? { alpn: options.alpn } : {}),
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
  };
  const shared = makeTlsServer({
    ...settings,
    identity,
    onSecure: (socket) => {
      const waiting = pending.get(endsOf(socket) ?? '');
      if (waiting) waiting.resolve(socket);
      else socket.destroy();
    },
  });

  const serverFor = (key: string | undefined, waiting: Pending): TlsServer => {
    if (key !== undefined) {
      pending.set(key, waiting);
      return shared;
    }
    const server = makeTlsServer({ ...settings, identity, onSecure: waiting.resolve });
    own.add(server);
    return server;
  };

  return {
    accept: (connection) =>
      new Promise((resolve, reject) => {
        const key = endsOf(connection);
        const settle = (): void => {
          clearTimeout(timer);
          if (key !== undefined) pending.delete(key);
          connection.off('close', closed);
        };
        const closed = (): void => {
          settle();
          reject(new TeleportError('ConnectionProblem', 'the connection was closed during the TLS handshake'));
        };
        const timer = setTimeout(() => {
          settle();
          connection.destroy();
          reject(new TimedOut('end of the TLS handshake', settings.handshakeTimeoutMs));
        }, settings.handshakeTimeoutMs);
        timer.unref();
        const server = serverFor(key, {
          resolve: (socket) => {
            settle();
            resolve(socket);
          },
          reject,
        });
        connection.once('close', closed);
        connection.once('close', () => own.delete(server));
        server.accept(connection);
      }),
    setIdentity(next) {
      shared.setIdentity(next);
      identity = next;
    },
    close() {
      shared.close();
      for (const server of own) server.close();
    },
  };
}
