/**
 * Automatic database users: which mode holds for a user on a database, and which database roles the user gets. Pure.
 *
 * Source: database-service.md 1.7, 1.8 and 10.1.
 */
import { TeleportError } from '../errors.js';
import { databaseType } from '../resources/database-type.js';
import type { CreateDbUserMode, Database, Role, Traits } from '../resources/types.js';
import { matchesDatabase } from './match.js';

const RANK: Record<CreateDbUserMode, number> = { off: 1, keep: 2, best_effort_drop: 3 };
const SUPPORTED_TYPES = new Set(['self-hosted', 'rds', 'redshift']);

/** The mode of one role: `create_db_user: true` alone means `keep`. */
export function roleMode(role: Role): CreateDbUserMode {
  const { create_db_user_mode: mode, create_db_user: old } = role.spec.options;
  return mode ?? (old ? 'keep' : 'off');
}

/** The strongest enabled mode among the roles whose labels match; `off` in one role does not switch off another. */
export function autoUserMode(roles: readonly Role[], database: Database, traits: Traits = {}): CreateDbUserMode {
  return roles
    .filter((role) => roleMode(role) !== 'off' && matchesDatabase(role.spec.allow, database, 'allow', traits))
    .map(roleMode)
    .reduce<CreateDbUserMode>((best, mode) => (RANK[mode] > RANK[best] ? mode : best), 'off');
}

/** Name of the administrator that makes users, from the resource or a discovered database's label. */
export function adminUserOf(database: Database): string | undefined {
  return database.spec.admin_user?.name || database.metadata.labels?.['teleport.dev/db-admin'] || undefined;
}

/** Whether this database's kind can have automatic users and has an administrator to make them. */
export function supportsAutoUsers(database: Database): boolean {
  return (
    database.spec.protocol === 'postgres' &&
    SUPPORTED_TYPES.has(databaseType(database)) &&
    adminUserOf(database) !== undefined
  );
}

/**
 * The database roles for an automatic user.
 *
 * @param requested  `--db-roles`; empty means all
 * @param traits  for label expressions
 * @throws AccessDenied for a requested role that is not allowed
 */
export function autoUserRoles(
  roles: readonly Role[],
  database: Database,
  requested: readonly string[],
  traits: Traits = {},
): string[] {
  const enabled = roles.filter((role) => roleMode(role) !== 'off');
  if (enabled.length === 0) return [];
  const denied = new Set(
    enabled
      .filter((role) => matchesDatabase(role.spec.deny, database, 'deny', traits))
      .flatMap((role) => role.spec.deny.db_roles ?? []),
  );
  const allowed = [
    ...new Set(
      enabled
        .filter((role) => matchesDatabase(role.spec.allow, database, 'allow', traits))
        .flatMap((role) => role.spec.allow.db_roles ?? []),
    ),
  ]
    .filter((name) => !denied.has(name))
    .sort();
  if (requested.length === 0) return allowed;
  const refused = requested.find((name) => !allowed.includes(name));
  if (refused !== undefined) throw new TeleportError('AccessDenied', `access to database role "${refused}" denied`);
  return [...requested].sort();
}
