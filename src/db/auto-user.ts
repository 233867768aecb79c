/**
 * Automatic database users. They are not made here yet: where a role asks for one the connection is refused, because the
 * session would otherwise run as whoever happens to bear the person's name in the database.
 *
 * Source: database-service.md 10.1 (texts).
 */
import { TeleportError } from '../errors.js';
import { adminUserOf, autoUserMode, supportsAutoUsers } from '../rbac/auto-users.js';
import type { Session } from './session.js';

const REQUIRED = 'your Teleport role requires automatic database user provisioning but';
const ASK = 'contact your Teleport administrator';

/** @throws BadParameter, NotImplemented when a role wants an automatic user in this database */
export function refuseAutoUser({ roles, database, traits, dbUser }: Session): void {
  if (autoUserMode(roles, database, traits) === 'off') return;
  if (supportsAutoUsers(database)) {
    throw new TeleportError(
      'NotImplemented',
      `${REQUIRED} an attempt to activate database user "${dbUser}" failed due to the following error: this agent does not provision database users`,
      { hint: 'Set create_db_user_mode of the role to "off" and make the user in the database.' },
    );
  }
  throw new TeleportError(
    'BadParameter',
    adminUserOf(database) === undefined && supportsAutoUsers(withAdmin(database))
      ? `${REQUIRED} this database doesn't have admin user configured, ${ASK}`
      : `${REQUIRED} this database doesn't support it, ${ASK}`,
  );
}

function withAdmin(database: Session['database']): Session['database'] {
  return { ...database, spec: { ...database.spec, admin_user: { name: 'admin' } } };
}
