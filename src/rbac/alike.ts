/**
 * Databases that a set of roles cannot tell apart: what is decided for one of them holds for all. A list of ten thousand has few
 * kinds, since rules look at few labels. Pure.
 */
import { awsOf, databaseType } from '../resources/database-type.js';
import type { Database, Role } from '../resources/types.js';
import { autoUserLack } from './auto-users.js';
import { allLabels } from './match.js';

/** Kinds of which the result is kept; more are worked out each time. */
const MOST_KINDS = 5_000;

/** The same work, done once for each kind. @param roles  those that it looks at, templates expanded */
export function oncePerKind<T>(roles: readonly Role[], work: (database: Database) => T): (database: Database) => T {
  const kindOf = kinds(roles);
  const done = new Map<string, { result: T }>();
  return (database) => {
    const kind = kindOf(database);
    const known = done.get(kind);
    if (known) return known.result;
    const result = work(database);
    if (done.size < MOST_KINDS) done.set(kind, { result });
    return result;
  };
}

/** A text with everything of a database that rules, and the names of its users, depend on. */
function kinds(roles: readonly Role[]): (database: Database) => string {
  const blocks = roles.flatMap(({ spec }) => [spec.allow, spec.deny]);
  // An expression can look at every label.
  const looksAtAll = blocks.some(({ db_labels_expression: expression }) => expression);
  const keys = new Set(blocks.flatMap(({ db_labels: selector = {} }) => Object.keys(selector)));
  return (database) => {
    const { region, account_id: account, assume_role_arn: assumed } = awsOf(database);
    const labels = Object.entries(allLabels(database))
      .filter(([key]) => looksAtAll || keys.has(key))
      .sort(([one], [other]) => (one < other ? -1 : 1));
    return JSON.stringify([
      databaseType(database),
      [region, account, assumed],
      [database.spec.protocol, autoUserLack(database)],
      labels,
    ]);
  };
}
