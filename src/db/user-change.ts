/**
 * One change of an automatic user, over the administrator's connection. Everything that is looked up and everything that is
 * changed by it is one transaction; the change and its COMMIT travel as one message, so nothing of ours is between them.
 *
 * Source: database-service.md 10.3 and 10.4 for what is done when, and the texts; RFD 12 for the statements; for the end of a session the
 * PostgreSQL manual, "Server Signaling Functions", and the Amazon Redshift Database Developer Guide, page `PG_TERMINATE_BACKEND`.
 */
import { TeleportError } from '../errors.js';
import { isServerError, type ServerError } from '../pg/server-error.js';
import type { PgSession } from '../pg/session.js';
import { isRedshift } from '../resources/database-user.js';
import type { Database } from '../resources/types.js';
import { rest } from '../wait.js';
import {
  BOOKKEEPING_ROLE,
  DROP_ROLE,
  type KeptMode,
  OWN_ROLES,
  type UserDialect,
  type UserFacts,
} from './user-dialect.js';
import { POSTGRES_USERS } from './user-postgres.js';
import { REDSHIFT_USERS } from './user-redshift.js';

export const dialectOf = (database: Database): UserDialect => (isRedshift(database) ? REDSHIFT_USERS : POSTGRES_USERS);

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 50;

/** Of roles in an error. */
const MOST_NAMED = 20;

/** How long the server may take to see the end of sessions with other roles. */
const OTHERS_END_WAITS_MS = [0, 50, 100, 200, 400, 800];

/** Two who change the same rows of the catalogue: one of them has to begin again. */
const PASSING = new Set(['40001', '40P01', '23505', '23P01', '42710']);
const PASSING_TEXT = /tuple concurrently (updated|deleted)|concurrent transaction/;

/** What an end came to. `in-use`: sessions are there, and nothing was changed. */
export type UserEnd = { how: 'dropped' | 'disabled' | 'gone' } | { how: 'in-use'; sessions: string[] };

export interface UserToAdmit {
  user: string;
  /** Sorted. */
  roles: readonly string[];
  mode: KeptMode;
}

/**
 * Let a user in, with these database roles and no others.
 *
 * @throws AlreadyExists for a user of that name that is not ours, CompareFailed where it is in use with other roles, NotFound for roles
 * that are not there, AccessDenied where the administrator may not, ServerError for anything else that the server says
 */
export async function admitUser(session: PgSession, dialect: UserDialect, wanted: UserToAdmit): Promise<void> {
  for (const waitMs of OTHERS_END_WAITS_MS) {
    await rest(waitMs);
    if (await admit(session, dialect, wanted)) return;
  }
  throw new TeleportError(
    'CompareFailed',
    `roles for user "${wanted.user}" has changed. Please quit all active connections and try again.`,
  );
}

/** @returns whether the user is in; false: sessions with other roles are there */
async function admit(
  session: PgSession,
  dialect: UserDialect,
  { user, roles: dbRoles, mode }: UserToAdmit,
): Promise<boolean> {
  let isIn = false;
  const roles = mode === 'best_effort_drop' ? [...dbRoles, DROP_ROLE].sort() : dbRoles;
  await change(session, dialect, async () => {
    const facts = await withBookkeeping(session, dialect, user, roles);
    refuse(facts, user);
    isIn = true;
    if (!facts.exists) return dialect.create(user, roles);
    const has = (name: string) => facts.roles.some((role) => dialect.isSameRole(role.name, name));
    const wants = (name: string) => roles.some((role) => dialect.isSameRole(role, name));
    const grant = roles.filter((name) => !has(name));
    const revoke = facts.roles.filter(({ name }) => !wants(name));
    if (facts.sessions.length === 0) return dialect.enable(user, { revoke, grant });
    // Whoever is the last to leave knows the mode.
    isIn = [...grant, ...revoke.map(({ name }) => name)].every((name) => name === DROP_ROLE);
    return undefined;
  });
  return isIn;
}

