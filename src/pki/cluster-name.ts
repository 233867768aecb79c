/**
 * Which cluster is behind a certificate: Teleport writes its name into every authority, as O and as CN.
 * Source: auth-grpc-and-routing.md 1.5 and 2.2.
 */
import { type CertificateInput, issuerOf, subjectOf } from './certificate.js';
import { NAME_OID } from './name.js';

/** The cluster that issued it: O of the issuer. */
export function issuingCluster(certificate: CertificateInput): string | undefined {
  return issuerOf(certificate).get(NAME_OID.organization)?.[0];
}

/** Authorities by the cluster that each is of: CN of its subject, as Teleport picks them; `''` for none. */
export function authoritiesByCluster(pems: readonly string[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const pem of pems) {
    const cluster = subjectOf(pem).get(NAME_OID.commonName)?.[0] ?? '';
    found.set(cluster, [...(found.get(cluster) ?? []), pem]);
  }
  return found;
}
