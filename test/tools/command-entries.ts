/** What the reference pages and the man pages tell of a program's commands, from its command table. Pure. */
import type { CommandRow, GroupRow, OptionSpec, ProgramSpec } from '../../src/cli/command.js';
import { helpText } from '../../src/cli/parser.js';
import { shortDurationText } from '../../src/duration.js';

export interface CommandEntry {
  /** `tsh db ls`. */
  name: string;
  /** The first line of its help. */
  usage: string;
  summary: string;
  description: string | undefined;
  /** Whole: `tsh database ls`. */
  aliases: string[];
  positionals: { name: string; text: string }[];
  options: OptionEntry[];
  examples: readonly string[];
}

export interface OptionEntry {
  /** `-d`, `--[no-]debug`. */
  flags: string[];
  alsoFlags: string[];
  defaultText: string;
  env: string | undefined;
  text: string;
}

/** The commands that help shows. */
export function entriesOf(program: ProgramSpec): CommandEntry[] {
  const groups = program.commands.filter((row): row is GroupRow => row.type === 'group');
  return program.commands
    .filter((row): row is CommandRow => row.type === 'command' && !row.hidden)
    .map((row) => entryOf(program, row, groups));
}

/** The options that help shows, each once. */
export function optionsOf(options: readonly OptionSpec[]): OptionEntry[] {
  const shown = options.filter((option) => !option.hidden);
  return shown.filter((option, i) => shown.findIndex((other) => other.name === option.name) === i).map(optionEntry);
}

function entryOf(program: ProgramSpec, row: CommandRow, groups: readonly GroupRow[]): CommandEntry {
  const words = row.path.split(' ').filter((part) => !/^[<[]/.test(part));
  const above = groups.filter((group) => words.join(' ').startsWith(`${group.path} `));
  return {
    name: [program.name, ...words].join(' '),
    usage: helpText(program, words)
      .split('\n')[0]!
      .replace(/^usage: /, ''),
    summary: row.summary,
    description: row.description,
    aliases: (row.aliases ?? []).map((alias) => `${program.name} ${alias}`),
    positionals: Object.entries(row.arguments ?? {}).map(([name, { description, values }]) => ({
      name,
      text: `${description}${values ? ` (${values.join(', ')})` : ''}`,
    })),
    options: optionsOf([...(row.options ?? []), ...above.flatMap((group) => group.options ?? [])]),
    examples: row.examples ?? [],
  };
}

function optionEntry(option: OptionSpec): OptionEntry {
  const isNamed = option.values?.every((value) => option.description.includes(value)) ?? true;
  const notes = [option.required ? 'required' : '', isNamed ? '' : option.values!.join(', ')].filter(Boolean);
  return {
    flags: [
      ...(option.short ? [`-${option.short}`] : []),
      `--${option.kind === 'boolean' ? '[no-]' : ''}${option.name}`,
    ],
    alsoFlags: (option.aliases ?? []).map((alias) => `--${alias}`),
    defaultText: defaultTextOf(option),
    env: option.env,
    text: `${option.description}${notes.length > 0 ? ` (${notes.join('; ')})` : ''}`,
  };
}

function defaultTextOf({ default: value, kind }: OptionSpec): string {
  if (value === undefined || value === '') return '';
  if (kind === 'duration') return shortDurationText(Number(value));
  if (kind === 'boolean') return value ? 'yes' : '';
  return Array.isArray(value) ? value.join(',') : String(value);
}
