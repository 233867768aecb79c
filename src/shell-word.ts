/** Words of a command, for a person who copies it and for a shell that reads it. Pure. */
import { redactText } from './redact.js';

/** As it stands where the shell would not change it (Teleport never quotes), in single quotes where it would. */
export function quotedWord(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replace(/'/g, `'\\''`)}'`;
}

/**
 * A word of a command that a person is asked to type. Texts for people are redacted as they are printed, and what is hidden
 * between quotes could take one of them along: the rest of the word would be read as a command. So a word in which
 * something would be hidden is hidden whole.
 */
export function shellWord(value: string): string {
  const word = quotedWord(value);
  // Twice: what one begins to say (`password=`) the next one could end.
  const text = `${word} ${word}`;
  return redactText(text) === text ? word : "'***'";
}
