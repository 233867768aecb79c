/**
 * Label selectors of roles against the labels of a database. Pure.
 *
 * Source: database-service.md 1.3.
 */
import { fitsGlob } from '../glob.js';
import { MAX_PATTERN_CHARS, patternOf } from '../pattern.js';
import type { LabelSelector } from '../resources/types.js';

export interface MatchOptions {
  ignoreCase?: boolean;
  /** The answer for a pattern that cannot be read. A deny says true: what it forbids is unknown, so it forbids all. */
  ifUnreadable?: boolean;
}

/** Every key of the selector must be there and match; an empty selector matches nothing, `*: *` everything. */
export function matchesLabels(
  selector: LabelSelector | undefined,
  labels: Record<string, string> | undefined,
  options: MatchOptions = {},
): boolean {
  const wanted = Object.entries(selector ?? {});
  if (wanted.length === 0) return false;
  return wanted.every(([key, values]) => {
    const patterns = Array.isArray(values) ? values : [values];
    if (key === '*') return patterns.includes('*');
    const value = labels?.[key];
    return value !== undefined && patterns.some((pattern) => matchesValue(pattern, value, options));
  });
}

/**
 * A glob over the whole value (`*` = any text), or a regular expression when written `^…$`. Values come from agents and
 * from AWS tags, so both take time in proportion to the value.
 */
export function matchesValue(
  pattern: string,
  value: string,
  { ignoreCase = false, ifUnreadable = false }: MatchOptions = {},
): boolean {
  if (pattern === '*' || pattern === value) return true;
  if (pattern.length > MAX_PATTERN_CHARS) return ifUnreadable;
  if (pattern.startsWith('^') && pattern.endsWith('$')) {
    try {
      return patternOf(pattern, { ignoreCase, dotAll: true }).test(value);
    } catch {
      return ifUnreadable;
    }
  }
  if (!pattern.includes('*')) return false;
  return ignoreCase ? fitsGlob(pattern.toLowerCase(), value.toLowerCase()) : fitsGlob(pattern, value);
}
