/**
 * One program's reference page as Markdown, from its command table. Usage lines are those of the help texts. Pure.
 */
import type { CommandRow, GroupRow, OptionSpec, ProgramSpec } from '../../src/cli/command.js';
import { shortDurationText } from '../../src/cli/duration.js';
import { helpText } from '../../src/cli/help.js';

/** The whole page, ending with one newline. */
export function commandPage(program: ProgramSpec): string {
  const commands = program.commands.filter((row): row is CommandRow => row.type === 'command' && !row.hidden);
  const groups = program.commands.filter((row): row is GroupRow => row.type === 'group');
  const globals = visible(program.globals);
  return `${[
    `# ${program.name}`,
    '',
    program.description,
    '',
    '<!-- Written by `npm run docs` from the command table. Change the table, not this page. -->',
    '',
    '| Command | |',
    '|---|---|',
    ...commands.map((row) => `| [${name(program, row)}](#${anchor(name(program, row))}) | ${cell(row.summary)} |`),
    '',
    ...(globals.length > 0 ? ['## Flags of every command', '', ...optionTable(globals), ''] : []),
    ...commands.flatMap((row) => section(program, row, groups)),
  ]
    .join('\n')
    .trimEnd()}\n`;
}

function section(program: ProgramSpec, row: CommandRow, groups: readonly GroupRow[]): string[] {
  const words = wordsOf(row);
  const usage = helpText(program, words)
    .split('\n')[0]!
    .replace(/^usage: /, '');
  const above = groups.filter((group) => words.join(' ').startsWith(`${group.path} `));
  const options = visible([...(row.options ?? []), ...above.flatMap((group) => group.options ?? [])]);
  const named = options.filter((option, i) => options.findIndex((other) => other.name === option.name) === i);
  const positionals = Object.entries(row.arguments ?? {});
  return [
    `## ${name(program, row)}`,
    '',
    row.summary,
    '',
    '```',
    usage,
    '```',
    '',
    ...(row.description ? [row.description, ''] : []),
    ...(row.aliases?.length
      ? [`Also: ${row.aliases.map((alias) => `\`${program.name} ${alias}\``).join(', ')}`, '']
      : []),
    ...(positionals.length > 0
      ? [
          '| Argument | |',
          '|---|---|',
          ...positionals.map(
            ([argument, { description, values }]) =>
              `| \`${argument}\` | ${cell(description)}${values ? ` (${values.join(', ')})` : ''} |`,
          ),
          '',
        ]
      : []),
    ...(named.length > 0 ? [...optionTable(named), ''] : []),
    ...(row.examples?.length ? ['```sh', ...row.examples, '```', ''] : []),
  ];
}

function optionTable(options: readonly OptionSpec[]): string[] {
  return ['| Flag | Default | Environment | |', '|---|---|---|---|', ...options.map(optionRow)];
}

function optionRow(option: OptionSpec): string {
  const flag = `${option.short ? `\`-${option.short}\`, ` : ''}\`--${option.kind === 'boolean' ? '[no-]' : ''}${option.name}\``;
  const also = option.aliases?.length ? ` (also ${option.aliases.map((alias) => `\`--${alias}\``).join(', ')})` : '';
  const isNamed = option.values?.every((value) => option.description.includes(value)) ?? true;
  const notes = [option.required ? 'required' : '', isNamed ? '' : option.values!.join(', ')].filter(Boolean);
  const tail = notes.length > 0 ? ` (${notes.join('; ')})` : '';
  return `| ${flag}${also} | ${defaultText(option)} | ${option.env ? `\`${option.env}\`` : ''} | ${cell(option.description)}${tail} |`;
}

function defaultText({ default: value, kind }: OptionSpec): string {
  if (value === undefined || value === '') return '';
  if (kind === 'duration') return `\`${shortDurationText(Number(value))}\``;
  if (kind === 'boolean') return value ? '`yes`' : '';
  return `\`${Array.isArray(value) ? value.join(',') : String(value)}\``;
}

function visible(options: readonly OptionSpec[]): OptionSpec[] {
  return options.filter((option) => !option.hidden);
}

function wordsOf(row: CommandRow): string[] {
  return row.path.split(' ').filter((part) => !/^[<[]/.test(part));
}

function name(program: ProgramSpec, row: CommandRow): string {
  return [program.name, ...wordsOf(row)].join(' ');
}

/** As a heading's anchor is made on the usual forges. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;');
}
