/**
 * Does a block of a role (allow or deny) select a database, and an entry of it a database user or name? Pure.
 *
 * Allow and deny do not ask the same question. What allow says must be meant surely; what deny says must not be passed by
 * another spelling of the same name, so there case and length count as the server counts them, and patterns are patterns.
 *
 * Source: database-service.md 1.2, 1.3, 1.4, 1.11.
 */
import {
  isRedshift,
  isSameUser,
  mayBeSameName,
  mayBeSameUser,
  nameSpellings,
  spellingsOf,
} from '../resources/database-user.js';
import type { Database, RoleConditions, Traits } from '../resources/types.js';
import { evaluateLabelExpression } from './expression.js';
import { matchesLabels, matchesValue } from './labels.js';

const NAMESPACE = 'default';

/** Absent namespaces mean `default`; an empty list means nothing. */
export function hasNamespace(conditions: RoleConditions): boolean {
  const namespaces = conditions.namespaces ?? [NAMESPACE];
  return namespaces.includes(NAMESPACE) || namespaces.includes('*');
}

/**
 * In allow, what is set must all match; in deny, either is enough; neither set matches nothing.
 *
 * @throws BadParameter for an expression that cannot be read, whichever role it is in
 */
export function matchesDatabase(
  conditions: RoleConditions,
  database: Database,
  side: 'allow' | 'deny',
  traits: Traits = {},
): boolean {
  if (!hasNamespace(conditions)) return false;
  const labels = allLabels(database);
  const results: boolean[] = [];
  if (Object.keys(conditions.db_labels ?? {}).length > 0) {
    results.push(matchesLabels(conditions.db_labels, labels, { ifUnreadable: side === 'deny' }));
  }
  if (conditions.db_labels_expression) {
    results.push(evaluateLabelExpression(conditions.db_labels_expression, { labels, traits }));
  }
  if (results.length === 0) return false;
  return side === 'allow' ? results.every(Boolean) : results.some(Boolean);
}

/** Static labels and the results of dynamic ones. */
export function allLabels(database: Database): Record<string, string> {
  const dynamic = Object.entries(database.spec.dynamic_labels ?? {}).map(
    ([key, { result }]) => [key, result ?? ''] as const,
  );
  return { ...database.metadata.labels, ...Object.fromEntries(dynamic) };
}

/** An entry of allow's `db_users`: `*`, or surely this user. */
export function allowsUser(entry: string, dbUser: string, database: Database): boolean {
  return entry === '*' || isSameUser(entry, dbUser, database);
}

/** An entry of deny's `db_users`: a pattern for one of the user's spellings, or a name that may be this user. */
export function deniesUser(entry: string, dbUser: string, database: Database): boolean {
  return (
    mayBeSameUser(entry, dbUser, database) ||
    spellingsOf(dbUser, database).some((spelling) => matchesPattern(entry, spelling, database))
  );
}

/** An entry of allow's `db_names`: `*` or exactly this name. */
export function allowsName(entry: string, dbName: string): boolean {
  return entry === '*' || entry === dbName;
}

/** An entry of deny's `db_names`: a pattern that fits, or what the server takes for the same name. */
export function deniesName(entry: string, dbName: string, database: Database): boolean {
  return (
    mayBeSameName(entry, dbName, database) ||
    nameSpellings(dbName, database).some((spelling) => matchesPattern(entry, spelling, database))
  );
}

function matchesPattern(entry: string, name: string, database: Database): boolean {
  return matchesValue(entry, name, { ignoreCase: isRedshift(database), ifUnreadable: true });
}
