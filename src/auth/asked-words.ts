/** How much a request may ask about; our own limits, far above what a person types. What exceeds them costs others their time. */
import { TeleportError } from '../errors.js';

const MOST_WORDS = 256;
const MOST_CHARS = 1024;

/**
 * @param field  for people, as in `db_roles`
 * @param most  words; fewer where each costs more
 * @throws TeleportError `BadParameter` that names it and the bound
 */
export function checkWords(field: string, words: readonly string[], most = MOST_WORDS): void {
  atMost(most, field, words.length);
  for (const word of words) atMost(MOST_CHARS, `characters in one of ${field}`, word.length);
}

/** Of things that are not words: only their number has a bound. */
export function checkCount(field: string, count: number): void {
  atMost(MOST_WORDS, field, count);
}

/** The same of a single one. */
export function checkWord(field: string, word: string): void {
  atMost(MOST_CHARS, `characters in ${field}`, word.length);
}

function atMost(most: number, what: string, count: number): void {
  if (count <= most) return;
  throw new TeleportError('BadParameter', `the request has ${count} ${what}, and ${most} are the most`);
}
