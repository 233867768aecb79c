/**
 * Automatic users of PostgreSQL. A user can be enabled and disabled by LOGIN; roles have grantors since version 16, and there
 * the administrator needs ADMIN OPTION on each role, where CREATEROLE was enough before.
 *
 * Source: PostgreSQL manual, "CREATE ROLE", "ALTER ROLE", "GRANT", "REVOKE", "pg_auth_members", "pg_stat_activity", and "Role
 * Membership"; for `search_path` its page "Writing SECURITY DEFINER Functions Safely".
 */

import type { PgSession } from '../pg/session.js';
import { NAME_BYTES } from '../resources/database-user.js';
import {
  BOOKKEEPING_ROLE,
  byName,
  DROP_ROLE,
  type HeldRole,
  listed,
  modeOf,
  placesAfter,
  quoted,
  SERVER_TIMEOUT_MS,
  type UserDialect,
  type UserFacts,
} from './user-dialect.js';

/**
 * Of sessions only what everybody may see: who may not read statistics sees no kind of backend.
 *
 * One row for each thing that is known: what it is, its name, and more about it.
 */
const FACTS = (wanted: readonly string[]) => `
SELECT 'me', current_user::text, (rolsuper OR rolcreaterole)::text FROM pg_roles WHERE rolname = current_user
UNION ALL SELECT 'version', current_setting('server_version_num'), ''
UNION ALL SELECT 'user', rolname::text, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')::text FROM pg_roles WHERE rolname::text = $1
UNION ALL SELECT 'role', r.rolname::text, g.rolname::text FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member
  JOIN pg_roles r ON r.oid = m.roleid LEFT JOIN pg_roles g ON g.oid = m.grantor WHERE u.rolname::text = $1
UNION ALL SELECT 'administers', r.rolname::text, '' FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member
  JOIN pg_roles r ON r.oid = m.roleid WHERE u.rolname::text = $1 AND m.admin_option
UNION ALL SELECT 'session', pid::text, '' FROM pg_stat_activity WHERE usename::text = $1
UNION ALL SELECT 'known', rolname::text, pg_has_role(oid, 'MEMBER WITH ADMIN OPTION')::text FROM pg_roles
  WHERE rolname::text IN (${placesAfter(1, wanted)})`;

const ABANDONED = `
SELECT u.rolname::text, EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
  WHERE m.member = u.oid AND r.rolname = '${DROP_ROLE}')::text FROM pg_roles u JOIN pg_auth_members b ON b.member = u.oid JOIN pg_roles t ON t.oid = b.roleid
WHERE t.rolname = '${BOOKKEEPING_ROLE}' AND u.rolname <> current_user
GROUP BY u.oid, u.rolname, u.rolcanlogin
HAVING NOT bool_or(b.admin_option)
  AND (u.rolcanlogin OR EXISTS (SELECT 1 FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
    WHERE m.member = u.oid AND r.rolname <> '${BOOKKEEPING_ROLE}'))
  AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.usesysid = u.oid)`;

/** Since then a membership has a grantor of its own, and CREATEROLE alone gives nothing away. */
const WITH_GRANTORS = 160_000;

/** In the session's database people can make functions and operators of any name. */
const BEGIN = [
  'BEGIN',
  'SET LOCAL search_path TO pg_catalog',
  `SET LOCAL statement_timeout TO ${SERVER_TIMEOUT_MS}`,
  'SET LOCAL lock_timeout TO 0',
].join('; ');

export const POSTGRES_USERS: UserDialect = {
  begin: BEGIN,
  makeRole: (role) => `CREATE ROLE ${quoted(role)}`,
  facts,
  create: (user, roles) => [
    `CREATE ROLE ${quoted(user)} LOGIN IN ROLE ${quoted(BOOKKEEPING_ROLE)}`,
    ...grantsOf(user, roles),
  ],
  enable: (user, { revoke, grant }) => [
    // Somebody could have set a password in an earlier session.
    `ALTER ROLE ${quoted(user)} LOGIN PASSWORD NULL`,
    ...revokesOf(user, revoke),
    ...grantsOf(user, grant),
  ],
  disable: (user, roles) => [`ALTER ROLE ${quoted(user)} NOLOGIN PASSWORD NULL`, ...revokesOf(user, roles)],
  drop: (user) => `DROP ROLE ${quoted(user)}`,
  revokesQuietly: true,
  async abandoned(session) {
    await session.query(BEGIN);
    const { rows } = await session.execute(ABANDONED);
    await session.query('ROLLBACK');
    return rows.map(([name, isToBeDropped]) => ({ name: name!, mode: modeOf(isToBeDropped === 'true') }));
  },
  isSameRole: (one, other) => one === other,
};

const grantsOf = (user: string, roles: readonly string[]) =>
  roles.length > 0 ? [`GRANT ${listed(roles)} TO ${quoted(user)}`] : [];

const revokesOf = (user: string, roles: readonly HeldRole[]) =>
  roles.map(({ name, grantor }) => {
    return `REVOKE ${quoted(name)} FROM ${quoted(user)}${grantor === undefined ? '' : ` GRANTED BY ${quoted(grantor)}`} CASCADE`;
  });

async function facts(session: PgSession, user: string, wanted: readonly string[]): Promise<UserFacts> {
  const looked = [...new Set([BOOKKEEPING_ROLE, ...wanted])];
  const { rows } = await session.execute(FACTS(looked), [user, ...looked]);
  const of = (kind: string) =>
    rows.filter(([one]) => one === kind).map(([, name, more]) => [name!, more ?? ''] as const);
  const [[said = '', mayCreate] = []] = of('me');
  // What it says is shown to people: no name is longer, and it was asked for no others.
  const me = said.slice(0, NAME_BYTES.postgres);
  const hasGrantors = Number(of('version')[0]?.[0]) >= WITH_GRANTORS;
  const held = of('role');
  const known = of('known')
    .filter(([name]) => looked.includes(name))
    .slice(0, looked.length);
  const isBookkeeping = ([name]: readonly [string, string]) => name === BOOKKEEPING_ROLE;
  // Who made the bookkeeping role is a member too, with the right to make others one.
  const isOurs = held.some(isBookkeeping) && !of('administers').some(isBookkeeping) && user !== me;
  const unruled = [...known, ...(isOurs ? of('user').slice(0, 1) : [])]
    .filter(([, rules]) => hasGrantors && rules !== 'true')
    .map(([name]) => name)
    .sort();
  return {
    exists: of('user').length > 0,
    isOurs,
    roles: held
      .filter((role) => !isBookkeeping(role))
      .map(([name, grantor]) => ({ name, grantor: hasGrantors ? grantor : undefined }))
      .sort(byName),
    sessions: of('session').map(([pid]) => pid),
    missing: looked.filter((name) => !known.some(([one]) => one === name)),
    grants: [
      ...(mayCreate === 'true' ? [] : [`ALTER ROLE ${quoted(me)} CREATEROLE;`]),
      ...unruled.map((name) => `GRANT ${quoted(name)} TO ${quoted(me)} WITH ADMIN OPTION;`),
    ],
  };
}
