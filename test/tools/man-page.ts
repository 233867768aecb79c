/**
 * One program's man page in the `man` macros of roff, from its command table. Every text is escaped: a line of it that
 * begins with a dot would be a request of roff's, and a hyphen would not be the one that can be copied. Pure. Source: man(7).
 */
import type { ProgramSpec } from '../../src/cli/command.js';
import { type CommandEntry, entriesOf, type OptionEntry, optionsOf } from './command-entries.js';

export interface ManPage {
  /** 1 for commands of people, 8 for those of administrators. */
  section: 1 | 8;
  /** `teleshift 18.3.0`. */
  source: string;
  /** More lines of SEE ALSO, `tctl(8)`. */
  seeAlso: readonly string[];
}

const TITLES = { 1: 'User Commands', 8: 'System Administration' } as const;

/** The whole page, ending with one newline. */
export function manPage(program: ProgramSpec, { section, source, seeAlso }: ManPage): string {
  const globals = optionsOf(program.globals);
  return `${[
    '.\\" Written by `npm run docs` from the command table. Change the table, not this page.',
    `.TH ${program.name.toUpperCase()} ${section} "" ${quoted(source)} ${quoted(TITLES[section])}`,
    '.SH NAME',
    `${text(program.name)} \\- ${text(program.description.replace(/\.$/, ''))}`,
    '.SH SYNOPSIS',
    `.B ${text(program.name)}`,
    text('[<flags>] <command> [<args>...]'),
    '.SH COMMANDS',
    ...entriesOf(program).flatMap(commandLines),
    ...(globals.length > 0 ? ['.SH FLAGS OF EVERY COMMAND', ...globals.flatMap(optionLines)] : []),
    '.SH EXIT STATUS',
    text('0 when everything that was asked for was done, else 1 or what the command says.'),
    '.SH SEE ALSO',
    seeAlso.map((page) => text(page)).join(', '),
  ].join('\n')}\n`;
}

function commandLines(entry: CommandEntry): string[] {
  return [
    `.SS ${quoted(entry.usage)}`,
    text(entry.summary),
    ...(entry.description ?? '').split('\n').flatMap((line) => (line === '' ? [] : ['.PP', text(line)])),
    ...(entry.aliases.length > 0 ? ['.PP', text(`Also: ${entry.aliases.join(', ')}`)] : []),
    ...entry.positionals.flatMap(({ name, text: about }) => ['.TP', `.I ${text(name)}`, text(about)]),
    ...entry.options.flatMap(optionLines),
    ...(entry.examples.length > 0 ? ['.PP', '.EX', ...entry.examples.map(text), '.EE'] : []),
  ];
}

function optionLines({ flags, alsoFlags, defaultText, env, text: about }: OptionEntry): string[] {
  const notes = [
    ...(alsoFlags.length > 0 ? [`Also ${alsoFlags.join(', ')}.`] : []),
    ...(defaultText ? [`Default: ${defaultText}.`] : []),
    ...(env ? [`Environment: ${env}.`] : []),
  ];
  return ['.TP', `.B ${text(flags.join(', '))}`, text([about, ...notes].join(' '))];
}

/** Signs that roff would take for others, so that what is copied from the page would not be what is typed. */
const ESCAPES: Record<string, string> = {
  '\\': '\\e',
  "'": '\\(aq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
  '-': '\\-',
};

/** One line that is read as text, whatever stands in it. */
function text(line: string): string {
  const escaped = line.replaceAll('\n', ' ').replace(/[\\'`^~-]/g, (sign) => ESCAPES[sign]!);
  return escaped.startsWith('.') ? `\\&${escaped}` : escaped;
}

/** One argument of a request. */
const quoted = (line: string): string => `"${text(line).replaceAll('"', '\\(dq')}"`;
