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

/** Every key of the selector must be there and match; an empty one matches nothing, one with `*: *` everything. */
export function matchesLabels(
  selector: LabelSelector | undefined,
  labels: Record<string, string> | undefined,
  options: MatchOptions = {},
): boolean {
  return missedLabel(selector ?? {}, labels ?? {}, options) === undefined;
}

/** The first key that is not there or does not match; `''` for a selector without keys; undefined when all match. */
export function missedLabel(
  selector: LabelSelector,
  labels: Record<string, string>,
  options: MatchOptions = {},
): string | undefined {
  const wanted = Object.keys(selector);
  if (wanted.length === 0) return '';
  // Whatever stands beside it, as in Teleport: a deny that was written so must not become a smaller one.
  if (Object.hasOwn(selector, '*') && listed(selector['*']!).includes('*')) return undefined;
  for (const key of wanted) if (!Object.hasOwn(labels, key) || !fits(selector[key]!, labels[key]!, options)) return key;
  return undefined;
}

function fits(patterns: string | string[], value: string, options: MatchOptions): boolean {
  if (!Array.isArray(patterns)) return matchesValue(patterns, value, options);
  for (const pattern of patterns) if (matchesValue(pattern, value, options)) return true;
  return false;
}

const listed = (values: string | string[]): string[] => (Array.isArray(values) ? values : [values]);

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
  // Most entries are plain texts.
  if (!ignoreCase && !pattern.includes('*') && !isRegularExpression(pattern)) return false;
  try {
    return valueMatcher(pattern, ignoreCase)(value);
  } catch {
    return ifUnreadable;
  }
}

const isRegularExpression = (pattern: string): boolean => pattern.startsWith('^') && pattern.endsWith('$');

/** The same for many values. @throws TeleportError `BadParameter` for a regular expression that cannot be read */
export function valueMatcher(pattern: string, ignoreCase = false): (value: string) => boolean {
  if (isRegularExpression(pattern)) {
    const compiled = patternOf(pattern, { ignoreCase, dotAll: true });
    return (value) => compiled.test(value);
  }
  if (!pattern.includes('*')) return (value) => value === pattern;
  const glob = ignoreCase ? pattern.toLowerCase() : pattern;
  return (value) => fitsGlob(glob, ignoreCase ? value.toLowerCase() : value);
}
