/**
 * May this user enter this database as that database user and into that database name? Pure; its tests are the
 * specification.
 *
 * Source: database-service.md 1.2, 1.4, 1.9.
 */

import { TeleportError } from '../errors.js';
import type { AuthPreference, Database, Role, RoleConditions, Traits } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';
import { autoUserMode, supportsAutoUsers } from './auto-users.js';
import { allowsName, allowsUser, deniesName, deniesUser, hasNamespace, matchesDatabase } from './match.js';

export interface DatabaseAccessRequest {
  /** Templates expanded. */
  roles: readonly Role[];
  traits: Traits;
  database: Database;
  dbUser: string;
  dbName: string;
  /** The certificate was made after a second factor. */
  mfaVerified: boolean;
  authPreference?: AuthPreference | undefined;
}

const REFUSED = 'access to db denied. User does not have permissions. Confirm database user and name.';
const MFA_REQUIRED = 'access to resource requires MFA';

/** @throws AccessDenied with Teleport's text; BadParameter for a label expression that cannot be read */
export function checkDatabaseAccess(request: DatabaseAccessRequest): void {
  const { roles, database, traits } = request;
  const state = mfaState(roles, request.authPreference);
  if (state === 'always' && !request.mfaVerified) throw new TeleportError('AccessDenied', MFA_REQUIRED);
  const matchers = matchersFor(request);

  for (const { spec } of roles) {
    if (!hasNamespace(spec.deny)) continue;
    // A deny on users or names works without labels, on every database.
    if (matchesDatabase(spec.deny, database, 'deny', traits) || matchers.some(({ denies }) => denies(spec.deny))) {
      throw new TeleportError('AccessDenied', REFUSED);
    }
  }
  // User and name must be allowed by the same role: what one role gives does not add up with another's.
  const granting = roles.filter(
    ({ spec }) =>
      matchesDatabase(spec.allow, database, 'allow', traits) && matchers.every(({ allows }) => allows(spec.allow)),
  );
  if (granting.length === 0) throw new TeleportError('AccessDenied', REFUSED);
  if (state === 'by-role' && !request.mfaVerified && granting.some(requiresMfa)) {
    throw new TeleportError('AccessDenied', MFA_REQUIRED);
  }
}

interface Matcher {
  allows(conditions: RoleConditions): boolean;
  denies(conditions: RoleConditions): boolean;
}

function matchersFor({ roles, traits, database, dbUser, dbName }: DatabaseAccessRequest): Matcher[] {
  const byName: Matcher = {
    allows: ({ db_names: names = [] }) => names.some((entry) => allowsName(entry, dbName)),
    denies: ({ db_names: names = [] }) => names.some((entry) => deniesName(entry, dbName, database)),
  };
  const isAutomatic = supportsAutoUsers(database) && autoUserMode(roles, database, traits) !== 'off';
  if (isAutomatic) return [byName];
  const byUser: Matcher = {
    allows: ({ db_users: users = [] }) => users.some((entry) => allowsUser(entry, dbUser, database)),
    denies: ({ db_users: users = [] }) => users.some((entry) => deniesUser(entry, dbUser, database)),
  };
  return [byUser, byName];
}

/** `always`: the cluster or every role asks; `never`: nobody; else it depends on which roles let one in. */
export function mfaState(
  roles: readonly Role[],
  preference: AuthPreference | undefined,
): 'always' | 'never' | 'by-role' {
  if (isOn(preference?.spec.require_session_mfa)) return 'always';
  if (!roles.some(requiresMfa)) return 'never';
  return roles.every(requiresMfa) ? 'always' : 'by-role';
}

function requiresMfa(role: Role): boolean {
  return isOn(role.spec.options.require_session_mfa);
}

function isOn(value: boolean | string | undefined): boolean {
  const text = String(value ?? '');
  return yesOrNo(text) ?? text !== '';
}
