/**
 * JSON, YAML in double quotes and log lines in which nothing stands as it is that a terminal would obey, that some reader
 * takes for the end of a line, or that turns the direction of a text. Programs read the same. Pure.
 */

/** What JSON leaves as it is: DEL, C1, ends of lines that are not line feeds, turns of direction, and what nobody sees. */
const OBEYED = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

export const escaped = (json: string): string => json.replace(OBEYED, byNumber);

const NOT_ASCII = /[\u007f-\uffff]/g;

/** The same for everything that is not ASCII: one spelling for texts that differ in what they escape. */
export const asAscii = (json: string): string => json.replace(NOT_ASCII, byNumber);

const byNumber = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
