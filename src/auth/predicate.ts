/**
 * The predicate language of `--query` over databases: names, labels, fields of the resource, comparisons and a few
 * functions. Source: auth-grpc-and-routing.md 3.4. A parser by descent into closures; bounded in length and depth.
 *
 *     or    := and ('||' and)*          unary := '!' unary | primary [('==' | '!=') primary]
 *     and   := unary ('&&' unary)*      primary := text | name(.name | [text])* | name(args) | '(' or ')'
 */
import { unknownStatus } from '../api/status.js';
import { allLabels } from '../rbac/match.js';
import type { DatabaseServer } from '../resources/types.js';

export type Predicate = (server: DatabaseServer) => boolean;

const MAX_CHARS = 8192;
const MAX_DEPTH = 100;

/** @throws status Unknown: `parsing expression` and the place on a second line */
export function parsePredicate(text: string): Predicate {
  if (text.length > MAX_CHARS) throw failed(`1:1: longer than ${MAX_CHARS} characters`);
  const parser = createParser(tokensOf(text));
  const value = parser.whole();
  return (server) => value(server) === true;
}

/** Keywords of `--search`: contained, without regard to case, in a label, the name, description, protocol or type. */
export function matchesSearch(server: DatabaseServer, keywords: readonly string[], type: string): boolean {
  const { metadata, spec } = server.spec.database;
  const fields = [...Object.entries(allLabels(server.spec.database)).flat(), metadata.name, metadata.description ?? '', spec.protocol, type];
  const lower = fields.map((field) => field.toLowerCase());
  return keywords.every((keyword) => {
    const wanted = keyword.toLowerCase();
    return lower.some((field) => field.includes(wanted));
  });
}

type Value = unknown;
type Term = (server: DatabaseServer) => Value;

interface Token {
  kind: 'text' | 'name' | 'mark' | 'end';
  text: string;
  at: number;
}

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|([A-Za-z_][\w-]*)|(==|!=|&&|\|\||[!().,[\]]))/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < text.trimEnd().length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const found = TOKEN.exec(text);
    if (found === null) throw failed(`1:${at + 1}: unexpected character`);
    const start = TOKEN.lastIndex - (found[1] ?? found[2] ?? found[3])!.length;
    if (found[1] !== undefined) tokens.push({ kind: 'text', text: unquoted(found[1], start), at: start });
    else if (found[2] !== undefined) tokens.push({ kind: 'name', text: found[2], at: start });
    else tokens.push({ kind: 'mark', text: found[3]!, at: start });
  }
  tokens.push({ kind: 'end', text: 'EOF', at: text.length });
  return tokens;
}

function unquoted(text: string, at: number): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw failed(`1:${at + 1}: invalid text`);
  }
}

function createParser(tokens: Token[]): { whole(): Term } {
  let position = 0;
  let depth = 0;
  const peek = () => tokens[position]!;
  const isMark = (text: string) => peek().kind === 'mark' && peek().text === text;
  const take = (text: string) => {
    if (!isMark(text)) return false;
    position++;
    return true;
  };
  const expect = (text: string) => {
    if (!take(text)) throw unexpected(peek(), `'${text}'`);
  };

  function chain(mark: '||' | '&&', next: () => Term): Term {
    const terms = [next()];
    while (take(mark)) terms.push(next());
    if (terms.length === 1) return terms[0]!;
    return mark === '||'
      ? (server) => terms.some((term) => term(server) === true)
      : (server) => terms.every((term) => term(server) === true);
  }
  const or = (): Term => {
    if (++depth > MAX_DEPTH) throw failed(`1:${peek().at + 1}: too deeply nested`);
    const term = chain('||', () => chain('&&', unary));
    depth--;
    return term;
  };

  function unary(): Term {
    let negated = false;
    while (take('!')) negated = !negated;
    const term = comparison();
    return negated ? (server) => term(server) !== true : term;
  }

  function comparison(): Term {
    const left = primary();
    const isEqual = isMark('==');
    if (!isEqual && !isMark('!=')) return left;
    position++;
    const right = primary();
    return (server) => (left(server) === right(server)) === isEqual;
  }

  function primary(): Term {
    const token = peek();
    if (take('(')) {
      const inner = or();
      expect(')');
      return inner;
    }
    position++;
    if (token.kind === 'text') return () => token.text;
    if (token.kind !== 'name') throw unexpected(token, 'operand');
    if (token.text === 'true' || token.text === 'false') return () => token.text === 'true';
    if (take('(')) return call(token);
    return member(token);
  }

  function call({ text, at }: Token): Term {
    const args: Term[] = [];
    if (!take(')')) {
      do args.push(or());
      while (take(','));
      expect(')');
    }
    const made = Object.hasOwn(FUNCTIONS, text) ? FUNCTIONS[text]!(args) : undefined;
    if (made === undefined) throw failed(`1:${at + 1}: unsupported function: ${text}`);
    return made;
  }

  function member(first: Token): Term {
    const path = [first.text];
    for (;;) {
      if (take('.')) {
        const part = tokens[position++]!;
        if (part.kind !== 'name') throw unexpected(part, 'name');
        path.push(part.text);
      } else if (take('[')) {
        const part = tokens[position++]!;
        if (part.kind !== 'text') throw unexpected(part, 'text');
        path.push(part.text);
        expect(']');
      } else break;
    }
    const [root, ...rest] = path as [string, ...string[]];
    if (root === 'name' && rest.length === 0) return ({ spec }) => spec.database.metadata.name;
    if (root === 'labels') return ({ spec }) => at(allLabels(spec.database), rest);
    if (root === 'health' && rest.join('.') === 'status') return ({ status }) => status?.target_health?.status ?? '';
    if (root === 'resource') return ({ spec }) => at(spec.database, rest);
    throw failed(`1:${first.at + 1}: identifier ${path.join('.')} is not defined`);
  }

  return {
    whole() {
      const term = or();
      if (peek().kind !== 'end') throw unexpected(peek(), 'EOF');
      return term;
    },
  };
}

const textOf = (value: Value): string => (typeof value === 'string' ? value : '');

const FUNCTIONS: Record<string, (args: Term[]) => Term | undefined> = {
  equals: ([a, b]) => a && b && ((server) => a(server) === b(server)),
  hasPrefix: ([a, b]) => a && b && ((server) => textOf(a(server)).startsWith(textOf(b(server)))),
  exists: ([a]) => a && ((server) => a(server) !== '' && a(server) !== undefined),
  split: ([a, b]) => a && b && ((server) => textOf(a(server)).split(textOf(b(server)))),
  contains: ([a, b]) =>
    a &&
    b &&
    ((server) => {
      const list = a(server);
      return Array.isArray(list) && list.includes(b(server));
    }),
  search: (words) => (server) => matchesSearch(server, words.map((word) => textOf(word(server))), ''),
};

/** The member at the end of a path, "" where there is none. */
function at(value: unknown, path: readonly string[]): Value {
  let found = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return '';
    found = (found as Record<string, unknown>)[part];
  }
  return found ?? '';
}

const unexpected = (token: Token, wanted: string) =>
  failed(`1:${token.at + 1}: expected ${wanted}, found '${token.text}'`);
const failed = (detail: string) => unknownStatus(`parsing expression\n\t${detail}`);
