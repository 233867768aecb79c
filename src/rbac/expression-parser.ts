/**
 * The small language of label expressions and of `--query`: names with members and indexes, calls, text literals,
 * `== != && || !` and brackets, with Go's syntax and Go's words for what is wrong with it. Text to tree; what names and
 * calls mean is the business of `expression.ts` and `predicate.ts`. Pure.
 */
import { TeleportError } from '../errors.js';

export type Expression =
  | { type: 'literal'; value: string | number }
  /** `labels["env"]` and `labels.env` are both `['labels', 'env']`. */
  | { type: 'name'; path: string[] }
  | { type: 'call'; name: string; args: Expression[] }
  | { type: 'not'; operand: Expression }
  | { type: 'and' | 'or' | 'equal' | 'unequal'; left: Expression; right: Expression };

/** Long enough for `tsh db exec` with 100 database names in one predicate. */
const MAX_CHARS = 64 * 1024;
const MAX_DEPTH = 200;

/** @throws TeleportError `BadParameter` with `line:column: expected …, found …` */
export function parseExpression(text: string): Expression {
  if (text.length > MAX_CHARS)
    throw new TeleportError('BadParameter', `an expression of more than ${MAX_CHARS} characters`);
  const parser = new Parser(text);
  const tree = parser.expression(0);
  parser.expect('EOF');
  return tree;
}

type Kind = 'name' | 'text' | 'number' | 'mark' | 'newline' | 'EOF';

interface Token {
  kind: Kind;
  /** As written; the mark itself; the value of a text. */
  value: string;
  source: string;
  at: number;
}

/** Blanks and Go's comments, then a token. */
const TOKEN =
  /(?:\s|\/\/[^\n]*|\/\*[\s\S]*?\*\/)*(?:([A-Za-z_]\w*)|("(?:[^"\\\n]|\\.)*"|`[^`]*`)|(\d+)|(&&|\|\||==|!=|[=!().,[\]]|.)|$)/suy;

class Parser {
  readonly #text: string;
  #token: Token;
  #end = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
    this.#token = { kind: 'EOF', value: '', source: '', at: 0 };
    this.#next();
  }

  expression(level: number): Expression {
    if (level === 0 && ++this.#depth > MAX_DEPTH) throw this.#fail('a simpler expression');
    const operators = LEVELS[level];
    let left = operators === undefined ? this.#unary() : this.expression(level + 1);
    while (operators !== undefined && this.#token.kind === 'mark') {
      if (this.#token.value === '=' && level === EQUALITY) throw this.#fail("'=='");
      const type = operators[this.#token.value];
      if (type === undefined) break;
      this.#next();
      left = { type, left, right: this.expression(level + 1) };
    }
    if (level === 0) this.#depth--;
    return left;
  }

  expect(what: string): void {
    const { kind, value } = this.#token;
    const found = what === 'EOF' ? kind === 'EOF' || kind === 'newline' : kind === 'mark' && value === what;
    if (!found) throw this.#fail(`'${what}'`);
    if (what !== 'EOF') this.#next();
  }

  #unary(): Expression {
    if (!this.#take('!')) return this.#operand();
    if (++this.#depth > MAX_DEPTH) throw this.#fail('a simpler expression');
    const operand = this.#unary();
    this.#depth--;
    return { type: 'not', operand };
  }

  #operand(): Expression {
    const { kind, value } = this.#token;
    if (kind === 'text' || kind === 'number') {
      this.#next();
      return { type: 'literal', value: kind === 'text' ? value : Number(value) };
    }
    if (this.#take('(')) {
      const inner = this.expression(0);
      this.expect(')');
      return inner;
    }
    if (kind !== 'name') throw this.#fail('operand', 'EOF');
    this.#next();
    return this.#selected([value]);
  }

  #selected(path: string[]): Expression {
    while (true) {
      if (this.#take('.')) {
        if (this.#token.kind !== 'name') throw this.#fail('selector or type assertion');
        path.push(this.#token.value);
        this.#next();
      } else if (this.#take('[')) {
        if (this.#token.kind !== 'text') throw this.#fail('operand');
        path.push(this.#token.value);
        this.#next();
        this.expect(']');
      } else if (this.#take('(')) {
        return { type: 'call', name: path.join('.'), args: this.#args() };
      } else return { type: 'name', path };
    }
  }

  #args(): Expression[] {
    const args: Expression[] = [];
    while (!this.#take(')')) {
      args.push(this.expression(0));
      if (this.#take(')')) break;
      this.expect(',');
    }
    return args;
  }

  #take(mark: string): boolean {
    if (this.#token.kind !== 'mark' || this.#token.value !== mark) return false;
    this.#next();
    return true;
  }

  #next(): void {
    const before = this.#token;
    TOKEN.lastIndex = this.#end;
    const [all = '', name, text, number, mark] = TOKEN.exec(this.#text) ?? [];
    const source = name ?? text ?? number ?? mark ?? '';
    const at = this.#end + all.length - source.length;
    this.#end += all.length;
    if (source === '') {
      // Go's scanner ends a line that could be a whole statement.
      const ends = ['name', 'text', 'number'].includes(before.kind) || [')', ']'].includes(before.value);
      this.#token = { kind: ends ? 'newline' : 'EOF', value: '', source, at: this.#text.length };
      return;
    }
    const kind: Kind =
      name !== undefined ? 'name' : text !== undefined ? 'text' : number !== undefined ? 'number' : 'mark';
    this.#token = { kind, value: text === undefined ? source : this.#unquoted(text, at), source, at };
  }

  #unquoted(source: string, at: number): string {
    if (source.startsWith('`')) return source.slice(1, -1);
    try {
      const escapes = source.replace(/\\x([0-9a-fA-F]{2})/g, '\\u00$1').replace(/\\([av'])/g, '$1');
      return JSON.parse(escapes.replace(/[\u0000-\u001f]/g, ' ')) as string;
    } catch {
      throw this.#at(at, 'unknown escape sequence');
    }
  }

  #fail(expected: string, atEnd = 'newline'): TeleportError {
    const { kind, source, at } = this.#token;
    const found =
      kind === 'EOF'
        ? "'EOF'"
        : kind === 'newline'
          ? atEnd === 'EOF'
            ? "'EOF'"
            : 'newline'
          : kind === 'mark'
            ? `'${source}'`
            : source;
    return this.#at(at, `expected ${expected}, found ${found}`);
  }

  #at(offset: number, problem: string): TeleportError {
    const lines = this.#text.slice(0, offset).split('\n');
    return new TeleportError('BadParameter', `${lines.length}:${lines.at(-1)!.length + 1}: ${problem}`);
  }
}

/** From the loosest to the tightest. */
const LEVELS: Record<string, 'and' | 'or' | 'equal' | 'unequal'>[] = [
  { '||': 'or' },
  { '&&': 'and' },
  { '==': 'equal', '!=': 'unequal' },
];
const EQUALITY = 2;
