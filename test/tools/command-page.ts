/** One program's reference page as Markdown, from its command table. Pure. */
import type { ProgramSpec } from '../../src/cli/command.js';
import { type CommandEntry, entriesOf, type OptionEntry, optionsOf } from './command-entries.js';

/** The whole page, ending with one newline. */
export function commandPage(program: ProgramSpec): string {
  const commands = entriesOf(program);
  const globals = optionsOf(program.globals);
  return `${[
    `# ${program.name}`,
    '',
    program.description,
    '',
    '<!-- Written by `npm run docs` from the command table. Change the table, not this page. -->',
    '',
    '| Command | |',
    '|---|---|',
    ...commands.map(({ name, summary }) => `| [${name}](#${anchor(name)}) | ${cell(summary)} |`),
    '',
    ...(globals.length > 0 ? ['## Flags of every command', '', ...optionTable(globals), ''] : []),
    ...commands.flatMap(section),
  ]
    .join('\n')
    .trimEnd()}\n`;
}

function section({
  name,
  usage,
  summary,
  description,
  aliases,
  positionals,
  options,
  examples,
}: CommandEntry): string[] {
  return [
    `## ${name}`,
    '',
    summary,
    '',
    '```',
    usage,
    '```',
    '',
    ...(description ? [description, ''] : []),
    ...(aliases.length > 0 ? [`Also: ${aliases.map((alias) => `\`${alias}\``).join(', ')}`, ''] : []),
    ...(positionals.length > 0
      ? [
          '| Argument | |',
          '|---|---|',
          ...positionals.map(({ name: argument, text }) => `| \`${argument}\` | ${cell(text)} |`),
          '',
        ]
      : []),
    ...(options.length > 0 ? [...optionTable(options), ''] : []),
    ...(examples.length > 0 ? ['```sh', ...examples, '```', ''] : []),
  ];
}

function optionTable(options: readonly OptionEntry[]): string[] {
  return ['| Flag | Default | Environment | |', '|---|---|---|---|', ...options.map(optionRow)];
}

function optionRow({ flags, alsoFlags, defaultText, env, text }: OptionEntry): string {
  const code = (words: readonly string[]) => words.map((word) => `\`${word}\``).join(', ');
  const also = alsoFlags.length > 0 ? ` (also ${code(alsoFlags)})` : '';
  return `| ${code(flags)}${also} | ${defaultText ? code([defaultText]) : ''} | ${env ? code([env]) : ''} | ${cell(text)} |`;
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
