/** Authority lines for OpenSSH: of the host CA for `known_hosts`, of the user CA for `authorized_keys`. No newline. */
import type { KeyObject } from 'node:crypto';
import { TeleportError } from '../errors.js';
import { authorizedKeyLine } from '../pki/ssh/certificate.js';

/** What would end a pattern of `known_hosts`, begin another one, or match more than one name. */
const NOT_IN_PATTERN = /[\s\p{C},*?!|#]/u;

/** `@cert-authority PROXY,CLUSTER,*.CLUSTER TYPE BASE64 type=host`; `tctl` leaves the proxy out. @throws BadParameter for a cluster of no such name */
export function knownHostsLine(options: { proxyHost?: string; cluster: string; key: KeyObject }): string {
  const { proxyHost, cluster, key } = options;
  if (cluster === '' || NOT_IN_PATTERN.test(cluster)) {
    throw new TeleportError('BadParameter', `${JSON.stringify(cluster)} cannot be the name of a cluster`);
  }
  const hosts = [...(proxyHost ? [proxyHost] : []), cluster, `*.${cluster}`];
  return `@cert-authority ${hosts.join(',')} ${authorizedKeyLine(key, 'type=host')}`;
}
