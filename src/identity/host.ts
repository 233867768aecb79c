/** Identities and names of hosts: what Auth writes into the certificates of its services (Teleport 18.3.0, 7.1 and 7.2). */

import { X509Certificate } from 'node:crypto';
import { canonicalIp, LOOPBACK_NAMES } from '../ip.js';
import { readCertificate } from '../pki/x509.js';
import { type SystemRole, systemRoleOf } from '../resources/system-role.js';
import { type Identity, newIdentity } from './identity.js';

const DAY_MS = 86_400_000;
/** Life of a host's certificate, and from when on it is renewed. */
export const HOST_TTL_MS = 30 * DAY_MS;
const RENEW_AFTER_MS = 10 * DAY_MS;

/** From when on a host's certificate is to be renewed; one of a shorter life after a third of it. */
export function renewalOf(certPem: string): Date {
  const { notBefore, notAfter } = readCertificate(certPem);
  const lifeMs = notAfter.getTime() - notBefore.getTime();
  return new Date(notBefore.getTime() + Math.min(RENEW_AFTER_MS, lifeMs / 3));
}

/** Names and addresses that a host's certificate is good for. */
export function hostNamesOf(certificate: string | Buffer): string[] {
  const { subjectAltName = '' } = new X509Certificate(certificate);
  return subjectAltName
    .split(', ')
    .map((name) => name.replace(/^(DNS|IP Address):/, ''))
    .filter(Boolean)
    .map((name) => canonicalIp(name) ?? name);
}

export interface HostName {
  hostId: string;
  clusterName: string;
  role: SystemRole;
}

/** Trait of an agent whose join token says which databases it may offer; the Proxy asks Auth about such a one. */
const BOUND = 'teleshift.dev/bound';

export const isBound = ({ traits }: Pick<Identity, 'traits'>): boolean => traits[BOUND] !== undefined;

/** The identity of a host; `systemRoles` only for `Instance`. */
export function hostIdentity(
  host: HostName & { expires: Date; systemRoles?: readonly string[]; isBound?: boolean },
): Identity {
  return newIdentity({
    username: fullHostId(host),
    groups: [host.role],
    teleportCluster: host.clusterName,
    systemRoles: host.role === 'Instance' ? [...(host.systemRoles ?? [])] : [],
    expires: host.expires,
    ...(host.isBound ? { traits: { [BOUND]: ['yes'] } } : {}),
  });
}

function fullHostId({ hostId, clusterName }: Pick<HostName, 'hostId' | 'clusterName'>): string {
  return `${hostId}.${clusterName}`;
}

/** The host id in the name that a host's certificate bears; undefined for a host of another cluster. */
export function hostIdIn(username: string, clusterName: string): string | undefined {
  const end = fullHostId({ hostId: '', clusterName });
  return username.endsWith(end) ? username.slice(0, -end.length) : undefined;
}

/**
 * SANs of a host's TLS certificate: what it asked for and Teleport's own names. Who is never dialled has no use for a name, and
 * could be taken for whoever has it: a token for an agent would be one for an Auth Service.
 */
export function hostSans(host: {
  role: SystemRole;
  additionalPrincipals?: readonly string[];
  dnsNames?: readonly string[];
}): string[] {
  if (!ANSWERS_CLIENTS.has(host.role)) return [];
  return [...new Set([...(host.additionalPrincipals ?? []), ...(host.dnsNames ?? []), ...CLUSTER_NAMES])];
}

/** Principals of a host's SSH certificate; of an `Admin` the host id alone, and of who is never dialled nothing but the id. */
export function hostPrincipals(
  host: HostName & { nodeName?: string; additionalPrincipals?: readonly string[] },
): string[] {
  const { hostId, clusterName, nodeName } = host;
  if (host.role === 'Admin') return [fullHostId(host)];
  const ids = [fullHostId(host), hostId];
  if (!ANSWERS_CLIENTS.has(host.role)) return ids;
  const named = nodeName ? [`${nodeName}.${clusterName}`, nodeName] : [];
  return [...new Set([...ids, ...named, ...LOOPBACK_NAMES, ...(host.additionalPrincipals ?? [])])];
}

/** Every name `hex(cluster).teleport.cluster.local` is found under the wildcard. */
const CLUSTER_NAMES = ['*.teleport.cluster.local', 'teleport.cluster.local'];

/** Roles of services that people and hosts dial. The Auth Service itself shows a certificate of role `Admin`. */
const ANSWERS_CLIENTS = new Set<SystemRole>(['Auth', 'Admin', 'Proxy']);

/** Whether the certificate of a server, verified already, is one of the Auth Service or a Proxy, whichever name it bears. */
export function answersClients(organizations: readonly string[]): boolean {
  const role = systemRoleOf({ groups: organizations });
  return role !== undefined && ANSWERS_CLIENTS.has(role);
}
