/**
 * The authorities of a cluster as Auth's trust service brings them: their public keys as text. During a rotation the old
 * and the new ones are there. Source: Teleport 18.3.0, types.proto, `CertAuthorityV2`.
 */
import type { RemoteTrust, Trust } from '../identity/bearer.js';
import type { AuthClient } from './client.js';
import type { CertAuthorityV2 } from './gen/types_pb.js';

export interface AuthorityKey {
  cluster: string;
  kind: 'ssh' | 'jwt' | 'tls';
  /** `active` signs; what `trusted` has signed is still believed. */
  status: 'active' | 'trusted';
  /** TLS: the certificate, PEM. SSH: the line of authorized_keys. JWT: the public key, PEM. */
  text: string;
  /** Where its private key is: a number of `PrivateKeyType`. */
  storage: number;
}

/** All keys of one authority. */
export function authorityKeys({ spec }: Pick<CertAuthorityV2, 'spec'>): AuthorityKey[] {
  const cluster = spec?.clusterName ?? '';
  const sets = [
    ['active', spec?.activeKeys],
    ['trusted', spec?.additionalTrustedKeys],
  ] as const;
  return sets.flatMap(([status, set]) => {
    const key = (kind: AuthorityKey['kind'], bytes: Uint8Array, storage: number): AuthorityKey => {
      return { cluster, kind, status, text: Buffer.from(bytes).toString('utf8'), storage };
    };
    return [
      ...(set?.ssh ?? []).map((pair) => key('ssh', pair.publicKey, pair.privateKeyType)),
      ...(set?.jwt ?? []).map((pair) => key('jwt', pair.publicKey, pair.privateKeyType)),
      ...(set?.tls ?? []).map((pair) => key('tls', pair.cert, pair.keyType)),
    ];
  });
}

/** Keys of every authority of a type, leaf clusters included. */
export async function fetchAuthorityKeys({ trust }: Pick<AuthClient, 'trust'>, type: string): Promise<AuthorityKey[]> {
  const { certAuthoritiesV2 } = await trust.getCertAuthorities({ type });
  return certAuthoritiesV2.flatMap(authorityKeys);
}

export type FetchedTrust = Pick<Trust, 'hostCas' | 'userCas'> & { remotes: readonly RemoteTrust[] };

/**
 * Whose certificates are believed, PEM: of this cluster, and beside them of each other one. They are never one list: what a
 * cluster's authorities have signed is of that cluster.
 */
export async function fetchTrust(auth: Pick<AuthClient, 'trust'>, clusterName: string): Promise<FetchedTrust> {
  const [hosts, users] = await Promise.all([fetchAuthorityKeys(auth, 'host'), fetchAuthorityKeys(auth, 'user')]);
  const of = (keys: readonly AuthorityKey[], cluster: string) =>
    keys.filter((key) => key.kind === 'tls' && key.cluster === cluster).map(({ text }) => text);
  const trustOf = (cluster: string): RemoteTrust => ({
    cluster,
    hostCas: of(hosts, cluster),
    userCas: of(users, cluster),
  });
  const others = new Set([...hosts, ...users].map(({ cluster }) => cluster).filter((name) => name !== clusterName));
  const { hostCas, userCas } = trustOf(clusterName);
  return { hostCas, userCas, remotes: [...others].sort().map(trustOf) };
}
