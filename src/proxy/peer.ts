/**
 * Who is at the other end of a TLS connection: the client certificate, verified, and the few facts of its subject that
 * the Proxy needs. Attributes: `certificates.md` 4 and 7.1; checks: 2.2.
 */
import type { TLSSocket } from 'node:tls';
import { TeleportError } from '../errors.js';
import type { Certificate } from '../pki/certificate.js';
import { verifyLeaf } from '../pki/verify.js';

export interface Peer {
  certificateDer: Buffer;
  /** User, or `<host id>.<cluster>`. */
  commonName: string;
  /** Roles of a user, or the one system role of a host. */
  organizations: string[];
  /** Usage restriction; empty = none. */
  usages: string[];
  database: string;
  routeToCluster: string;
  pinnedIp: string;
}

const OID = {
  commonName: '2.5.4.3',
  street: '2.5.4.9',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  database: '1.3.9999.2.1',
  pinnedIp: '1.3.9999.2.15',
} as const;

/** DER of what the client presented, verified or not; undefined when it presented nothing. */
export function presentedCertificate(socket: TLSSocket): Buffer | undefined {
  const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
  return raw;
}

/**
 * Verify a presented certificate against authorities.
 *
 * @throws TeleportError `AccessDenied` with the reason
 */
export function verifyPeer(certificateDer: Buffer, cas: readonly string[], now: Date): Peer {
  const { leaf } = verifyLeaf(certificateDer, { cas, now, usage: 'clientAuth' });
  return peerOf(leaf);
}

function peerOf(leaf: Certificate): Peer {
  const first = (oid: string): string => leaf.subject.get(oid)?.[0] ?? '';
  return {
    certificateDer: leaf.der,
    commonName: first(OID.commonName),
    organizations: leaf.subject.get(OID.organization) ?? [],
    usages: leaf.subject.get(OID.organizationalUnit) ?? [],
    database: first(OID.database),
    routeToCluster: first(OID.street),
    pinnedIp: first(OID.pinnedIp),
  };
}

/** For database connections: no restriction, or exactly the one for databases. */
export function checkDatabaseUsage({ usages }: Peer): void {
  if (usages.length > 0 && !(usages.length === 1 && usages[0] === 'usage:db')) {
    throw new TeleportError('AccessDenied', 'access denied: invalid client certificate');
  }
}

/** A certificate that is pinned to an address is good from there only. */
export function checkPinnedIp({ pinnedIp }: Peer, address: string): void {
  if (pinnedIp !== '' && pinnedIp !== address.replace(/^::ffff:/, '')) {
    throw new TeleportError('AccessDenied', "pinned IP doesn't match observed client IP");
  }
}