/** The facts; where roles of ours are missing, they are made first, each in a transaction of its own. */
async function withBookkeeping(
  session: PgSession,
  dialect: UserDialect,
  user: string,
  roles: readonly string[],
): Promise<UserFacts> {
  const facts = await dialect.facts(session, user, roles);
  const missing = facts.missing.filter((name) => OWN_ROLES.includes(name));
  if (missing.length === 0) return facts;
  // What is refused anyway makes nothing, and the words for an administrator who may not are ours.
  refuse({ ...facts, missing: facts.missing.filter((name) => !OWN_ROLES.includes(name)) }, user);
  await session.query('ROLLBACK');
  for (const name of missing) {
    // Somebody else may make it at the same time.
    await session.query(dialect.makeRole(name)).catch((error: unknown) => {
      if (!isServerError(error) || !isPassing(error)) throw error;
    });
  }
  await session.query(dialect.begin);
  return await dialect.facts(session, user, roles);
}

function refuse({ exists, isOurs, missing, grants }: UserFacts, user: string): void {
  if (exists && !isOurs) {
    throw new TeleportError(
      'AlreadyExists',
      `user "${user}" already exists in this PostgreSQL database and is not managed by Teleport`,
      { hint: `Rename or drop that user, or make it one of ours: GRANT "${BOOKKEEPING_ROLE}" TO it.` },
    );
  }
  if (missing.length > 0) {
    const names = missing.map((name) => JSON.stringify(name)).join(', ');
    const text = missing.length === 1 ? `role ${names} does not exist` : `roles ${names} do not exist`;
    throw new TeleportError('NotFound', text, {
      hint: 'Make them in the database (CREATE ROLE), or take them out of db_roles of the roles in the cluster.',
    });
  }
  if (grants.length > 0) {
    throw new TeleportError('AccessDenied', 'the administrator of the database may not do this', {
      hint: `Run in the database, as somebody who may: ${grants.join(' ')}`,
    });
  }
}

/** Take away what a user has, unless the user is in use. @throws ServerError, ConnectionProblem; then nothing was changed */
export async function endUser(
  session: PgSession,
  dialect: UserDialect,
  user: string,
  mode: KeptMode,
): Promise<UserEnd> {
  if (mode === 'best_effort_drop') {
    try {
      return await endBy(session, dialect, user, 'dropped');
    } catch (error) {
      // Something depends on the user, or the server has another reason: then it is disabled.
      if (!isServerError(error)) throw error;
    }
  }
  return await endBy(session, dialect, user, 'disabled');
}

/** End sessions, whatever they are doing. @throws ServerError where the administrator may not */
export async function terminateSessions(session: PgSession, pids: readonly number[]): Promise<void> {
  for (const pid of pids) await session.query(`SELECT pg_catalog.pg_terminate_backend(${pid})`);
}

async function endBy(
  session: PgSession,
  dialect: UserDialect,
  user: string,
  how: 'dropped' | 'disabled',
): Promise<UserEnd> {
  let end: UserEnd = { how };
  await change(session, dialect, async () => {
    const { exists, isOurs, sessions, roles } = await dialect.facts(session, user, []);
    end = { how };
    if (!exists || !isOurs) end = { how: 'gone' };
    else if (sessions.length > 0) end = { how: 'in-use', sessions };
    if (end.how !== how) return undefined;
    if (how === 'dropped') return [dialect.drop(user)];
    if (!dialect.revokesQuietly) return dialect.disable(user, roles);
    await session.query(dialect.disable(user, roles).join(';\n'));
    const left = (await dialect.facts(session, user, [])).roles;
    const names = left.slice(0, MOST_NAMED).map(({ name }) => JSON.stringify(name));
    if (left.length > 0) throw new TeleportError('AccessDenied', `cannot take ${names.join(', ')} from "${user}"`);
    return [];
  });
  return end;
}

/** @param work  looks, and says which statements end the change; undefined: there is none */
async function change(
  session: PgSession,
  dialect: UserDialect,
  work: () => Promise<string[] | undefined>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await session.query(dialect.begin);
      const statements = await work();
      await session.query(statements ? [...statements, 'COMMIT'].join(';\n') : 'ROLLBACK');
      return;
    } catch (error) {
      if (!isServerError(error)) throw error;
      await session.query('ROLLBACK').catch(() => {
        throw error; // it was the server's last word
      });
      if (!isPassing(error) || attempt === ATTEMPTS) throw error;
    }
    await rest(FIRST_PAUSE_MS * 2 ** attempt * Math.random());
  }
}

const isPassing = ({ sqlState, message }: ServerError): boolean =>
  PASSING.has(sqlState) || (sqlState === 'XX000' && PASSING_TEXT.test(message));
