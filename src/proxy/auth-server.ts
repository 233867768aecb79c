/**
 * Connections from the Proxy to the Auth Service: raw ones for clients (TLS routing by `teleport-auth@…`), and the bytes
 * of a `ProxyCluster` stream. To an Auth Service on this machine each begins with a PROXY header, so that Auth sees the
 * client's address and not ours. Auth believes (and understands) the header from loopback only.
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isLoopback } from '../ip.js';
import { dialTcp } from '../net/dial.js';
import { encodeProxyHeader, type SocketEndpoint } from '../net/proxy-protocol.js';
import { relay } from '../net/relay.js';

export interface Upstream {
  /** A connection to Auth on behalf of a client. @throws TeleportError `ConnectionProblem` */
  dial(client: SocketEndpoint): Promise<Socket>;
  /** Join a client's connection with one to Auth, until both have ended. */
  forward(connection: Duplex, client: SocketEndpoint): Promise<void>;
}

/** @param options.timeoutMs  for dialling, default 10 s */
export function createUpstream(options: { host: string; port: number; timeoutMs?: number }): Upstream {
  const { host, port, timeoutMs = 10_000 } = options;
  const dial = async (client: SocketEndpoint): Promise<Socket> => {
    const socket = await dialTcp({ host, port, timeoutMs, allowHalfOpen: true });
    const { remoteAddress = '' } = socket;
    if (isLoopback(remoteAddress)) socket.write(encodeProxyHeader(client, { address: remoteAddress, port }));
    return socket;
  };
  return {
    dial,
    async forward(connection, client) {
      const socket = await dial(client);
      await relay(connection, socket);
    },
  };
}
