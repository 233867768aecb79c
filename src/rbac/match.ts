/**
 * Does a block of a role (allow or deny) select a database, and an entry of it a database user or name? Pure.
 *
 * Allow and deny do not ask the same question. What allow says must be meant surely; what deny says must not be passed by
 * another spelling of the same name, so there case and length count as the server counts them, and patterns are patterns.
 *
 * Source: database-service.md 1.2, 1.3, 1.4, 1.11.
 */
import { messageOf, TeleportError } from '../errors.js';
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
import { matchesValue, missedLabel } from './labels.js';

const NAMESPACE = 'default';

/** Absent namespaces mean `default`; an empty list means nothing. */
export function hasNamespace(conditions: RoleConditions): boolean {
  const namespaces = conditions.namespaces ?? [NAMESPACE];
  return namespaces.includes(NAMESPACE) || namespaces.includes('*');
}

export type LabelField = 'db_labels' | 'db_labels_expression';

/** What became of one question to a block of a role. */
export interface LabelCheck {
  field: LabelField;
  holds: boolean;
  /** Key of the selector that does not match; `''` for a selector without keys. */
  missed?: string;
  /** Why the expression cannot be evaluated. */
  problem?: string;
}

/** Each selector of a block against a database's labels (`allLabels`); nothing where the block has none. */
export function labelChecks(
  conditions: RoleConditions,
  labels: Record<string, string>,
  side: 'allow' | 'deny',
  traits: Traits,
): LabelCheck[] {
  const checks: LabelCheck[] = [];
  const { db_labels: selector, db_labels_expression: expression } = conditions;
  if (selector && Object.keys(selector).length > 0) {
    const missed = missedLabel(selector, labels, { ifUnreadable: side === 'deny' });
    checks.push({ field: 'db_labels', holds: missed === undefined, ...(missed === undefined ? {} : { missed }) });
  }
  if (expression) checks.push(expressionCheck(expression, labels, traits));
  return checks;
}

function expressionCheck(expression: string, labels: Record<string, string>, traits: Traits): LabelCheck {
  const field = 'db_labels_expression';
  try {
    return { field, holds: evaluateLabelExpression(expression, { labels, traits }) };
  } catch (error) {
    return { field, holds: false, problem: messageOf(error) };
  }
}

/** In allow, what is set must all match; in deny, either is enough; neither set matches nothing. */
export function selects(checks: readonly LabelCheck[], side: 'allow' | 'deny'): boolean {
  if (side === 'deny') return checks.some(({ holds }) => holds);
  return checks.length > 0 && checks.every(({ holds }) => holds);
}

/** @throws BadParameter for an expression that cannot be read, whichever role it is in */
export function matchesDatabase(
  conditions: RoleConditions,
  database: Database,
  side: 'allow' | 'deny',
  traits: Traits = {},
): boolean {
  if (!hasNamespace(conditions)) return false;
  const checks = labelChecks(conditions, allLabels(database), side, traits);
  const problem = checks.find((check) => check.problem !== undefined)?.problem;
  if (problem !== undefined) throw new TeleportError('BadParameter', problem);
  return selects(checks, side);
}

/** Static labels and the results of dynamic ones. */
export function allLabels(database: Database): Record<string, string> {
  const { dynamic_labels: commands } = database.spec;
  // The usual case, once for each database of a long list.
  if (commands === undefined) return database.metadata.labels ?? {};
  const dynamic = Object.entries(commands).map(([key, { result }]) => [key, result ?? ''] as const);
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
