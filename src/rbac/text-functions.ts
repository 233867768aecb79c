/**
 * `email.local` and `regexp.replace`, which mean the same in templates and in label expressions. Pure.
 *
 * Source: database-service.md 1.3 and 1.5.
 */
import { patternOf } from '../pattern.js';

/** `alice` of `alice@example.com` and of `Alice <alice@example.com>`; undefined for what is not an address. */
export function emailLocal(text: string): string | undefined {
  const address = /^[^<>]*<([^<>]*)>\s*$/.exec(text)?.[1] ?? text;
  return /^([^\s@<>"(),:;[\]\\]+)@[^\s@<>]+$/.exec(address.trim())?.[1];
}

/**
 * Values in which the pattern is found, with every place replaced; what does not match and what becomes empty is dropped.
 *
 * @throws TeleportError `BadParameter` for a pattern that cannot be read
 */
export function regexpReplace(values: readonly string[], source: string, replacement: string): string[] {
  const pattern = patternOf(source);
  return values
    .filter((value) => pattern.test(value))
    .map((value) => pattern.replace(value, replacement))
    .filter((value) => value !== '');
}
