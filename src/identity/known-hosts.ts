/** Authority lines for OpenSSH: of the host CA for `known_hosts`, of the user CA for `authorized_keys`. No newline. */
import type { KeyObject } from 'node:crypto';
import { authorizedKeyLine } from '../pki/ssh.js';

/** `@cert-authority PROXY,CLUSTER,*.CLUSTER TYPE BASE64 type=host`; `tctl` leaves the proxy out. */
export function knownHostsLine(options: { proxyHost?: string; cluster: string; key: KeyObject }): string {
  const { proxyHost, cluster, key } = options;
  const hosts = [...(proxyHost ? [proxyHost] : []), cluster, `*.${cluster}`];
  return `@cert-authority ${hosts.join(',')} ${authorizedKeyLine(key, 'type=host')}`;
}
