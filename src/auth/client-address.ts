/**
 * Who is at the other end of a connection to Auth. A Proxy on this machine says it in a PROXY header before the first TLS
 * byte. From anywhere else no header is looked for, as anybody could write one: there it is a broken TLS handshake.
 */
import type { Duplex } from 'node:stream';
import { joinHostPort } from '../host-port.js';
import { canonicalIp, isLoopback } from '../ip.js';
import { takeProxyHeader } from '../net/proxy-protocol.js';

/** A connection with the TCP address of its other end. */
export type Dialled = Duplex & { remoteAddress?: string | undefined; remotePort?: number | undefined };

/**
 * @returns `ip:port` of the person's end
 * @throws TeleportError `Protocol` for a broken header, `ConnectionProblem` when no bytes come in time
 */
export async function clientAddress(socket: Dialled, { timeoutMs }: { timeoutMs: number }): Promise<string> {
  const { remoteAddress = '', remotePort = 0 } = socket;
  const stated = isLoopback(remoteAddress) ? await takeProxyHeader(socket, { timeoutMs }) : undefined;
  return stated
    ? joinHostPort(stated.address, stated.port)
    : joinHostPort(canonicalIp(remoteAddress) ?? remoteAddress, remotePort);
}
