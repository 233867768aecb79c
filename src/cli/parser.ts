/**
 * A command table as commander's commands, and a line read by them: which row is meant and the texts it was given.
 * Commander finds the subcommand, binds flags and arguments, refuses what is wrong and suggests what is close; the texts
 * of its refusals are kingpin's here. A command's flags and subcommands are made when the line reaches it.
 */
import { Command, type CommanderError } from 'commander';
import { messageOf } from '../errors.js';
import {
  type CommandRow,
  camelCase,
  type GroupRow,
  type OptionSpec,
  type ProgramSpec,
  type Row,
  wordsOf,
} from './command.js';
import { flagsOf, optionsAt, startsWith, type Vars } from './flag.js';
import { type Described, TableHelp } from './help.js';
import { ownWords, wholeLine } from './kingpin.js';

export type UsageKind = 'syntax' | 'value' | 'group';

/** What a person typed wrong. `syntax` stops before a command is understood, `value` after; `group` is a group without a command. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly kind: UsageKind;
  /** Words of the command that was understood so far, for its usage text. */
  readonly words: readonly string[];

  constructor(kind: UsageKind, message: string, words: readonly string[]) {
    super(message);
    this.kind = kind;
    this.words = words;
  }
}

/** A row that was chosen, and what was typed for it. */
export interface Chosen {
  row: CommandRow;
  words: readonly string[];
  options: readonly OptionSpec[];
  /** The texts of an option in order, or what a boolean was set to; undefined when it was not typed. */
  typed(option: OptionSpec): readonly string[] | boolean | undefined;
  /** By the names of the path; a rest argument is a list. */
  operands: ReadonlyMap<string, string | readonly string[] | undefined>;
  /** What stood behind `--`, where the row hands it on. */
  passthrough: readonly string[];
}

/**
 * Read one command line.
 *
 * @param argv  the words after the program's name
 * @param vars  a required flag whose variable is set here need not be typed
 * @param width  columns of the help
 * @returns the chosen row, or the help that was asked for
 * @throws UsageError with kingpin's text
 */
export function readLine(
  program: ProgramSpec,
  argv: readonly string[],
  { vars = {}, width }: { vars?: Vars; width?: number | undefined } = {},
): Chosen | { help: string } {
  const line = new Line(program, vars, width);
  const root = new TableCommand(line, [], []);
  try {
    root.open();
    root.parse(
      root.spelled(() => wholeLine(argv)),
      { from: 'user' },
    );
  } catch (error) {
    if (error !== HELP_SHOWN) throw error;
    return { help: line.help };
  }
  return line.chosen!;
}

/** The help of one command, one group, or (no words) the program. @param words  must exist in the table */
export function helpText(program: ProgramSpec, words: readonly string[], width?: number): string {
  const line = new Line(program, {}, width);
  let command = new TableCommand(line, [], []);
  command.open();
  for (const word of words) {
    command = command.commands.find((one) => one.name() === word) as TableCommand;
    command.open();
  }
  return command.helpInformation();
}

const HELP_SHOWN = Symbol('help shown');

/** What the commands of one line share: the table, and what came of the line. */
class Line {
  readonly program: ProgramSpec;
  readonly vars: Vars;
  readonly width: number | undefined;
  readonly entries: readonly Entry[];
  chosen: Chosen | undefined;
  help = '';

  constructor(program: ProgramSpec, vars: Vars, width: number | undefined) {
    this.program = program;
    this.vars = vars;
    this.width = width;
    this.entries = program.commands.flatMap((row) => {
      const own = { row, spelled: wordsOf(row), hidden: row.hidden === true };
      const aliases = row.type === 'command' ? (row.aliases ?? []) : [];
      return [own, ...aliases.map((alias) => ({ row, spelled: alias.split(' '), hidden: true }))];
    });
  }
}

/** One way to spell a row's words. */
interface Entry {
  row: Row;
  spelled: readonly string[];
  hidden: boolean;
}

/** A word of the table: a program, a group, a command, or two of these at once. */
class TableCommand extends Command implements Described {
  readonly words: readonly string[];
  readonly row: CommandRow | undefined;
  readonly group: GroupRow | undefined;
  /** The options that may be typed here: its own, those of the groups above, the program's. The nearest name wins. */
  specs: readonly OptionSpec[] = [];
  readonly #line: Line;
  readonly #spelled: readonly string[];
  #passthrough: readonly string[] = [];

