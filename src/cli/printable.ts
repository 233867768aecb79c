/**
 * Texts that others wrote (servers, AWS tags, databases' labels) before they reach a terminal: what a terminal would obey
 * becomes visible, as Go's `%q` writes it. Pure.
 */

/** Everything that Go calls not printable. */
const NOT_PRINTABLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/u;
/** Controls, ends of lines, and what turns the direction of a text; joiners of scripts and emoji stay. */
const NOT_FOR_A_CELL = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

/** The same but for the end of a line and the tab, one at a time. */
const OBEYED = new RegExp(`(?![\\n\\t])${NOT_FOR_A_CELL.source}`, 'gu');

/** For text of several lines: newline and tabs stay, every other part with something unprintable is quoted. */
export function printable(text: string): string {
  return text
    .split(/([\n\t\v])/)
    .map((part) => (NOT_PRINTABLE.test(part) && !/^[\n\t\v]$/.test(part) ? quote(part) : part))
    .join('');
}

/** For one line or one cell of a table: a text that would leave it is quoted as a whole. */
export function printableLine(text: string): string {
  return NOT_FOR_A_CELL.test(text) ? quote(text) : text;
}

/** For text of which the rest must stay as it is: each character that a terminal would obey becomes visible, as psql writes it. */
export function visible(text: string): string {
  return text.replace(OBEYED, (char) => {
    const code = char.codePointAt(0)!.toString(16).toUpperCase();
    return code.length <= 2 && char < '\u0080' ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
  });
}

const NAMED: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\u0007': '\\a',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\v': '\\v',
  '\f': '\\f',
  '\r': '\\r',
};

function quote(text: string): string {
  const body = text.replace(/["\\\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, (char) => {
    const code = char.codePointAt(0)!;
    if (NAMED[char] !== undefined) return NAMED[char];
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
  return `"${body}"`;
}
