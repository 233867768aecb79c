/**
 * May this caller do that to resources of this kind: the rules of roles, the implicit role of every user, and the built-in
 * roles of hosts. Pure. A rule with a `where` cannot be evaluated here: in allow it grants nothing, in deny it refuses.
 * Texts of refusals: cli.md 5. Implicit role: database-service.md 3.
 */
import { TeleportError } from '../errors.js';
import type { SystemRole } from '../resources/system-role.js';
import type { Rule } from '../resources/types.js';
import type { Who } from './who.js';

export type Verb = 'list' | 'create' | 'read' | 'readnosecrets' | 'update' | 'delete';

/** @throws TeleportError `AccessDenied`, naming each verb that is missing, in the order in which they are asked for */
export function requireRule(who: Who, kind: string, ...verbs: Verb[]): void {
  const missing = verbs.filter((verb) => !isAllowed(who, kind, verb));
  if (missing.length === 0) return;
  const text = missing.map((verb) => `access denied to perform action "${verb}" on "${kind}"`).join(', ');
  throw new TeleportError('AccessDenied', text);
}

export function isAllowed(who: Who, kind: string, verb: Verb): boolean {
  if (who.kind === 'nobody' || who.kind === 'leaf') return false;
  if (who.kind === 'host') return hostMay(who.role, kind, verb);
  const isDenied = who.roles.some(({ spec }) => grants(spec.deny.rules, kind, verb, true));
  if (isDenied) return false;
  return (
    grants(IMPLICIT, kind, verb, false) || who.roles.some(({ spec }) => grants(spec.allow.rules, kind, verb, false))
  );
}

function grants(rules: readonly Rule[] | undefined, kind: string, verb: Verb, countsWhere: boolean): boolean {
  return (rules ?? []).some(
    ({ resources, verbs, where }) =>
      (countsWhere || !where) &&
      (resources.includes(kind) || resources.includes('*')) &&
      (verbs.includes(verb) || verbs.includes('*') || (verb === 'readnosecrets' && verbs.includes('read'))),
  );
}

/** `default-implicit-role`, as far as there are such kinds here. */
const IMPLICIT: Rule[] = [
  {
    resources: [
      'auth_server',
      'proxy',
      'cluster_auth_preference',
      'cluster_name',
      'cluster_networking_config',
      'session_recording_config',
      'remote_cluster',
      'db_server',
      'db',
    ],
    verbs: ['list', 'read'],
  },
  { resources: ['cert_authority'], verbs: ['list', 'readnosecrets'] },
];

const READ: Verb[] = ['list', 'read', 'readnosecrets'];
const ALL: Verb[] = [...READ, 'create', 'update', 'delete'];

/** What the built-in roles may do; `Admin` may do everything, other hosts nothing. */
const HOSTS: Partial<Record<SystemRole, Record<string, Verb[]>>> = {
  Proxy: {
    cert_authority: ['list', 'readnosecrets'],
    user: READ,
    role: READ,
    db: READ,
    db_server: READ,
    lock: READ,
    proxy: ALL,
    cluster_auth_preference: READ,
    cluster_name: READ,
    cluster_networking_config: READ,
    remote_cluster: READ,
  },
  Db: {
    cert_authority: ['list', 'readnosecrets'],
    user: READ,
    role: READ,
    db: READ,
    db_server: ALL,
    lock: READ,
    proxy: READ,
    cluster_auth_preference: READ,
    cluster_name: READ,
    cluster_networking_config: READ,
  },
  /** Of databases, those of the cloud alone: `auth/databases.ts`. */
  Discovery: {
    cert_authority: ['list', 'readnosecrets'],
    cluster_name: READ,
    db: ALL,
  },
};

function hostMay(role: SystemRole, kind: string, verb: Verb): boolean {
  return role === 'Admin' || (HOSTS[role]?.[kind]?.includes(verb) ?? false);
}
