/**
 * Which database users, names and roles a person may use on a database: what `tsh db ls` shows and `tsh db login` picks
 * from. Pure; the service decides for itself.
 *
 * Source: database-service.md 1.10, cli.md 4.1 and 4.4.
 */
import { userKey } from '../resources/database-user.js';
import type { Database, Role, RoleConditions, Traits } from '../resources/types.js';
import {
  AUTO_USER_LACKS,
  autoUserLack,
  autoUserMode,
  autoUserNameLack,
  autoUserRoles,
  supportsAutoUsers,
} from './auto-users.js';
import { decideAccess } from './check.js';
import type { DatabaseAccessRequest } from './decision.js';
import { deniesName, deniesUser, type Fits, hasNamespace, matchesDatabase } from './match.js';

export interface Allowed {
  /** Sorted; may hold `*`. */
  allowed: string[];
  /** Sorted. */
  denied: string[];
  autoProvisioned?: boolean;
  /** Why she cannot enter: the roles want an automatic user, which this database, or her name, cannot have. */
  refused?: string;
}

/** With automatic users the only one is the person's own name. */
export function allowedUsers(
  roles: readonly Role[],
  database: Database,
  username: string,
  traits: Traits = {},
): Allowed {
  if (autoUserMode(roles, database, traits) !== 'off') {
    const lack = autoUserLack(database);
    const refused = lack === undefined ? autoUserNameLack(username, database) : AUTO_USER_LACKS[lack];
    if (refused === undefined) return { allowed: [username], denied: [], autoProvisioned: true };
    return { allowed: [], denied: [], refused };
  }
  return collect(roles, database, traits, usersOf(database));
}

export function allowedNames(roles: readonly Role[], database: Database, traits: Traits = {}): Allowed {
  return collect(roles, database, traits, namesOf(database));
}

export function databaseRolesOf(roles: readonly Role[], database: Database, traits: Traits = {}): string[] {
  return supportsAutoUsers(database) ? autoUserRoles(roles, database, [], traits) : [];
}

/** A way into a database through one role: what two roles give does not add up. */
export interface WayIn {
  role: string;
  /** Sorted; may hold `*`. With automatic users the own name alone. */
  dbUsers: string[];
  dbNames: string[];
  /** Of an automatic user. */
  dbRoles: string[];
  automatic: boolean;
  asksMfa: boolean;
}

/** Every way in, in the order of the roles. */
export function entrances(
  asked: Pick<DatabaseAccessRequest, 'username' | 'roles' | 'traits' | 'database' | 'authPreference'>,
): WayIn[] {
  const { username, roles, traits, database } = asked;
  const any = { dbUser: undefined, dbName: undefined, mfaVerified: true };
  const { refusal, automatic, asksMfa, blocks } = decideAccess({ ...asked, ...any });
  if (refusal !== undefined) return [];
  const allowing = new Set(blocks.filter(({ side, applies }) => side === 'allow' && applies).map(({ role }) => role));
  const dbRoles = automatic ? autoUserRoles(roles, database, [], traits) : [];
  const [users, names] = [usersOf(database), namesOf(database)];
  const [deniedUsers, deniedNames] = [deniedBy(roles, users), deniedBy(roles, names)];
  return roles
    .filter(({ metadata }) => allowing.has(metadata.name))
    .map((role) => ({
      role: role.metadata.name,
      dbUsers: automatic ? [username] : left([role], deniedUsers, users),
      dbNames: left([role], deniedNames, names),
      dbRoles,
      automatic,
      asksMfa,
    }));
}

interface Names {
  entries(conditions: RoleConditions): string[] | undefined;
  /** Which entries of a deny take this name away. */
  denies(name: string): Fits;
  /** The same for all spellings of one name. */
  key(name: string): string;
}

const usersOf = (database: Database): Names => ({
  entries: ({ db_users: users }) => users,
  denies: (user) => deniesUser(user, database),
  key: (user) => userKey(user, database),
});

const namesOf = (database: Database): Names => ({
  entries: ({ db_names: names }) => names,
  denies: (name) => deniesName(name, database),
  key: (name) => name,
});

function collect(roles: readonly Role[], database: Database, traits: Traits, names: Names): Allowed {
  const granting = roles.filter(({ spec }) => matchesDatabase(spec.allow, database, 'allow', traits));
  const denied = deniedBy(roles, names);
  return { allowed: left(granting, denied, names), denied };
}

/** Sorted. */
function deniedBy(roles: readonly Role[], names: Names): string[] {
  const entries = roles
    .filter(({ spec }) => hasNamespace(spec.deny))
    .flatMap(({ spec }) => names.entries(spec.deny) ?? []);
  return [...new Set(entries)].sort();
}

/** What roles give and no entry of a deny takes away, sorted. */
function left(granting: readonly Role[], denied: readonly string[], names: Names): string[] {
  if (denied.includes('*')) return [];
  const allowed = granting
    .flatMap(({ spec }) => names.entries(spec.allow) ?? [])
    .filter((name) => name === '*' || !denied.some(names.denies(name)));
  // One spelling of each: the shortest, which is the one to type.
  const shortestLast = [...new Set(allowed)].sort((a, b) => b.length - a.length);
  const once = new Map(shortestLast.map((name) => [name === '*' ? name : names.key(name), name]));
  return [...once.values()].sort();
}
