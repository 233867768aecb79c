/**
 * Automatic database users. They are not made here: where a role of an older store asks for one (new roles with it are
 * refused, `resources/served.ts`) the connection is refused before anything else is said about the user, because the
 * session would otherwise run as whoever happens to bear the person's name in the database.
 *
 * Source: database-service.md 10.1 (the first half of the text).
 */
import { TeleportError } from '../errors.js';
import { autoUserMode, roleMode } from '../rbac/auto-users.js';
import type { DatabaseSession } from './session.js';

/** @throws NotImplemented when a role wants an automatic user in this database */
export function refuseAutoUser({ roles, database, traits }: DatabaseSession): void {
  if (autoUserMode(roles, database, traits) === 'off') return;
  const names = roles.filter((role) => roleMode(role) !== 'off').map(({ metadata }) => metadata.name);
  throw new TeleportError(
    'NotImplemented',
    'your Teleport role requires automatic database user provisioning but this cluster does not make database users, ' +
      'contact your Teleport administrator',
    {
      hint:
        `Take create_db_user_mode out of ${names.map((name) => `role/${name}`).join(', ')} (tctl edit), make the user in ` +
        'the database and list it in db_users.',
    },
  );
}
