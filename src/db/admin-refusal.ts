/**
 * The administrator of automatic users was not let in: in the server's words, and with the command that mends it.
 *
 * Source: PostgreSQL, `miscinit.c`, `postinit.c` and `auth.c` for the texts, which say more than their SQLSTATE; Amazon Redshift
 * Database Developer Guide, pages `r_CREATE_USER` and `r_ALTER_USER`.
 */
import { TeleportError } from '../errors.js';
import { isServerError } from '../pg/server-error.js';
import { isRedshift } from '../resources/database-user.js';
import type { Database } from '../resources/types.js';
import type { Admin } from './auto-user.js';
import { quoted } from './user-dialect.js';

interface Remedy {
  sqlState: string;
  /** Looked for in message and detail. */
  says: RegExp;
  /** What to do, for names that are already quoted. */
  hint(user: string, dbName: string): string;
}

const NO_DATABASE: Remedy = {
  sqlState: '3D000',
  says: /./,
  hint: () => 'Name a database that is there as admin_user.default_database of the resource.',
};

const POSTGRES: readonly Remedy[] = [
  {
    sqlState: '28000',
    says: /role ".*" does not exist/,
    hint: (user) => `Run in the database, as a superuser: CREATE ROLE ${user} LOGIN CREATEROLE;`,
  },
  {
    sqlState: '28000',
    says: /not permitted to log in/,
    hint: (user) => `It is locked. Run in the database, as a superuser: ALTER ROLE ${user} LOGIN;`,
  },
  {
    sqlState: '28000',
    says: /pg_hba\.conf|certificate authentication failed/,
    hint: (user, dbName) =>
      `The login is by client certificate. Add to pg_hba.conf, before lines that refuse it: hostssl ${dbName} ${user} all cert`,
  },
  {
    sqlState: '53300',
    says: /for role/,
    hint: (user) => `Run in the database, as a superuser: ALTER ROLE ${user} CONNECTION LIMIT -1;`,
  },
  {
    sqlState: '42501',
    says: /CONNECT/,
    hint: (user, dbName) => `Run in the database, as a superuser: GRANT CONNECT ON DATABASE ${dbName} TO ${user};`,
  },
  NO_DATABASE,
];

const REDSHIFT: readonly Remedy[] = [
  {
    sqlState: '28000',
    says: /does not exist/,
    hint: (user) =>
      `Run in the database, as a superuser: CREATE USER ${user} WITH PASSWORD DISABLE; GRANT ROLE "sys:superuser" TO ${user};`,
  },
  {
    sqlState: '28000',
    says: /./,
    hint: (user) =>
      `It may be missing, locked or expired. Run in the database, as a superuser: ALTER USER ${user} CONNECTION LIMIT UNLIMITED VALID UNTIL 'infinity';`,
  },
  {
    sqlState: '53300',
    says: /./,
    hint: (user) => `Run in the database, as a superuser: ALTER USER ${user} CONNECTION LIMIT UNLIMITED;`,
  },
  NO_DATABASE,
];

/** The error to show; any that is not the server's stays as it is. */
export function adminRefused(error: unknown, { name, database: dbName }: Admin, database: Database): unknown {
  if (!isServerError(error)) return error;
  const said = `${error.message}\n${error.detail ?? ''}`;
  const remedies = isRedshift(database) ? REDSHIFT : POSTGRES;
  const remedy = remedies.find(({ sqlState, says }) => sqlState === error.sqlState && says.test(said));
  return new TeleportError(error.code, `the administrator "${name}" is not let in to "${dbName}": ${error.message}`, {
    cause: error,
    hint: remedy?.hint(quoted(name), quoted(dbName)) ?? error.hint,
  });
}
