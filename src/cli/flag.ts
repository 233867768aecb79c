/** The options of a table as commander's flags: which of them may be typed at a command, and how each is spelled. */
import { Option } from 'commander';
import { type CommandRow, camelCase, type OptionSpec, type ProgramSpec, wordsOf } from './command.js';

/** Environment variables by name. */
export type Vars = Readonly<Record<string, string | undefined>>;

/** One spelling of an option of the table; its texts gather in order. */
export class Flag extends Option {
  readonly spec: OptionSpec;

  constructor(spec: OptionSpec, flags: string) {
    super(flags, spec.description);
    this.spec = spec;
    this.hideHelp(spec.hidden === true);
    if (spec.kind !== 'boolean') this.argParser((text, before: string[] | undefined) => [...(before ?? []), text]);
  }

  /** All spellings of an option arrive under one name. */
  override attributeName(): string {
    return camelCase(this.spec.name);
  }
}

/** The flags of one option: itself, its other spellings, and for a boolean those that deny it. */
export function flagsOf(spec: OptionSpec, vars: Vars): Flag[] {
  const short = spec.short ? `-${spec.short}, ` : '';
  const others = spec.aliases ?? [];
  if (spec.kind === 'boolean') {
    const hidden = [...others.map((name) => `--${name}`), ...[spec.name, ...others].map((name) => `--no-${name}`)];
    return [new Flag(spec, `${short}--${spec.name}`), ...hidden.map((flags) => new Flag(spec, flags).hideHelp())];
  }
  const own = new Flag(spec, `${short}--${spec.name} <value>`);
  if (spec.required && !(spec.env && vars[spec.env])) own.makeOptionMandatory();
  return [own, ...others.map((name) => new Flag(spec, `--${name} <value>`).hideHelp())];
}

/** The options that may be typed at a command: its own, those of the groups above, the program's. The nearest name wins. */
export function optionsAt(program: ProgramSpec, words: readonly string[], own: CommandRow | undefined): OptionSpec[] {
  const layers = [program.globals];
  for (const row of program.commands) {
    if (row.type === 'group' && startsWith(words, wordsOf(row))) layers.push(row.options ?? []);
  }
  if (own) layers.push(own.options ?? []);
  return layers.reduce<OptionSpec[]>((below, nearer) => {
    const kept = below.filter((o) => !nearer.some((p) => p.name === o.name));
    const free = kept.map((o) => (nearer.some((p) => p.short && p.short === o.short) ? withoutShort(o) : o));
    return [...free, ...nearer];
  }, []);
}

export function startsWith(words: readonly string[], prefix: readonly string[]): boolean {
  return prefix.every((word, i) => words[i] === word);
}

function withoutShort({ short: _, ...rest }: OptionSpec): OptionSpec {
  return rest;
}
