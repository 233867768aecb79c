/**
 * A user of a database server as the server has it, PostgreSQL or what the Redshift double makes of it; and how those are that an
 * agent makes, automatic users.
 */
import { type Postgres, quoteIdent } from './postgres.js';

export interface Account {
  /** It may log in: LOGIN, and a limit of connections that is not 0. */
  isOpen: boolean;
  /** Sorted. */
  roles: string[];
}

/** By whom they are made. */
export const ADMIN = 'teleport-admin';
/** Those that are not somebody else's are members of it. */
export const OURS = 'teleport-auto-user';

/** Options of a role of Teleport: what happens to them in the end. */
export const KEEP = { create_db_user_mode: 'keep' };
export const DROP = { create_db_user_mode: 'best_effort_drop' };

export const DISABLED: Account = { isOpen: false, roles: [OURS] };
export const enabled = (...roles: string[]): Account => ({ isOpen: true, roles: [OURS, ...roles].sort() });

/** Undefined: there is none. */
export async function accountOf(server: Postgres, name: string): Promise<Account | undefined> {
  const sql = `SELECT r.rolcanlogin AND r.rolconnlimit <> 0 AS "isOpen", ARRAY(SELECT g.rolname::text FROM pg_auth_members m
    JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = r.oid ORDER BY 1) AS roles FROM pg_roles r WHERE r.rolname = $1`;
  return (await server.query(sql, { values: [name] }))[0] as Account | undefined;
}

/** With all that it has, in every database. */
export async function removeAccount(server: Postgres, name: string): Promise<void> {
  if ((await accountOf(server, name)) === undefined) return;
  const databases = await server.query('SELECT datname FROM pg_database WHERE datallowconn');
  for (const { datname } of databases) {
    await server.query(`DROP OWNED BY ${quoteIdent(name)}`, { database: String(datname) });
  }
  await server.query(`DROP ROLE ${quoteIdent(name)}`);
}
