/**
 * What the real programs read and commander does not, put into words that commander reads. Theirs is kingpin's grammar:
 * `@file` stands for the lines of a file, help may be asked anywhere, `--flag=false` is `--no-flag`, `-f=json` is
 * `-fjson`, and a value that looks like a flag must be joined (`--flag=-x`), so that a forgotten value is noticed.
 * Spec: docs/spec/cli.md. Pure apart from `@file`.
 */
import { readFileSync } from 'node:fs';
import { messageOf, nodeCodeOf } from '../errors.js';
import { goBoolean } from '../yes-no.js';
import type { OptionSpec } from './command.js';

/** The words of a whole line, before any command is known. @throws Error `open FILE: …` */
export function wholeLine(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  const open = (end < 0 ? argv : argv.slice(0, end)).flatMap(linesOfFile);
  const asksHelp = (word: string) => word === '--help' || word === '-h';
  const help = open.some(asksHelp) ? ['--help'] : [];
  return [...open.filter((word) => !asksHelp(word)), ...help, ...(end < 0 ? [] : argv.slice(end))];
}

/**
 * The words that one command sees: flags of its own in commander's spelling, all others as they are.
 *
 * @param isCommand  a first operand that it is true for begins the words of a subcommand, which reads them itself
 * @throws Error `expected argument for flag '--x'`, `unexpected maybe`
 */
export function ownWords(
  words: readonly string[],
  options: readonly OptionSpec[],
  isCommand: (word: string) => boolean,
): string[] {
  const queue = [...words];
  const out: string[] = [];
  while (queue.length > 0) {
    const word = queue.shift()!;
    if (word === '--' || isCommand(word)) return [...out, word, ...queue];
    if (word.startsWith('--')) out.push(longFlag(word));
    else if (word.startsWith('-') && word.length > 1) out.push(...shortFlags(word.slice(1)));
    else return [...out, word, ...operandsAndFlags()];
  }
  return out;

  /** No word is a subcommand any more once an operand stands before it. */
  function operandsAndFlags(): string[] {
    return ownWords(queue, options, () => false);
  }

  function longFlag(word: string): string {
    const at = word.indexOf('=');
    const flag = at < 0 ? word : word.slice(0, at);
    const value = at < 0 ? undefined : word.slice(at + 1);
    const name = flag.slice(2);
    const option = options.find((one) => namesOf(one).includes(name));
    const denies = option === undefined && name.startsWith('no-');
    const meant = denies
      ? options.find((one) => one.kind === 'boolean' && namesOf(one).includes(name.slice(3)))
      : option;
    // An unknown flag goes on without its value: it is commander's to refuse, and what it was given may be a secret.
    if (meant === undefined) return flag;
    if (meant.kind !== 'boolean') return `${flag}=${value ?? valueAfter(flag)}`;
    const given = value === undefined ? true : goBoolean(value);
    if (given === undefined) throw new Error(`unexpected ${value}`);
    return `--${given === denies ? 'no-' : ''}${meant.name}`;
  }

  function shortFlags(letters: string): string[] {
    const flags: string[] = [];
    for (const [i, letter] of [...letters].entries()) {
      const option = options.find((one) => one.short === letter);
      if (option === undefined || option.kind === 'boolean') {
        flags.push(`-${letter}`);
        continue;
      }
      const joined = letters.slice(i + 1);
      return [...flags, `--${option.name}=${joined === '' ? valueAfter(`-${letter}`) : joined.replace(/^=/, '')}`];
    }
    return flags;
  }

  function valueAfter(flag: string): string {
    const next = queue[0];
    if (next === undefined || (next.startsWith('-') && next.length > 1))
      throw new Error(`expected argument for flag '${flag}'`);
    queue.shift();
    return next;
  }
}

function namesOf(option: OptionSpec): readonly string[] {
  return [option.name, ...(option.aliases ?? [])];
}

function linesOfFile(word: string): string[] {
  if (!/^@./.test(word)) return [word];
  const path = word.slice(1);
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/);
    if (lines.at(-1) === '') lines.pop();
    return lines.filter((line) => !line.startsWith('#'));
  } catch (error) {
    const why = nodeCodeOf(error) === 'ENOENT' ? 'no such file or directory' : messageOf(error);
    throw new Error(`open ${path}: ${why}`);
  }
}
