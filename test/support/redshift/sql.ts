/**
 * SQL as a row of tokens, as much as telling statements apart needs. Lexical rules are those of the PostgreSQL manual,
 * "Lexical Structure", because a PostgreSQL server reads the text after us.
 */

export interface Token {
  kind: 'word' | 'quoted' | 'text' | 'number' | 'mark';
  /** As written. */
  text: string;
  /** Upper case for a word, else as written: what a keyword is compared with. */
  key: string;
  start: number;
}

/** One piece from where the last ended; of what has an end of its own, only the beginning. */
const PIECE =
  /(?<skipped>\s+|--[^\n\r]*)|(?<comment>\/\*)|(?<text>(?<escapes>[eE])'|(?:[bBxXnN]|[uU]&)?'|(?<dollars>\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$))|(?<quoted>(?:[uU]&)?")|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)|(?<number>\$?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)|(?<mark>[\s\S])/uy;

const KINDS = ['word', 'mark', 'text', 'number', 'quoted'] as const;

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let end = 0;
  while (end < sql.length) {
    const start = end;
    PIECE.lastIndex = start;
    const groups = PIECE.exec(sql)!.groups!;
    end = PIECE.lastIndex;
    if (groups.skipped !== undefined) continue;
    if (groups.comment !== undefined) {
      end = endOfComment(sql, start);
      continue;
    }
    const kind = KINDS.find((one) => groups[one] !== undefined)!;
    if (groups.dollars !== undefined) end = behind(sql, sql.indexOf(groups.dollars, end), groups.dollars.length);
    else if (kind === 'text') end = endOfQuoted(sql, end, groups.escapes === undefined ? /'/g : /\\[\s\S]|'/g);
    else if (kind === 'quoted') end = endOfQuoted(sql, end, /"/g);
    const text = sql.slice(start, end);
    tokens.push({ kind, text, key: kind === 'word' ? text.toUpperCase() : text, start });
  }
  return tokens;
}

/** The statements of a text, without their semicolons; empty ones are left out. */
export function statementsOf(sql: string): Token[][] {
  const statements: Token[][] = [[]];
  for (const token of tokensOf(sql)) {
    if (token.kind === 'mark' && token.text === ';') statements.push([]);
    else statements.at(-1)!.push(token);
  }
  return statements.filter((one) => one.length > 0);
}

/** @param special  what is looked at inside: the quote, which twice means itself, and what a backslash escapes */
function endOfQuoted(sql: string, from: number, special: RegExp): number {
  special.lastIndex = from;
  for (let found = special.exec(sql); found; found = special.exec(sql)) {
    if (found[0].startsWith('\\')) continue;
    if (sql[special.lastIndex] !== found[0]) return special.lastIndex;
    special.lastIndex++;
  }
  return sql.length;
}

/** Comments of this kind nest. */
function endOfComment(sql: string, start: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start;
  let depth = 0;
  for (let found = edge.exec(sql); found; found = edge.exec(sql)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}

function behind(sql: string, place: number, length: number): number {
  return place < 0 ? sql.length : place + length;
}
