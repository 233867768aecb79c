/**
 * Label selectors of roles against the labels of a database. Pure.
 *
 * Source: database-service.md 1.3.
 */
import type { LabelSelector } from '../resources/types.js';

/** Longest pattern that is compiled; roles are written by administrators, but not every administrator is careful. */
const MAX_PATTERN_CHARS = 1024;

/** Every key of the selector must be there and match; an empty selector matches nothing, `*: *` everything. */
export function matchesLabels(
  selector: LabelSelector | undefined,
  labels: Record<string, string> | undefined,
): boolean {
  const wanted = Object.entries(selector ?? {});
  if (wanted.length === 0) return false;
  return wanted.every(([key, values]) => {
    const patterns = Array.isArray(values) ? values : [values];
    if (key === '*') return patterns.includes('*');
    const value = labels?.[key];
    return value !== undefined && patterns.some((pattern) => matchesValue(pattern, value));
  });
}

/** A glob over the whole value (`*` = any text), or a regular expression when written `^…$`. */
export function matchesValue(pattern: string, value: string, { ignoreCase = false } = {}): boolean {
  if (pattern === '*' || pattern === value) return true;
  if (pattern.length > MAX_PATTERN_CHARS) return false;
  const isExpression = pattern.startsWith('^') && pattern.endsWith('$');
  if (!isExpression && !pattern.includes('*')) return false;
  try {
    return new RegExp(isExpression ? pattern : globSource(pattern), ignoreCase ? 'si' : 's').test(value);
  } catch {
    return false;
  }
}

function globSource(glob: string): string {
  return `^${glob
    .split('*')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*')}$`;
}
