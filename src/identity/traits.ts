/** Traits as the JSON text of certificates: names sorted, no spaces, `null` where there are none. */

import { TeleportError } from '../errors.js';
import type { Traits } from '../resources/types.js';

export type { Traits };

export function encodeTraits(traits: Traits): string {
  const entries = Object.entries(traits).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (entries.length === 0) return 'null';
  return goJson(Object.fromEntries(entries));
}

/**
 * Read the JSON text; `null` and nothing mean none.
 *
 * @throws TeleportError `Protocol` when it is not an object of lists of strings
 */
export function decodeTraits(text: string | undefined): Traits {
  if (text === undefined || text === '') return {};
  const value = parseJson(text, 'traits');
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value) || !Object.values(value).every(isListOrNull)) {
    throw new TeleportError('Protocol', 'the traits of the certificate cannot be read');
  }
  return value as Traits;
}

/** JSON of foreign text. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TeleportError('Protocol', `the ${what} of the certificate cannot be read`, { cause });
  }
}

/** JSON as Go writes it: the characters of HTML and the line separators are escaped. */
export function goJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function isStringList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function isListOrNull(value: unknown): boolean {
  return value === null || isStringList(value);
}
