/**
 * Who is at the other end of a connection to Auth. A Proxy of the cluster says it in a PROXY header before the first TLS byte,
 * and signs it. No other header is believed, wherever it comes from: anybody on this machine could write one.
 */
import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { checkAddressProof, type ProvenAddress } from '../identity/signed-address.js';
import { canonicalIp } from '../ip.js';
import { takeProxyHeader } from '../net/proxy-protocol.js';

/** A connection with the TCP address of its other end. */
export type Dialled = Duplex & { remoteAddress?: string | undefined; remotePort?: number | undefined };

export interface AddressOptions {
  timeoutMs: number;
  /** Authorities of Proxies. */
  hostCas: readonly string[];
  clusterName: string;
  now: Date;
}

/** Without `statedBy` it is the end of the connection itself. */
export interface ClientAddress extends Partial<ProvenAddress> {
  /** `ip:port` of the person's end. */
  address: string;
}

/**
 * @throws TeleportError `Protocol` for a broken header, `AccessDenied` for one that is not signed by a Proxy of this cluster,
 *   `ConnectionProblem` when no bytes come in time
 */
export async function clientAddress(socket: Dialled, options: AddressOptions): Promise<ClientAddress> {
  const { remoteAddress = '', remotePort = 0 } = socket;
  const header = await takeProxyHeader(socket, options);
  if (header === undefined) {
    return { address: joinHostPort(canonicalIp(remoteAddress) ?? remoteAddress, remotePort) };
  }
  const { source, addresses, proof } = header;
  if (source === undefined || addresses === undefined || proof === undefined) {
    throw new TeleportError('AccessDenied', 'a PROXY header that no Proxy of this cluster has signed');
  }
  const proven = checkAddressProof(addresses, proof, options);
  return { address: joinHostPort(source.address, source.port), ...proven };
}
