/**
 * Connections from the Proxy to the Auth Service: raw ones for clients (TLS routing by `teleport-auth@…`), and the bytes
 * of a `ProxyCluster` stream. Each begins with a PROXY header, so that Auth sees the client's address and not ours; it is
 * signed with this Proxy's key, or Auth would not believe it.
 */
import { createPrivateKey } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HostIdentity } from '../api/host-identity.js';
import { proofOfAddress } from '../identity/signed-address.js';
import { dialTcp } from '../net/dial.js';
import { encodeProxyHeader, type SocketEndpoint } from '../net/proxy-protocol.js';
import { relay } from '../net/relay.js';
import { certificateDer } from '../pki/certificate.js';

export interface Upstream {
  /** A connection to Auth on behalf of a client. @throws TeleportError `ConnectionProblem`; `BadParameter` for a client without an address */
  dial(client: SocketEndpoint): Promise<Socket>;
  /**
   * Join a client's connection with one to Auth, until both have ended.
   *
   * @param via  the root cluster through whose tunnel it came, and which says where the client is
   */
  forward(connection: Duplex, client: SocketEndpoint, via?: string): Promise<void>;
  /** The same with a connection that there is. */
  join(connection: Duplex, auth: Duplex): Promise<void>;
}

export interface UpstreamOptions {
  host: string;
  port: number;
  /** This Proxy as it is now. */
  identity: () => Pick<HostIdentity, 'certPem' | 'keyPem'>;
  now: () => Date;
  /** For dialling, default 10 s. */
  timeoutMs?: number;
  /** How long a client may stay after Auth has hung up. Default 5 s: whoever shows no certificate is cut off there, and here too. */
  halfCloseTimeoutMs?: number;
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const { host, port, identity, now, timeoutMs = 10_000, halfCloseTimeoutMs = 5_000 } = options;
  const dial = async (client: SocketEndpoint, via?: string): Promise<Socket> => {
    const prove = (addresses: Buffer): Buffer => {
      const { certPem, keyPem } = identity();
      const signer = { certificateDer: certificateDer(certPem), key: createPrivateKey(keyPem) };
      return proofOfAddress(addresses, { ...signer, now: now(), via });
    };
    const socket = await dialTcp({ host, port, timeoutMs, allowHalfOpen: true });
    try {
      const { remoteAddress = '' } = socket;
      socket.write(encodeProxyHeader(client, { address: remoteAddress, port }, prove));
      return socket;
    } catch (error) {
      // Half-open and unread: it would never end by itself.
      socket.destroy();
      throw error;
    }
  };
  return {
    dial: (client) => dial(client),
    async forward(connection, client, via) {
      await relay(connection, await dial(client, via), { halfCloseTimeoutMs });
    },
    async join(connection, auth) {
      await relay(connection, auth, { halfCloseTimeoutMs });
    },
  };
}
