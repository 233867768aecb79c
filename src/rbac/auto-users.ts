/**
 * Automatic database users: which mode holds for a user on a database, and which database roles the user gets. Pure.
 *
 * Source: database-service.md 1.7, 1.8 and 10.1.
 */
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { autoUserName } from '../resources/auto-user-name.js';
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

/** Labels that name the administrator and the database that it logs in to. */
export const ADMIN_LABEL = 'teleport.dev/db-admin';
export const ADMIN_DATABASE_LABEL = 'teleport.dev/db-admin-default-database';

/** Name of the administrator that makes users, from the resource or a discovered database's label. */
export function adminUserOf(database: Database): string | undefined {
  return database.spec.admin_user?.name || database.metadata.labels?.[ADMIN_LABEL] || undefined;
}

/** The database that the administrator logs in to; undefined: that of the session. */
export function adminDatabaseOf({ spec, metadata }: Database): string | undefined {
  if (spec.admin_user?.name) return spec.admin_user.default_database || undefined;
  return metadata.labels?.[ADMIN_DATABASE_LABEL] || undefined;
}

/** Why this database cannot have automatic users; undefined: it can. */
export type AutoUserLack = 'serverless' | 'type' | 'admin';

export function autoUserLack(database: Database): AutoUserLack | undefined {
  const type = databaseType(database);
  if (type === 'redshift-serverless') return 'serverless';
  if (database.spec.protocol !== 'postgres' || !SUPPORTED_TYPES.has(type)) return 'type';
  return adminUserOf(database) === undefined ? 'admin' : undefined;
}

/** Whether this database's kind can have automatic users and has an administrator to make them. */
export function supportsAutoUsers(database: Database): boolean {
  return autoUserLack(database) === undefined;
}

/**
 * Why a person cannot have an automatic user of this database: her name cannot be one. Undefined: she can.
 *
 * @param remoteUser  what she is called in her own cluster, where that is another one
 */
export function autoUserNameLack(username: string, database: Database, remoteUser?: string): string | undefined {
  try {
    autoUserName(username, database, remoteUser);
    return undefined;
  } catch (error) {
    if (isTeleportError(error, 'BadParameter')) return messageOf(error);
    throw error;
  }
}

/** For lists: why a person whose roles want an automatic user cannot enter this database. */
export const AUTO_USER_LACKS: Record<AutoUserLack, string> = {
  serverless: 'automatic user provisioning is not compatible with Redshift Serverless',
  type: 'this kind of database has no automatic users',
  admin: 'it has no admin_user that could make users',
};

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
  const given = new Set(allowed);
  const refused = requested.find((name) => !given.has(name));
  if (refused !== undefined) throw new TeleportError('AccessDenied', `access to database role "${refused}" denied`);
  return [...requested].sort();
}
