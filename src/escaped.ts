/**
 * JSON, YAML in double quotes and log lines in which nothing stands as it is that a terminal would obey, that some reader
 * takes for the end of a line, or that turns the direction of a text. Programs read the same. Pure.
 */

/** What JSON leaves as it is: DEL, C1, ends of lines that are not line feeds, and turns of direction. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

export function escaped(json: string): string {
  return json.replace(OBEYED, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
