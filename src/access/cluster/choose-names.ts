/**
 * Which database user and name are meant when none was typed: the only one that the roles allow, or an error that lists
 * what may be chosen. Never a prompt. Pure.
 *
 * Source: cli.md 4.4.
 */
import { TeleportError } from '../../errors.js';

export interface Candidates {
  allowed: string[];
  denied: string[];
  /** The roles could not be read. */
  unknown?: boolean;
  /** Why she cannot enter, as whatever user. */
  refused?: string;
}

const WILDCARD = '*';

export function chooseDbUser(database: string, candidates: Candidates): string {
  return only(candidates) ?? fail(database, candidates, 'user', 'db_users');
}

export function chooseDbName(database: string, candidates: Candidates): string {
  return only(candidates) ?? fail(database, candidates, 'name', 'db_names');
}

/** `[a b]`, `[*] except [root]`. */
export function candidatesText({ allowed, denied }: Candidates): string {
  const list = (names: string[]) => `[${[...names].sort().join(' ')}]`;
  return allowed.includes(WILDCARD) && denied.length > 0 ? `${list(allowed)} except ${list(denied)}` : list(allowed);
}

/** One explicit value, alone or beside a wildcard. */
function only({ allowed }: Candidates): string | undefined {
  const explicit = allowed.filter((name) => name !== WILDCARD);
  return explicit.length === 1 ? explicit[0] : undefined;
}

function fail(database: string, candidates: Candidates, what: 'user' | 'name', trait: string): never {
  if (candidates.unknown) {
    throw new TeleportError('BadParameter', `please provide the database ${what} using the --db-${what} flag`);
  }
  if (candidates.refused !== undefined) {
    throw new TeleportError('NotImplemented', `you cannot enter ${database}: ${candidates.refused}`, {
      hint: 'Your roles want automatic users (create_db_user_mode). Ask a cluster administrator for a role that names users of this database in db_users.',
    });
  }
  if (candidates.allowed.length === 0) {
    throw new TeleportError(
      'AccessDenied',
      `you are not allowed access to any database ${what} for ${database}, ask a cluster administrator to ensure your Teleport user has appropriate ${trait} set`,
    );
  }
  throw new TeleportError(
    'BadParameter',
    `please provide the database ${what} using the --db-${what} flag, allowed database ${what}s for ${database}: ${candidatesText(candidates)}`,
  );
}
