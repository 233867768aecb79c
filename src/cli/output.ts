/**
 * Results on standard output: text, tables, JSON and YAML in the bytes of Teleport 18. The YAML library is loaded when
 * YAML is asked for. Spec: its command lines' rules for `--format`.
 */
import { TeleportError } from '../errors.js';
import { escaped } from '../escaped.js';
import { redactText } from '../redact.js';
import { YAML_BOOLEAN } from '../yes-no.js';
import type { Env } from './env.js';
import { printable, visible } from './printable.js';
import type { Table } from './table.js';

export { formatDurationMs, shortDurationText, timeText } from '../duration.js';
export { labelsText } from './labels.js';
export type { Table } from './table.js';

/** A line (or several) of text, without what is plainly a secret or would be obeyed: it may say what was typed or sent. */
export function printLine(env: Env, text = ''): void {
  env.stdout.write(`${visible(redactText(text))}\n`);
}

/**
 * A line that a shell reads (`eval "$(tsh env)"`), as it is: nothing in it is hidden or made visible, which would move its quotes.
 *
 * @param text  every word that is not ours went through `quotedWord`
 * @throws TeleportError `BadParameter` for a word that a terminal would obey
 */
export function printShellLine(env: Env, text: string): void {
  if (visible(text) !== text || text.includes('\n')) {
    throw new TeleportError(
      'BadParameter',
      `a name has a control character, which no shell should read: ${visible(redactText(text))}`,
    );
  }
  env.stdout.write(`${text}\n`);
}

/** A line on standard error about something that a person should know and that does not end the command. */
export function printWarning(env: Env, text: string): void {
  env.stderr.write(`WARNING: ${printable(text)}\n`);
}

/** Text as it is. */
export function print(env: Env, text: string): void {
  env.stdout.write(text);
}

/** A table for one of the streams, as wide as its terminal is. What draws it is loaded when there is one to draw. */
export async function tableFor(
  env: Pick<Env, 'columns'>,
  table: Table,
  stream: 'stdout' | 'stderr' = 'stdout',
): Promise<{ text: string; isCut: boolean }> {
  const { drawTable } = await import('./table.js');
  return drawTable(table, env.columns[stream]);
}

export async function printTable(env: Env, table: Table): Promise<void> {
  print(env, (await tableFor(env, table)).text);
}

export interface JsonOptions {
  /** Default: 2. */
  indent?: number;
  /** Default: true. */
  newline?: boolean;
}

/** JSON as `tsh` prints it: indent 2, final newline. Members keep their order; sort maps before. */
export function printJson(env: Env, value: unknown, options: JsonOptions = {}): void {
  env.stdout.write(jsonText(value, options.indent ?? 2) + ((options.newline ?? true) ? '\n' : ''));
}

/** A list as `tctl` prints it: indent 4; an empty one is `[]` without newline. */
export function printTctlJson(env: Env, list: readonly unknown[]): void {
  env.stdout.write(list.length === 0 ? '[]' : `${jsonText(list, 4)}\n`);
}

/** One YAML document as `tsh` prints it: keys sorted, one empty line after it. */
export async function printYaml(env: Env, value: unknown): Promise<void> {
  env.stdout.write(`${await yamlText(value)}\n`);
}

/** A list as `tctl` prints it: one document each, `---` between them; an empty one is `[]` without newline. */
export async function printTctlYaml(env: Env, list: readonly unknown[]): Promise<void> {
  const documents = await Promise.all(list.map((item) => yamlText(item)));
  env.stdout.write(list.length === 0 ? '[]' : documents.join('---\n'));
}

/**
 * JSON text without final newline. Go's encoder writes the two line separators of JavaScript as escapes; here everything
 * is one that a terminal would obey, and means the same to a program.
 */
export function jsonText(value: unknown, indent: number): string {
  return escaped(JSON.stringify(value, undefined, indent) ?? 'null');
}

/**
 * YAML text with final newline: keys sorted, lists not indented under their key, quotes where a reader of YAML 1.1
 * would take the word for something else (double) or could not read it (single).
 *
 * @param options.indent  default 2
 */
export async function yamlText(value: unknown, options: { indent?: number; sort?: boolean } = {}): Promise<string> {
  const { Document, visit } = await import('../yaml.js');
  const plain = value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown);
  const document = new Document(plain, { sortMapEntries: options.sort ?? true, aliasDuplicateObjects: false });
  visit(document, {
    Scalar(_, node) {
      if (typeof node.value === 'string') node.type = scalarStyle(node.value);
    },
  });
  // A scalar with such a character is in double quotes.
  return escaped(document.toString({ indent: options.indent ?? 2, indentSeq: false, lineWidth: 0 }));
}

type ScalarStyle = 'PLAIN' | 'QUOTE_SINGLE' | 'QUOTE_DOUBLE' | 'BLOCK_LITERAL';

function scalarStyle(text: string): ScalarStyle {
  if (/[^\P{C}\n]|[\u0085\u2028\u2029]/u.test(text)) return 'QUOTE_DOUBLE';
  if (text.includes('\n')) return 'BLOCK_LITERAL';
  if (text === '' || TAKEN_FOR_ANOTHER_TYPE.some((pattern) => pattern.test(text))) return 'QUOTE_DOUBLE';
  return NEEDS_QUOTES.test(text) ? 'QUOTE_SINGLE' : 'PLAIN';
}

/** YAML 1.1's words and numbers, as go-yaml takes them. */
const TAKEN_FOR_ANOTHER_TYPE: readonly RegExp[] = [
  /^(~|null|Null|NULL)$/,
  YAML_BOOLEAN,
  /^[-+]?(0|[1-9][0-9_]*|0[0-7_]+|0o[0-7_]+|0b[01_]+|0x[0-9a-fA-F_]+)$/,
  /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/,
  /^[-+]?\.(inf|Inf|INF)$|^\.(nan|NaN|NAN)$/,
  /^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$/,
  /^\d{4}-\d{1,2}-\d{1,2}([Tt ]\s*\d{1,2}:\d{1,2}:\d{1,2}(\.\d*)?\s*(Z|[-+]\d{1,2}(:?\d{1,2})?)?)?$/,
  /^(<<|=)$/,
];

/** An indicator at the start, `: ` or ` #` inside, a space or colon at an end. */
const NEEDS_QUOTES = /^[,[\]{}#&*!|>'"%@`]|^[-?:](\s|$)|^(---|\.\.\.)|: |:$| #|^\s|\s$/;
