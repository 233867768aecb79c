/**
 * Help texts, laid out as Teleport 18 lays them out: usage line, summary, `Flags:`, `Args:`, `Commands:`, and our
 * `Examples:`. Pure: table and width in, text out.
 */
import type { CommandRow, OptionSpec, ProgramSpec } from './command.js';
import { buildTree, type Node, type Positional, scope } from './grammar.js';

/**
 * The help of one command, one group, or (no words) the program.
 *
 * @param words  the command's words; must exist in the table
 * @param width  columns to wrap at; default 80
 */
export function helpText(program: ProgramSpec, words: readonly string[], width = 80): string {
  let node = buildTree(program);
  for (const word of words) node = node.children.get(word) ?? node;
  const row = node.row;
  const isRoot = node.words.length === 0;
  const options = scope(program, node).filter((option) => !option.hidden);
  const summary = isRoot ? program.description : (row?.summary ?? node.group?.summary ?? '');
  const out = [`${isRoot ? 'Usage' : 'usage'}: ${usage(program, node, options)}`, ''];
  if (summary !== '') out.push(...wrap(summary, width), '');
  if (row?.description) out.push(...row.description.split('\n').flatMap((text) => wrap(text, width)), '');
  if (options.length > 0) out.push('Flags:', ...twoColumns(options.map(flagRow), width), '');
  if (node.positionals.length > 0) {
    const rows = node.positionals.map((p): [string, string] => [
      bracketed(p),
      row?.arguments?.[p.name]?.description ?? '',
    ]);
    out.push('Args:', ...twoColumns(rows, width), '');
  }
  if (row === undefined) out.push('Commands:', ...commandList(program, node), '');
  if (row?.aliases?.length) out.push('Aliases:', ...row.aliases.map((alias) => `  ${alias}`), '');
  if (row?.examples?.length)
    out.push(
      'Examples:',
      ...row.examples.map((line) => (line === '' ? '' : `  ${line.startsWith('#') ? '' : '$ '}${line}`)),
      '',
    );
  if (isRoot) out.push(`Try '${program.name} help [command]' to get help for a given command.`, '');
  return out.join('\n');
}

function usage(program: ProgramSpec, node: Node, options: readonly OptionSpec[]): string {
  const words = [program.name, ...node.words];
  if (node.row === undefined) {
    return [...words, ...(node.words.length === 0 ? ['[<flags>]'] : []), '<command>', '[<args> ...]'].join(' ');
  }
  for (const option of options.filter((o) => o.required)) words.push(`--${option.name}=${option.name.toUpperCase()}`);
  if (options.some((o) => !o.required)) words.push('[<flags>]');
  words.push(...node.positionals.map(bracketed));
  if (node.row.passthrough) words.push('[-- <args>...]');
  return words.join(' ');
}

function bracketed({ name, required, rest }: Positional): string {
  return `${required ? `<${name}>` : `[<${name}>`}${rest ? '...' : ''}${required ? '' : ']'}`;
}

function flagRow(option: OptionSpec): [string, string] {
  const short = option.short ? `-${option.short}, ` : '    ';
  const values = option.kind === 'enum' && !option.values?.every((v) => option.description.includes(v));
  const tail = values ? ` (${option.values?.join(', ')})` : '';
  return [`${short}--${option.kind === 'boolean' ? '[no-]' : ''}${option.name}`, option.description + tail];
}

/** The leaf commands below a node, by their whole names, in table order. */
function commandList(program: ProgramSpec, node: Node): string[] {
  const rows = program.commands
    .filter((row): row is CommandRow => row.type === 'command' && !row.hidden)
    .map((row) => ({ words: row.path.split(' ').filter((part) => !/^[<[]/.test(part)), summary: row.summary }))
    .filter(({ words }) => node.words.every((word, i) => words[i] === word));
  const width = Math.max(0, ...rows.map(({ words }) => words.join(' ').length));
  return rows.map(({ words, summary }) => `  ${words.join(' ').padEnd(width)} ${summary}`);
}

/** Names left, wrapped text right; a name of 30 or more columns stands on its own line. */
function twoColumns(rows: readonly (readonly [string, string])[], width: number): string[] {
  const left = Math.max(0, ...rows.map(([name]) => name.length).filter((length) => length < 30));
  const offset = ' '.repeat(left + 4);
  return rows.flatMap(([name, text]) => {
    const [first = '', ...more] = wrap(text, Math.max(20, width - left - 4));
    const head = name.length < 30 ? [`  ${name.padEnd(left)}  ${first}`.trimEnd()] : [`  ${name}`, offset + first];
    return [...head, ...more.map((line) => offset + line)];
  });
}

function wrap(text: string, width: number): string[] {
  const out: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      out.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...out, line];
}
