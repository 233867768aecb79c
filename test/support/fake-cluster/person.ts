/** Who a certificate of the fake cluster is about, as Teleport 18.3.0 writes it: an X.509 subject and SSH extensions. */
import { randomUUID } from 'node:crypto';
import type { CertificateOptions } from '../ca.js';

export interface Person {
  name: string;
  roles: string[];
  cluster: string;
  /** The cluster that the certificate leads to. */
  route: string;
  database?: { serviceName?: string; protocol?: string; username?: string; database?: string } | undefined;
  /** Ids of access requests. */
  requests: string[];
  /** `/cluster/kind/name`; undefined: all that the roles allow. */
  resources: string[] | undefined;
}

const TRAITS = '{"db_users":["reader"],"logins":null}';
const LOGIN_IP = '127.0.0.1';
const KEY_POLICY = 'none';

/** A name that nobody has, where a user has no logins, and Teleport's own. */
export const principals = () => [`-teleport-nologin-${randomUUID()}`, '-teleport-internal-join'];

export function subjectOf(person: Person, logins: string[]): NonNullable<CertificateOptions['subject']> {
  const { database } = person;
  const attributes: [oid: string, values: (string | undefined)[]][] = [
    ['2.5.4.10', person.roles],
    ['2.5.4.7', logins],
    ['2.5.4.9', [person.route]],
    ['2.5.4.17', [TRAITS]],
    ['2.5.4.3', [person.name]],
    ['1.3.9999.1.7', [person.cluster]],
    ['1.3.9999.1.9', [LOGIN_IP]],
    ['1.3.9999.2.1', [database?.serviceName]],
    ['1.3.9999.2.2', [database?.protocol]],
    ['1.3.9999.2.3', [database?.username]],
    ['1.3.9999.2.4', [database?.database]],
    ['1.3.9999.2.8', person.requests],
    ['1.3.9999.2.10', [person.resources && JSON.stringify(person.resources)]],
    ['1.3.9999.1.15', [KEY_POLICY]],
  ];
  return attributes.map(([oid, values]) => ({
    oid,
    values: values.filter((value) => value !== undefined && value !== ''),
  })) as never;
}

export function sshExtensions({ roles, route, requests, resources }: Person): Record<string, string> {
  return {
    'permit-pty': '',
    'teleport-roles': JSON.stringify({ roles }),
    'teleport-traits': TRAITS,
    'teleport-route-to-cluster': route,
    'login-ip': LOGIN_IP,
    'private-key-policy': KEY_POLICY,
    ...(requests.length > 0 ? { 'teleport-active-requests': JSON.stringify({ access_requests: requests }) } : {}),
    ...(resources ? { 'teleport-allowed-resources': JSON.stringify(resources) } : {}),
  };
}
