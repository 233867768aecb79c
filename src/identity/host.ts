/** Identities and names of hosts: what Auth writes into the certificates of its services (Teleport 18.3.0, 7.1 and 7.2). */
import { type Identity, newIdentity } from './identity.js';
import type { SystemRole } from './system-role.js';

export interface HostName {
  hostId: string;
  clusterName: string;
  role: SystemRole;
}

/** The identity of a host; `systemRoles` only for `Instance`. */
export function hostIdentity(host: HostName & { expires: Date; systemRoles?: readonly string[] }): Identity {
  return newIdentity({
    username: `${host.hostId}.${host.clusterName}`,
    groups: [host.role],
    teleportCluster: host.clusterName,
    systemRoles: host.role === 'Instance' ? [...(host.systemRoles ?? [])] : [],
    expires: host.expires,
  });
}

/** SANs of a host's TLS certificate: what the host sent, as far as its role may, and Teleport's own names. */
export function hostSans(host: {
  role: SystemRole;
  additionalPrincipals?: readonly string[];
  dnsNames?: readonly string[];
}): string[] {
  const sent = [
    ...(host.additionalPrincipals ?? []),
    ...(MAY_SEND_DNS_NAMES.has(host.role) ? (host.dnsNames ?? []) : []),
  ];
  return [...new Set([...sent, ...(HAS_CLUSTER_NAMES.has(host.role) ? CLUSTER_NAMES : [])])];
}

/** Principals of a host's SSH certificate; of an `Admin` the host id alone. */
export function hostPrincipals(
  host: HostName & { nodeName?: string; additionalPrincipals?: readonly string[] },
): string[] {
  const { hostId, clusterName, nodeName } = host;
  if (host.role === 'Admin') return [`${hostId}.${clusterName}`];
  const named = nodeName ? [`${nodeName}.${clusterName}`, nodeName] : [];
  const loopback = ['localhost', '127.0.0.1', '::1'];
  const all = [`${hostId}.${clusterName}`, hostId, ...named, ...loopback, ...(host.additionalPrincipals ?? [])];
  return [...new Set(all)];
}

/** Every name `hex(cluster).teleport.cluster.local` is found under the wildcard. */
const CLUSTER_NAMES = ['*.teleport.cluster.local', 'teleport.cluster.local'];
const HAS_CLUSTER_NAMES = new Set<SystemRole>([
  'Auth',
  'Admin',
  'Proxy',
  'Kube',
  'App',
  'Db',
  'WindowsDesktop',
  'Okta',
]);
const MAY_SEND_DNS_NAMES = new Set<SystemRole>(['Auth', 'Admin', 'Proxy', 'Relay', 'Kube', 'WindowsDesktop']);
