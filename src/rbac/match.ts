/**
 * Does a block of a role (allow or deny) select a database? Namespaces, labels and the label expression. Pure.
 *
 * Source: database-service.md 1.2, 1.3, 1.11.
 */
import type { Database, RoleConditions, Traits } from '../resources/types.js';
import { evaluateLabelExpression } from './expression.js';
import { matchesLabels } from './labels.js';

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
  if (Object.keys(conditions.db_labels ?? {}).length > 0) results.push(matchesLabels(conditions.db_labels, labels));
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
