/** Which cluster issued a certificate: the first O of its issuer (`auth-grpc-and-routing.md` 1.5). */
import { TeleportError } from '../errors.js';
import { issuerOf } from '../pki/certificate.js';

const ORGANIZATION = '2.5.4.10';

/** @throws TeleportError `Protocol` for a certificate whose issuer has no name */
export function certificateCluster(certPem: string): string {
  const cluster = certPem === '' ? undefined : issuerOf(certPem).get(ORGANIZATION)?.[0];
  if (cluster === undefined) throw new TeleportError('Protocol', 'a certificate without the name of its cluster');
  return cluster;
}
