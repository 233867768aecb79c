/**
 * Help texts: terms and descriptions as commander lays them out, in the sections of Teleport 18: usage line, summary,
 * `Flags:`, `Args:`, `Commands:`, and our `Examples:`.
 */
import { type Argument, type Command, Help } from 'commander';
import { type CommandRow, type GroupRow, type ProgramSpec, wordsOf } from './command.js';
import { type Flag, startsWith } from './flag.js';

/** A term of this many columns stands on its own line. */
const LONG_TERM = 30;

/** What help says of a command beside its flags and arguments. No words: it is the program. */
export interface Described {
  program: ProgramSpec;
  words: readonly string[];
  row: CommandRow | undefined;
  group: GroupRow | undefined;
}

export class TableHelp extends Help {
  override minWidthToWrap = 20;

  override formatHelp(command: Command & Described): string {
    const { program, row, words } = command;
    const isRoot = words.length === 0;
    const sections = [
      [`${isRoot ? 'Usage' : 'usage'}: ${this.commandUsage(command)}`],
      this.#paragraph(isRoot ? program.description : (row?.summary ?? command.group?.summary)),
      this.#paragraph(row?.description),
      this.#section(
        'Flags:',
        this.#flags(command).map((flag) => [this.optionTerm(flag), this.optionDescription(flag)]),
      ),
      this.#section(
        'Args:',
        command.registeredArguments.map((one) => [bracketed(one), row?.arguments?.[one.name()]?.description ?? '']),
      ),
      row === undefined ? ['Commands:', ...commandsBelow(command)] : [],
      row?.aliases?.length ? ['Aliases:', ...row.aliases.map((alias) => `  ${alias}`)] : [],
      row?.examples?.length ? ['Examples:', ...row.examples.map(exampleLine)] : [],
      isRoot ? [`Try '${program.name} help [command]' to get help for a given command.`] : [],
    ];
    return sections
      .filter((lines) => lines.length > 0)
      .map((lines) => `${lines.join('\n')}\n`)
      .join('\n');
  }

  override commandUsage(command: Command & Described): string {
    const { program, row, words } = command;
    const typed = [program.name, ...words];
    if (row === undefined) {
      return [...typed, ...(words.length === 0 ? ['[<flags>]'] : []), '<command>', '[<args> ...]'].join(' ');
    }
    const required = command.options.filter((option) => option.mandatory).map((option) => option.name());
    typed.push(...required.map((name) => `--${name}=${name.toUpperCase()}`));
    if (this.#flags(command).some((flag) => !flag.mandatory)) typed.push('[<flags>]');
    typed.push(...command.registeredArguments.map(bracketed));
    if (row.passthrough) typed.push('[-- <args>...]');
    return typed.join(' ');
  }

  override optionTerm({ spec }: Flag): string {
    return `${spec.short ? `-${spec.short}, ` : '    '}--${spec.kind === 'boolean' ? '[no-]' : ''}${spec.name}`;
  }

  override optionDescription({ spec }: Flag): string {
    const values = spec.kind === 'enum' && !spec.values?.every((value) => spec.description.includes(value));
    return values ? `${spec.description} (${spec.values?.join(', ')})` : spec.description;
  }

  override formatItem(term: string, width: number, description: string): string {
    if (this.displayWidth(term) <= width) return super.formatItem(term, width, description, this);
    return `  ${term}\n${super.formatItem('', width, description, this)}`;
  }

  /** Help is asked for by everybody alike and is not among a command's own flags. */
  #flags(command: Command): Flag[] {
    return command.options.filter((option) => !option.hidden) as Flag[];
  }

  #paragraph(text: string | undefined): string[] {
    return text ? [this.boxWrap(text, this.helpWidth ?? 80)] : [];
  }

  #section(heading: string, items: readonly (readonly [term: string, description: string])[]): string[] {
    if (items.length === 0) return [];
    const widths = items.map(([term]) => this.displayWidth(term)).filter((width) => width < LONG_TERM);
    const width = Math.max(0, ...widths);
    return [heading, ...items.map(([term, description]) => this.formatItem(term, width, description))];
  }
}

function bracketed(argument: Argument): string {
  const rest = argument.variadic ? '...' : '';
  return argument.required ? `<${argument.name()}>${rest}` : `[<${argument.name()}>${rest}]`;
}

/** The commands below a node, by their whole names, in table order. */
function commandsBelow({ program, words }: Described): string[] {
  const rows = program.commands.filter((row): row is CommandRow => row.type === 'command' && !row.hidden);
  const below = rows
    .filter((row) => startsWith(wordsOf(row), words))
    .map((row) => [wordsOf(row).join(' '), row.summary]);
  const width = Math.max(0, ...below.map(([name]) => name!.length));
  return below.map(([name, summary]) => `  ${name!.padEnd(width)} ${summary}`);
}

function exampleLine(line: string): string {
  if (line === '') return '';
  return line.startsWith('#') ? `  ${line}` : `  $ ${line}`;
}