  /** @param spelled  its words as they were typed, which an alias makes different from its own */
  constructor(line: Line, spelled: readonly string[], rows: readonly Row[]) {
    super(spelled.at(-1) ?? line.program.name);
    this.#line = line;
    this.#spelled = spelled;
    this.row = rows.find((row) => row.type === 'command');
    this.group = rows.find((row) => row.type === 'group');
    this.words = this.row ? wordsOf(this.row) : spelled;
    this.helpCommand(false)
      .enablePositionalOptions()
      .configureOutput({ writeOut() {}, writeErr() {}, getOutHelpWidth: () => line.width ?? 80 })
      .exitOverride((error) => this.#refuse(error))
      .hook('preSubcommand', (_, next) => {
        if (next instanceof TableCommand) next.open();
      });
  }

  /** The program that it belongs to. */
  get program(): ProgramSpec {
    return this.#line.program;
  }

  /** Make its flags, arguments and subcommands. */
  open(): void {
    if (this.specs.length > 0 || this.commands.length > 0) return;
    this.specs = optionsAt(this.program, this.words, this.row);
    for (const spec of this.specs) for (const flag of flagsOf(spec, this.#line.vars)) this.addOption(flag);
    if (this.row) {
      for (const part of this.row.path.split(' ').slice(this.words.length)) this.argument(part);
      this.action(() => this.#choose(this.row!));
    }
    const below = this.#line.entries.filter(
      ({ spelled }) => spelled.length > this.#spelled.length && startsWith(spelled, this.#spelled),
    );
    for (const word of new Set(below.map(({ spelled }) => spelled[this.#spelled.length]!))) {
      const spelled = [...this.#spelled, word];
      const entries = below.filter((entry) => startsWith(entry.spelled, spelled));
      const rows = entries.filter((entry) => entry.spelled.length === spelled.length).map(({ row }) => row);
      this.addCommand(new TableCommand(this.#line, spelled, rows), { hidden: entries.every(({ hidden }) => hidden) });
    }
    if (this.#spelled.length === 0) this.addCommand(helpCommand(this), { hidden: true });
  }

  override parseOptions(argv: string[]) {
    const words = this.spelled(() =>
      ownWords(argv, this.specs, (word) => this.commands.some((one) => one.name() === word)),
    );
    const end = this.row?.passthrough ? words.indexOf('--') : -1;
    if (end < 0) return super.parseOptions(words);
    this.#passthrough = words.slice(end + 1);
    return super.parseOptions(words.slice(0, end));
  }

  override createHelp(): TableHelp {
    return new TableHelp();
  }

  /** What `read` gives; its errors are what was typed wrong at this command. */
  spelled(read: () => string[]): string[] {
    try {
      return read();
    } catch (error) {
      throw new UsageError('syntax', messageOf(error), this.words);
    }
  }

  #choose(row: CommandRow): void {
    const chain: Command[] = [this];
    while (chain[0]!.parent) chain.unshift(chain[0]!.parent);
    this.#line.chosen = {
      row,
      words: this.words,
      options: this.specs,
      typed: (option) => {
        const given = chain
          .map((command) => command.getOptionValue(camelCase(option.name)))
          .filter((one) => one != null);
        return option.kind === 'boolean' ? given.at(-1) : given.length > 0 ? given.flat() : undefined;
      },
      operands: new Map(this.registeredArguments.map((argument, i) => [argument.name(), this.processedArgs[i]])),
      passthrough: this.#passthrough,
    };
  }

  /** Commander's refusal in kingpin's words. */
  #refuse({ code, message }: CommanderError): never {
    const [, name = ''] = /'([^']*)'/.exec(message) ?? [];
    const fail = (kind: UsageKind, text: string): never => {
      throw new UsageError(kind, text + suggestion(message), this.words);
    };
    switch (code) {
      case 'commander.helpDisplayed':
      case 'commander.help':
        if (this.words.length > 0 && code === 'commander.help')
          fail('group', `must select a subcommand of '${this.words.join(' ')}'`);
        if (this.args[0] && !this.args[0].startsWith('-') && !this.row) this.parse([this.args[0]], { from: 'user' });
        this.#line.help = this.helpInformation();
        throw HELP_SHOWN;
      case 'commander.unknownCommand':
        return fail('syntax', `expected command but got ${JSON.stringify(this.args[0])}`);
      case 'commander.unknownOption':
        return fail('syntax', `unknown ${name.startsWith('--') ? 'long' : 'short'} flag '${name}'`);
      case 'commander.excessArguments':
        return fail('syntax', `unexpected ${this.args[this.registeredArguments.length]}`);
      case 'commander.missingArgument':
        return fail('value', `required argument '${name}' not provided`);
      case 'commander.missingMandatoryOptionValue':
        return fail('value', `required flag ${name.split(/[ ,]/).find((word) => word.startsWith('--'))} not provided`);
      default:
        return fail('syntax', message.replace(/^error: /, ''));
    }
  }
}

/** `help db ls` is `db ls --help`. */
function helpCommand(root: TableCommand): Command {
  const help = new Command('help').helpOption(false).argument('[command...]');
  return help.action((words: string[]) => void root.parse([...words, '--help'], { from: 'user' }));
}

/** `(Did you mean one of a, b?)` of commander, as we say it everywhere. */
function suggestion(message: string): string {
  const [, words] = /\(Did you mean (?:one of )?(.+)\?\)$/.exec(message) ?? [];
  if (words === undefined) return '';
  return `, did you mean ${words
    .split(', ')
    .map((word) => JSON.stringify(word))
    .join(' or ')}?`;
}
