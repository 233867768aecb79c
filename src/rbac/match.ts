/**
 * Does a block of a role (allow or deny) select a database, and an entry of it a database user or name? Pure.
 *
 * Allow and deny do not ask the same question. What allow says must be meant surely; what deny says must not be passed by
 * another spelling of the same name, so there case and length count as the server counts them, and patterns are patterns.
 *
 * Source: database-service.md 1.2, 1.3, 1.4, 1.11.
 */
import { messageOf, TeleportError } from '../errors.js';
import { isRedshift, isUser, mayBeName, mayBeUser, nameSpellings, spellingsOf } from '../resources/database-user.js';
import type { Database, RoleConditions, Traits } from '../resources/types.js';
import { evaluateLabelExpression } from './expression.js';
import { matchesValue, missedLabel } from './labels.js';

const NAMESPACE = 'default';

/** Absent namespaces mean `default`; an empty list means nothing. */
export function hasNamespace({ namespaces }: RoleConditions): boolean {
  if (namespaces === undefined) return true;
  return namespaces.includes(NAMESPACE) || namespaces.includes('*');
}

/** What became of one question to a block of a role. One shape for all: there are thousands in a decision. */
export interface Check {
  field: 'namespaces' | 'db_labels' | 'db_labels_expression' | 'db_users' | 'db_names';
  holds: boolean;
  /** The entry that fits; for `db_labels` the key that does not. */
  entry: string | undefined;
  /** Why the expression cannot be evaluated. */
  problem: string | undefined;
}

export function checked(field: Check['field'], holds: boolean, entry?: string, problem?: string): Check {
  return { field, holds, entry, problem };
}

/** Each selector of a block against a database's labels (`allLabels`); nothing where the block has none. */
export function labelChecks(
  { db_labels: selector, db_labels_expression: expression }: RoleConditions,
  labels: Record<string, string>,
  side: 'allow' | 'deny',
  traits: Traits,
): Check[] {
  const checks: Check[] = [];
  const missed = selector && missedLabel(selector, labels, side === 'deny' ? UNREADABLE_FITS : {});
  // A selector without keys is none.
  if (selector && missed !== '') checks.push(checked('db_labels', missed === undefined, missed));
  if (expression) checks.push(expressionCheck(expression, labels, traits));
  return checks;
}

const UNREADABLE_FITS = { ifUnreadable: true };

function expressionCheck(expression: string, labels: Record<string, string>, traits: Traits): Check {
  try {
    return checked('db_labels_expression', evaluateLabelExpression(expression, { labels, traits }));
  } catch (error) {
    return checked('db_labels_expression', false, undefined, messageOf(error));
  }
}

/** In allow, what is set must all match; in deny, either is enough; neither set matches nothing. */
export function selects(checks: readonly Check[], side: 'allow' | 'deny'): boolean {
  if (side === 'deny') return checks.some(({ holds }) => holds);
  return checks.length > 0 && checks.every(({ holds }) => holds);
}

export function problemIn(checks: readonly Check[]): string | undefined {
  for (const { problem } of checks) if (problem !== undefined) return problem;
  return undefined;
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
  const problem = problemIn(checks);
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

/** Is an entry of a block for a name? Made once for a name, asked of many entries. */
export type Fits = (entry: string) => boolean;

/** Entries of allow's `db_users`: `*`, or surely this user. */
export function allowsUser(dbUser: string, database: Database): Fits {
  const isSame = isUser(dbUser, database);
  return (entry) => entry === '*' || isSame(entry);
}

/** Entries of deny's `db_users`: a pattern for one of the user's spellings, or a name that may be this user. */
export function deniesUser(dbUser: string, database: Database): Fits {
  const mayBe = mayBeUser(dbUser, database);
  const fitsPattern = patternFor(spellingsOf(dbUser, database), database);
  return (entry) => mayBe(entry) || fitsPattern(entry);
}

/** Entries of allow's `db_names`: `*` or exactly this name. */
export function allowsName(dbName: string): Fits {
  return (entry) => entry === '*' || entry === dbName;
}

/** Entries of deny's `db_names`: a pattern that fits, or what the server takes for the same name. */
export function deniesName(dbName: string, database: Database): Fits {
  const mayBe = mayBeName(dbName, database);
  const fitsPattern = patternFor(nameSpellings(dbName, database), database);
  return (entry) => mayBe(entry) || fitsPattern(entry);
}

function patternFor(spellings: readonly string[], database: Database): Fits {
  const options = { ignoreCase: isRedshift(database), ifUnreadable: true };
  return (entry) => spellings.some((spelling) => matchesValue(entry, spelling, options));
}
