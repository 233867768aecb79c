/**
 * Whether a session's user in the database is made for it, and as what. What cannot be is refused here, before anything else is
 * said about the user: the session would otherwise run as whoever happens to bear the person's name in the database.
 *
 * Source: database-service.md 1.7, 1.8 and 10.1; seed 002 for Serverless.
 */
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { isServerError } from '../pg/server-error.js';
import {
  AUTO_USER_LACKS,
  type AutoUserLack,
  adminDatabaseOf,
  adminUserOf,
  autoUserLack,
  autoUserMode,
  autoUserRoles,
  roleMode,
} from '../rbac/auto-users.js';
import { autoUserName } from '../resources/auto-user-name.js';
import type { Database, Role, Traits } from '../resources/types.js';
import type { KeptMode } from './user-dialect.js';

export interface AutoUser {
  /** As the server has it. */
  name: string;
  /** Whose it is: the person's name in this cluster. Two people never share one. */
  owner: string;
  mode: KeptMode;
  /** Database roles, sorted. */
  roles: string[];
  admin: Admin;
}

/** Who makes users, and the database that this is done in. */
export interface Admin {
  name: string;
  database: string;
}

export interface AutoUserWish {
  username: string;
  /** Her name in her own cluster, where that is another one. */
  remoteUser?: string | undefined;
  roles: readonly Role[];
  traits: Traits;
  database: Database;
  dbName: string;
  /** `--db-roles`; empty means all. */
  dbRoles: readonly string[];
}

const NEEDS = 'your Teleport role requires automatic database user provisioning but';
const WHO = 'contact your Teleport administrator';

/** @throws NotImplemented, BadParameter or AccessDenied with Teleport's texts; undefined: the user is not made */
export function autoUserOf(wish: AutoUserWish): AutoUser | undefined {
  const { username, remoteUser, roles, traits, database, dbName, dbRoles } = wish;
  const mode = autoUserMode(roles, database, traits);
  if (mode === 'off') return undefined;
  const lack = autoUserLack(database);
  if (lack !== undefined) throw lacking(lack, roles);
  return {
    name: autoUserName(username, database, remoteUser),
    owner: username,
    mode,
    roles: autoUserRoles(roles, database, dbRoles, traits),
    admin: { name: adminUserOf(database)!, database: adminDatabaseOf(database) ?? dbName },
  };
}

function lacking(lack: AutoUserLack, roles: readonly Role[]): TeleportError {
  const what = lack === 'admin' ? "doesn't have admin user configured" : "doesn't support it";
  const names = roles.filter((role) => roleMode(role) !== 'off').map(({ metadata }) => `role/${metadata.name}`);
  const way =
    lack === 'admin'
      ? 'Set admin_user of the database, or its label teleport.dev/db-admin.'
      : `Let labels in ${names.join(', ')} select other databases only, and give people of this one a role with db_users.`;
  return new TeleportError('NotImplemented', `${NEEDS} this database ${what}, ${WHO}`, {
    hint: `Automatic users: ${AUTO_USER_LACKS[lack]}. ${way}`,
  });
}

/** What the client hears of a user that could not be made or enabled. */
export function notActivated(user: string, cause: unknown): TeleportError {
  const detail = isServerError(cause) && cause.detail ? ` (${cause.detail})` : '';
  return new TeleportError(
    isTeleportError(cause) ? cause.code : 'ConnectionProblem',
    `${NEEDS} an attempt to activate database user "${user}" failed due to the following error: ${messageOf(cause)}${detail}`,
    { cause, hint: isTeleportError(cause) ? cause.hint : undefined },
  );
}
