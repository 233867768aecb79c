/** Ways into databases, as Auth lists them, for `tctl access ls` and `tctl access who`. */
import type { AuthClient } from '../../api/client.js';
import { everyPage } from '../../api/pages.js';
import type { Env } from '../../cli/env.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import { isTeleportError, TeleportError } from '../../errors.js';

type Entrance = Awaited<ReturnType<AuthClient['accessReader']['listAccess']>>['entrances'][number];

export function listEntrances(client: AuthClient, of: { user?: string; database?: string }): Promise<Entrance[]> {
  return everyPage('ways into databases', async (start) => {
    const asked = { user: '', database: '', ...of, start };
    const { entrances, next } = await client.accessReader.listAccess(asked).catch((error: unknown) => {
      throw unknownName(error);
    });
    return { items: entrances, next };
  });
}

/** A name that Auth does not know, with where to look it up; any other error as it is. */
export function unknownName(error: unknown): unknown {
  if (!isTeleportError(error, 'NotFound')) return error;
  const { code, message } = error;
  const list = message.startsWith('database ') ? 'tctl db ls' : message.startsWith('"user" ') ? 'tctl users ls' : '';
  return list === '' ? error : new TeleportError(code, message, { cause: error, hint: `"${list}" lists the names.` });
}

/** @param first  what each row begins with */
export async function printEntrances(
  env: Env,
  found: readonly Entrance[],
  { format, first, nothing }: { format: 'text' | 'json'; first: 'user' | 'database'; nothing: string },
): Promise<void> {
  if (format === 'json') return printJson(env, found.map(documentOf));
  if (found.length === 0) return printLine(env, nothing);
  await printTable(env, {
    titles: [
      first === 'user' ? 'User' : 'Database',
      'Role',
      'Database Users',
      'Database Names',
      'Database Roles',
      'MFA',
    ],
    rows: found.map((way) => [
      way[first],
      way.role,
      `${listText(way.dbUsers)}${way.automatic ? ' (Auto-provisioned)' : ''}`,
      listText(way.dbNames),
      listText(way.dbRoles),
      way.asksMfa ? 'yes' : '',
    ]),
    cut: ['Database Users', 'Database Names', 'Database Roles'],
  });
}

const listText = (names: readonly string[]): string => (names.length === 0 ? '' : `[${names.join(' ')}]`);

function documentOf({ user, database, role, dbUsers, dbNames, dbRoles, automatic, asksMfa }: Entrance): object {
  return {
    user,
    database,
    role,
    db_users: dbUsers,
    db_names: dbNames,
    ...(dbRoles.length > 0 ? { db_roles: dbRoles } : {}),
    automatic_user: automatic,
    asks_mfa: asksMfa,
  };
}
