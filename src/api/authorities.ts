/**
 * The authorities of a cluster as Auth's trust service brings them: their public keys as text. During a rotation the old
 * and the new ones are there. What another cluster brings here is its own word, so a key that cannot be read is left out, and
 * so is a certificate that bears another name. Source: Teleport 18.3.0, types.proto, `CertAuthorityV2`.
 */
import { messageOf } from '../errors.js';
import type { RemoteTrust, Trust } from '../identity/bearer.js';
import { authoritiesByCluster } from '../pki/cluster-name.js';
import { readAuthorizedKey } from '../pki/ssh/certificate.js';
import { splitPem } from '../pki/x509.js';
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

/** Called with what was left out, for people. */
type OnLeftOut = (what: string) => void;

/** All keys of one authority; of a certificate with several blocks each for itself. */
export function authorityKeys(
  { spec }: Pick<CertAuthorityV2, 'spec'>,
  onLeftOut: OnLeftOut = () => {},
): AuthorityKey[] {
  const cluster = spec?.clusterName ?? '';
  const sets = [
    ['active', spec?.activeKeys],
    ['trusted', spec?.additionalTrustedKeys],
  ] as const;
  return sets.flatMap(([status, set]) => {
    const key = (kind: AuthorityKey['kind'], bytes: Uint8Array, storage: number): AuthorityKey[] => {
      const texts = readable(cluster, kind, Buffer.from(bytes).toString('utf8'), onLeftOut);
      return texts.map((text) => ({ cluster, kind, status, text, storage }));
    };
    return [
      ...(set?.ssh ?? []).flatMap((pair) => key('ssh', pair.publicKey, pair.privateKeyType)),
      ...(set?.jwt ?? []).flatMap((pair) => key('jwt', pair.publicKey, pair.privateKeyType)),
      ...(set?.tls ?? []).flatMap((pair) => key('tls', pair.cert, pair.keyType)),
    ];
  });
}

function readable(cluster: string, kind: AuthorityKey['kind'], text: string, onLeftOut: OnLeftOut): string[] {
  try {
    if (kind === 'ssh') readAuthorizedKey(text);
    if (kind !== 'tls') return [text];
    const blocks = splitPem(text, 'CERTIFICATE');
    const own = authoritiesByCluster(blocks).get(cluster) ?? [];
    if (own.length < blocks.length) onLeftOut(`an authority of cluster ${cluster} under another name`);
    return own;
  } catch (error) {
    onLeftOut(`an authority of cluster ${cluster} that cannot be read: ${messageOf(error)}`);
    return [];
  }
}

/** Keys of every authority of a type, leaf clusters included. */
export async function fetchAuthorityKeys(
  { trust }: Pick<AuthClient, 'trust'>,
  type: string,
  onLeftOut?: OnLeftOut,
): Promise<AuthorityKey[]> {
  const { certAuthoritiesV2 } = await trust.getCertAuthorities({ type });
  return certAuthoritiesV2.flatMap((authority) => authorityKeys(authority, onLeftOut));
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
