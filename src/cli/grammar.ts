/**
 * A command line read against a command table: which row is meant, and the same words in one canonical spelling that
 * commander binds to names (`-fjson` → `--format=json`, `--acme-mail x` → `--email=x`). Pure apart from `@file`.
 * Spec: Teleport 18's parsing rules: flags and arguments mix, globals and group options stand before or after the
 * command, nothing is abbreviated, the error texts are kingpin's.
 */
import { readFileSync } from 'node:fs';
import { messageOf, nodeCodeOf } from '../errors.js';
import type { CommandRow, GroupRow, OptionSpec, ProgramSpec } from './command.js';

/** What a person typed wrong. `syntax` stops before a command is understood, `value` after. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly kind: 'syntax' | 'value';
  /** Words of the command that was understood so far, for its usage text. */
  readonly words: readonly string[];

  constructor(kind: 'syntax' | 'value', message: string, words: readonly string[]) {
    super(message);
    this.kind = kind;
    this.words = words;
  }
}

/** One positional argument of a path. */
export interface Positional {
  name: string;
  required: boolean;
  rest: boolean;
}

/** A word of the command tree. */
export interface Node {
  words: readonly string[];
  children: Map<string, Node>;
  row?: CommandRow;
  group?: GroupRow;
  positionals: readonly Positional[];
}

export type Resolved =
  | { type: 'help'; node: Node }
  | {
      type: 'command';
      node: Node;
      row: CommandRow;
      options: readonly OptionSpec[];
      argv: string[];
      passthrough: string[];
    };

/**
 * Find the command and bring the rest of the line into canonical form.
 *
 * @param argv  the words after the program's name
 * @returns the row with `argv` free of short flags, aliases and `@file`, every value joined by `=`
 * @throws UsageError with kingpin's text
 */
export function resolve(program: ProgramSpec, argv: readonly string[]): Resolved {
  const root = buildTree(program);
  let node = root;
  let options: readonly OptionSpec[] = program.globals;
  const failure = (kind: 'syntax' | 'value', text: string) => new UsageError(kind, text, node.words);
  const queue = expandFiles(argv, node.words);
  const flags: string[] = [];
  const operands: string[] = [];
  const trailing: string[] = [];
  let help = false;
  while (queue.length > 0) {
    const word = queue.shift()!;
    if (word === '--') {
      trailing.push(...queue.splice(0));
    } else if (word.startsWith('--')) {
      const at = word.indexOf('=');
      const name = at < 0 ? word.slice(2) : word.slice(2, at);
      if (name === 'help') help = true;
      else flags.push(longFlag(name, at < 0 ? undefined : word.slice(at + 1)));
    } else if (word.startsWith('-') && word.length > 1) {
      shortFlags(word.slice(1));
    } else if (node.row === undefined || (operands.length === 0 && node.children.has(word))) {
      const next = node.children.get(word);
      if (next !== undefined) {
        node = next;
        options = scope(program, node);
      } else if (node === root && word === 'help') {
        help = true;
      } else {
        throw failure('syntax', `expected command but got ${JSON.stringify(word)}`);
      }
    } else {
      operands.push(word);
    }
  }
  if (help || (node === root && trailing.length === 0)) return { type: 'help', node };
  const row = node.row;
  if (row === undefined) throw failure('value', `must select a subcommand of '${node.words.join(' ')}'`);
  const passthrough = row.passthrough ? trailing : [];
  if (!row.passthrough) operands.push(...trailing);
  const most = node.positionals.some((p) => p.rest) ? Number.POSITIVE_INFINITY : node.positionals.length;
  if (operands.length > most) throw failure('syntax', `unexpected ${operands[most]}`);
  return { type: 'command', node, row, options, argv: [...flags, '--', ...operands], passthrough };

  function longFlag(name: string, value: string | undefined): string {
    const plain = options.find((o) => o.name === name || o.aliases?.includes(name));
    const denied = name.startsWith('no-') ? name.slice(3) : undefined;
    const option =
      plain ??
      options.find(
        (o) => o.kind === 'boolean' && denied !== undefined && [o.name, ...(o.aliases ?? [])].includes(denied),
      );
    if (option === undefined) throw failure('syntax', `unknown long flag '--${name}'`);
    if (option.kind !== 'boolean') return `--${option.name}=${value ?? valueAfter(`--${name}`)}`;
    const given = value === undefined ? true : parseBoolean(value);
    if (given === undefined) throw failure('syntax', `unexpected ${value}`);
    return given === (plain !== undefined) ? `--${option.name}` : `--no-${option.name}`;
  }

  function shortFlags(letters: string): void {
    for (let i = 0; i < letters.length; i++) {
      const letter = letters[i]!;
      const option = options.find((o) => o.short === letter);
      if (letter === 'h' && option === undefined) {
        help = true;
        continue;
      }
      if (option === undefined) throw failure('syntax', `unknown short flag '-${letter}'`);
      if (option.kind === 'boolean') {
        flags.push(`--${option.name}`);
        continue;
      }
      const rest = letters.slice(i + 1);
      flags.push(`--${option.name}=${rest === '' ? valueAfter(`-${letter}`) : rest.replace(/^=/, '')}`);
      return;
    }
  }

  function valueAfter(flag: string): string {
    const next = queue[0];
    if (next === undefined || (next.startsWith('-') && next.length > 1))
      throw failure('syntax', `expected argument for flag '${flag}'`);
    queue.shift();
    return next;
  }
}

