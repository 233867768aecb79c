/**
 * What a service holds after joining: its host certificate with the key, and the authorities it trusts. Kept in
 * `data_dir/identity-<role>.json` (0600) so that a restart needs no token.
 */
import type { SystemRole } from '../resources/types.js';

export interface HostIdentity {
  /** UUID of this host; the same for every role of one process. */
  hostId: string;
  role: SystemRole;
  nodename: string;
  clusterName: string;
  /** TLS: one leaf signed by the Host CA (subject: certificates.md 7.1), and its key. PEM. */
  certPem: string;
  keyPem: string;
  /** SSH host certificate line; nothing of ours needs it. */
  sshCert?: string;
  /** Host CA certificates of the cluster, PEM. */
  hostCaPems: string[];
}

/** How to reach Auth's gRPC. `proxy`: TLS routing by ALPN through a Proxy's web port. */
export type AuthRoute =
  | { kind: 'direct'; host: string; port: number }
  /** `connUpgrade`: through a WebSocket; undefined when nobody knows. */
  | { kind: 'proxy'; host: string; port: number; connUpgrade?: boolean };
