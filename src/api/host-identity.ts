/**
 * What a service holds after joining: its host certificate with the key, and the authorities it trusts. Kept in
 * `data_dir/identity-<role>.json` (0600) so that a restart needs no token.
 */
import type { Duplex } from 'node:stream';
import type { WebTrust } from '../net/trust.js';
import type { SystemRole } from '../resources/system-role.js';

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

/** After a renewal: whoever holds the identity shows the new certificate from the next connection on. */
export function takeOver(identity: HostIdentity, next: HostIdentity): void {
  Object.assign(identity, next);
}

/**
 * How to reach Auth's gRPC. `proxy`: TLS routing by ALPN through a Proxy's web port. `stream`: TLS inside what a Proxy with
 * separate ports carries to Auth; the address is the Proxy's.
 */
export type AuthRoute =
  | { kind: 'direct'; host: string; port: number }
  | {
      kind: 'proxy';
      host: string;
      port: number;
      /** Environment: HTTPS_PROXY, the authorities of the web, TELEPORT_TLS_ROUTING_CONN_UPGRADE. */
      vars: Record<string, string | undefined>;
      /** Through a WebSocket; undefined when nobody knows. */
      connUpgrade?: boolean;
      /** Authorities of the TLS around the WebSocket. Default: those of the web. */
      webTrust?: Pick<WebTrust, 'ca' | 'systemRoots'>;
    }
  | { kind: 'stream'; host: string; port: number; open: () => Duplex };
