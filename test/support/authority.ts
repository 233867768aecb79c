/** What another cluster says its authority is, with whatever certificates and keys. */
import type { CaType, CertAuthority } from '../../src/resources/types.js';

const base64 = (text: string) => Buffer.from(text).toString('base64');

export interface SaidKeys {
  /** PEM. */
  certs: readonly string[];
  /** Lines of authorized_keys. */
  ssh?: readonly string[];
  type?: CaType;
}

export function authorityFor(cluster: string, { certs, ssh = [], type = 'host' }: SaidKeys): CertAuthority {
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: cluster, labels: { any: 'thing' } },
    spec: {
      type,
      cluster_name: cluster,
      active_keys: {
        tls: certs.map((cert) => ({ cert: base64(cert), key: 'secret' })),
        ssh: ssh.map((line) => ({ public_key: base64(line), private_key: 'secret' })),
      },
      additional_trusted_keys: {},
    },
  };
}
