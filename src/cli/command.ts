/**
 * The rows of a command table. A row is data: what is typed, what the help says, and where the code is; the code itself
 * comes through `load` when the row is chosen. How a command line is read against the rows is in `parser.ts`, how the
 * chosen row is run in `program.ts`. Spec: the parsing rules of Teleport 18's command lines (kingpin).
 */
import type { Env } from './env.js';

/**
 * What a value must look like. `duration` is Go's form (`12h`, `1h30m`), `file` is a path that must exist, `list` is cut at
 * commas, `texts` are whole values, one each time it is typed.
 */
export type OptionKind = 'string' | 'boolean' | 'int' | 'enum' | 'list' | 'texts' | 'duration' | 'file';

export interface OptionSpec {
  /** Long name without dashes, kebab-case: `db-user` is typed `--db-user` and arrives as `dbUser`. */
  name: string;
  /** One letter, without dash. */
  short?: string;
  /** Default: `string`. */
  kind?: OptionKind;
  /** The allowed words of an `enum`. */
  values?: readonly string[];
  /** Environment variable used when the option is not typed; an empty variable counts as unset. */
  env?: string;
  /** A bad value in the variable is ignored instead of refused. */
  envLenient?: boolean;
  /** Must be typed (or come from the environment). */
  required?: boolean;
  /** Value when absent: of a boolean else false, of a list or texts else [], of all others else undefined. Durations in ms. */
  default?: string | boolean | number | readonly string[];
  description: string;
  /** Works, but help does not show it. */
  hidden?: boolean;
  /** Other long spellings of the same option; help does not show them. */
  aliases?: readonly string[];
}

export interface ArgumentSpec {
  description: string;
  /** When given, the only words allowed. */
  values?: readonly string[];
}

/** A module that a row loads. The returned number is the exit status; nothing is 0. */
export interface CommandModule<Args> {
  // biome-ignore lint/suspicious/noConfusingVoidType: a command that has nothing to say just ends
  run(env: Env, args: Args): Promise<number | void>;
}

export interface CommandSpec<Args = Record<string, unknown>> {
  /** Words, then positional arguments in order: `db connect <database>`, `users rm <users...>`, `db ls [labels]`. */
  path: string;
  summary: string;
  /** More paragraphs for the help of this command. */
  description?: string;
  options?: readonly OptionSpec[];
  /** Help for the positional arguments, by name. */
  arguments?: Record<string, ArgumentSpec>;
  /** Whole lines that can be typed, or `# remark` lines. */
  examples?: readonly string[];
  hidden?: boolean;
  /** Other words for the whole path: `database ls` for `db ls`. */
  aliases?: readonly string[];
  /** What follows `--` arrives as `args.passthrough` (string[]) instead of as positional arguments. */
  passthrough?: boolean;
  /** The command listens to `env.signal` and ends in its own time; otherwise it is ended soon after a signal. */
  ownsSignals?: boolean;
  /** How long it may tidy up after a signal, in milliseconds, where the usual time is too short. */
  tidyMs?: number;
  load: () => Promise<CommandModule<Args>>;
}

/** A word with subcommands: its summary, and the options that may stand before or after the subcommand's name. */
export interface GroupSpec {
  path: string;
  summary: string;
  options?: readonly OptionSpec[];
  hidden?: boolean;
}

export type CommandRow = { type: 'command' } & CommandSpec<never>;
export type GroupRow = { type: 'group' } & GroupSpec;
export type Row = CommandRow | GroupRow;

export interface ProgramSpec {
  /** `tsh`, `tctl` or `teleport`. */
  name: string;
  version: string;
  description: string;
  /** Options of every command; may stand before or after its name. */
  globals: readonly OptionSpec[];
  commands: readonly Row[];
}

/**
 * One row of a command table. `Args` is the record that `run` receives: positional arguments, options, group options
 * and globals by their camelCase names.
 */
export function command<Args>(spec: CommandSpec<Args>): CommandRow {
  return { type: 'command', ...spec } as unknown as CommandRow;
}

/** A row for a word that only has subcommands. Needed only for its summary or its options. */
export function group(spec: GroupSpec): GroupRow {
  return { type: 'group', ...spec };
}

/** `db-user` → `dbUser`. */
export function camelCase(name: string): string {
  return name.replace(/-+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The words of a row's path, without its arguments. */
export function wordsOf(row: Row): string[] {
  return row.path.split(' ').filter((part) => !/^[<[]/.test(part));
}
