/**
 * Which database users, names and roles a person may use on a database: what `tsh db ls` shows and `tsh db login` picks
 * from. Pure; the service decides for itself.
 *
 * Source: database-service.md 1.10, cli.md 4.1 and 4.4.
 */
import type { Database, Role, RoleConditions, Traits } from '../resources/types.js';
import { autoUserMode, autoUserRoles, supportsAutoUsers } from './auto-users.js';
import { hasNamespace, matchesDatabase } from './match.js';

export interface Allowed {
  /** Sorted; may hold `*`. */
  allowed: string[];
  /** Sorted. */
  denied: string[];
  autoProvisioned?: boolean;
}

/** With automatic users the only one is the person's own name. */
export function allowedUsers(
  roles: readonly Role[],
  database: Database,
  username: string,
  traits: Traits = {},
): Allowed {
  if (supportsAutoUsers(database) && autoUserMode(roles, database, traits) !== 'off') {
    return { allowed: [username], denied: [], autoProvisioned: true };
  }
  return collect(roles, database, traits, ({ db_users }) => db_users);
}

export function allowedNames(roles: readonly Role[], database: Database, traits: Traits = {}): Allowed {
  return collect(roles, database, traits, ({ db_names }) => db_names);
}

export function databaseRolesOf(roles: readonly Role[], database: Database, traits: Traits = {}): string[] {
  return supportsAutoUsers(database) ? autoUserRoles(roles, database, [], traits) : [];
}

function collect(
  roles: readonly Role[],
  database: Database,
  traits: Traits,
  entries: (conditions: RoleConditions) => string[] | undefined,
): Allowed {
  const denied = new Set(
    roles.filter(({ spec }) => hasNamespace(spec.deny)).flatMap(({ spec }) => entries(spec.deny) ?? []),
  );
  const allowed = roles
    .filter(({ spec }) => matchesDatabase(spec.allow, database, 'allow', traits))
    .flatMap(({ spec }) => entries(spec.allow) ?? []);
  if (denied.has('*')) return { allowed: [], denied: [...denied].sort() };
  return { allowed: [...new Set(allowed)].filter((entry) => !denied.has(entry)).sort(), denied: [...denied].sort() };
}