/** The options that may be typed at a node: its own, those of the groups above, the globals. The nearest name wins. */
export function scope(program: ProgramSpec, node: Node): OptionSpec[] {
  const layers = [program.globals];
  for (const row of program.commands) {
    if (row.type === 'group' && isPrefix(row.path.split(' '), node.words)) layers.push(row.options ?? []);
  }
  if (node.row) layers.push(node.row.options ?? []);
  return layers.reduce<OptionSpec[]>((below, own) => {
    const kept = below.filter((o) => !own.some((p) => p.name === o.name));
    const free = kept.map((o) => (own.some((p) => p.short !== undefined && p.short === o.short) ? withoutShort(o) : o));
    return [...free, ...own];
  }, []);
}

/** The command tree of a table; a second spelling of a path leads to the same node as the first. */
export function buildTree(program: ProgramSpec): Node {
  const root: Node = { words: [], children: new Map(), positionals: [] };
  for (const row of program.commands) {
    const parts = row.path.split(' ');
    const words = parts.filter((p) => !/^[<[]/.test(p));
    const node = reach(root, words);
    if (row.type === 'group') node.group = row;
    else {
      node.row = row;
      node.positionals = parts.slice(words.length).map(positional);
      for (const alias of row.aliases ?? []) {
        const names = alias.split(' ');
        reach(root, names.slice(0, -1)).children.set(names.at(-1)!, node);
      }
    }
  }
  return root;
}

/** Go's `strconv.ParseBool`. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

function reach(root: Node, words: readonly string[]): Node {
  let node = root;
  for (const word of words) {
    let next = node.children.get(word);
    if (next === undefined) {
      next = { words: [...node.words, word], children: new Map(), positionals: [] };
      node.children.set(word, next);
    }
    node = next;
  }
  return node;
}

function positional(part: string): Positional {
  const name = part.slice(1, -1);
  const rest = name.endsWith('...');
  return { name: rest ? name.slice(0, -3) : name, required: part.startsWith('<'), rest };
}

function expandFiles(argv: readonly string[], words: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const open = end < 0 ? argv : argv.slice(0, end);
  const expanded = open.flatMap((word) => {
    if (!/^@./.test(word)) return [word];
    const path = word.slice(1);
    try {
      const lines = readFileSync(path, 'utf8').split(/\r?\n/);
      if (lines.at(-1) === '') lines.pop();
      return lines.filter((line) => !line.startsWith('#'));
    } catch (error) {
      const why = nodeCodeOf(error) === 'ENOENT' ? 'no such file or directory' : messageOf(error);
      throw new UsageError('syntax', `open ${path}: ${why}`, words);
    }
  });
  return end < 0 ? expanded : [...expanded, ...argv.slice(end)];
}

function isPrefix(prefix: readonly string[], words: readonly string[]): boolean {
  return prefix.every((word, i) => words[i] === word);
}

function withoutShort(option: OptionSpec): OptionSpec {
  const { short: _, ...rest } = option;
  return rest;
}
