/**
 * Automatic users of a Redshift cluster. A user can be enabled and disabled by a limit of connections. Each look is a statement
 * of its own: tables of the leader node and others cannot stand in one.
 *
 * Source: Amazon Redshift Database Developer Guide, pages `r_CREATE_USER`, `r_ALTER_USER`, `r_DROP_USER`, `r_CREATE_ROLE`, `r_GRANT`,
 * `r_REVOKE`, `r_SVV_USER_GRANTS`, `r_SVV_ROLES`, `r_STV_SESSIONS`, `r_SVL_USER_INFO`, `r_statement_timeout`, and `r_names` for
 * capital letters; database-service.md 10.4 for what tells a user of ours and an active one.
 */
import type { PgSession } from '../pg/session.js';
import {
  type AbandonedUser,
  BOOKKEEPING_ROLE,
  byName,
  DROP_ROLE,
  modeOf,
  quoted,
  SERVER_TIMEOUT_MS,
  type UserDialect,
  type UserFacts,
} from './user-dialect.js';

/** Width of `stv_sessions.user_name`. */
const SESSION_NAME_CHARS = 50;

export const REDSHIFT_USERS: UserDialect = {
  begin: `SET statement_timeout TO ${SERVER_TIMEOUT_MS}; BEGIN`,
  makeRole: (role) => `CREATE ROLE ${quoted(role)}`,
  facts,
  create: (user, roles) => [
    `CREATE USER ${quoted(user)} PASSWORD DISABLE`,
    ...[BOOKKEEPING_ROLE, ...roles].map((role) => grant(role, user)),
  ],
  enable: (user, { revoke, grant: given }) => [
    `ALTER USER ${quoted(user)} CONNECTION LIMIT UNLIMITED`,
    ...revoke.map(({ name }) => take(name, user)),
    ...given.map((role) => grant(role, user)),
  ],
  disable: (user, roles) => [
    `ALTER USER ${quoted(user)} CONNECTION LIMIT 0`,
    ...roles.map(({ name }) => take(name, user)),
  ],
  drop: (user) => `DROP USER ${quoted(user)}`,
  revokesQuietly: false,
  abandoned,
  isSameRole: (one, other) => one.toLowerCase() === other.toLowerCase(),
};

const grant = (role: string, user: string) => `GRANT ROLE ${quoted(role)} TO ${quoted(user)}`;
const take = (role: string, user: string) => `REVOKE ROLE ${quoted(role)} FROM ${quoted(user)}`;

async function facts(session: PgSession, user: string, wanted: readonly string[]): Promise<UserFacts> {
  const rows = async (sql: string, ...values: string[]) => (await session.execute(sql, values)).rows;
  const users = await rows('SELECT usename FROM pg_catalog.pg_user WHERE usename = $1', user);
  const grants = await rows(
    'SELECT role_name, admin_option FROM pg_catalog.svv_user_grants WHERE user_name = $1',
    user,
  );
  const sessions = await rows(
    'SELECT process FROM pg_catalog.stv_sessions WHERE user_name IN ($1, $2)',
    ...sessionNames(user),
  );
  const known = (await rows('SELECT role_name FROM pg_catalog.svv_roles')).map(([name]) => name!);
  const isBookkeeping = ([role]: (string | null)[]) => role === BOOKKEEPING_ROLE;
  return {
    exists: users.length > 0,
    isOurs: grants.some((row) => isBookkeeping(row) && !isTrue(row[1])),
    roles: grants
      .filter((row) => !isBookkeeping(row))
      .map(([name]) => ({ name: name! }))
      .sort(byName),
    sessions: sessions.map(([process]) => process!),
    missing: [BOOKKEEPING_ROLE, ...wanted].filter((name) => !known.some((one) => REDSHIFT_USERS.isSameRole(one, name))),
    grants: [],
  };
}

/** With a password of AWS, and as somebody who logs in otherwise. */
const sessionNames = (user: string) => [`IAM:${user}`, user].map((name) => name.slice(0, SESSION_NAME_CHARS));

async function abandoned(session: PgSession): Promise<AbandonedUser[]> {
  const of = async (sql: string) => (await session.execute(sql)).rows;
  const grants = await of('SELECT user_name, role_name, admin_option FROM pg_catalog.svv_user_grants');
  const limits = await of('SELECT usename, useconnlimit FROM pg_catalog.svl_user_info');
  const active = new Set((await of('SELECT user_name FROM pg_catalog.stv_sessions')).map(([name]) => name!.trim()));
  const ours = new Set(
    grants.filter(([, role, admin]) => role === BOOKKEEPING_ROLE && !isTrue(admin ?? null)).map(([name]) => name!),
  );
  const toBeDropped = new Set(grants.filter(([, role]) => role === DROP_ROLE).map(([name]) => name!));
  const hasRoles = new Set(grants.filter(([, role]) => role !== BOOKKEEPING_ROLE).map(([name]) => name!));
  const isOpen = new Set(limits.filter(([, limit]) => limit?.trim() !== '0').map(([name]) => name!.trim()));
  const left = [...ours].filter((name) => {
    const isUsed = sessionNames(name).some((one) => active.has(one));
    return !isUsed && (hasRoles.has(name) || isOpen.has(name));
  });
  return left.map((name) => ({ name, mode: modeOf(toBeDropped.has(name)) }));
}

const isTrue = (value: string | null | undefined): boolean => /^t(rue)?$/i.test(value ?? '');
