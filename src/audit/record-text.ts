/**
 * The one written form of an audit record: JSON on one line, in which nothing stands that a terminal would obey or that
 * some reader takes for the end of a line. Agents and Auth write the same form, so that a text can be held against it.
 */

/** What JSON leaves as it is: DEL, C1, ends of lines that are not line feeds, and what turns the direction of a text. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Without a line feed at the end. */
export function recordText(record: object): string {
  return JSON.stringify(record).replace(OBEYED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
