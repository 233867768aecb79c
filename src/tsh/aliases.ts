/**
 * Aliases of `tsh.yaml`: the first word that is not an option may stand for a command line, of `tsh` (`$TSH …`) or of
 * another program. Spec: cli.md 2.5; login-and-profile.md 9.
 */
import type { Env } from '../cli/env.js';
import { nodeCodeOf, TeleportError } from '../errors.js';
import { profileBase } from '../profile/paths.js';
import { readTshConfig } from '../profile/tsh-config.js';
import { program } from './commands.js';

export type Expanded = { kind: 'argv'; argv: readonly string[]; env: Env } | { kind: 'done'; status: number };

/** Comma-separated names that must not expand. Also how an alias that names itself is noticed. */
const UNALIAS = 'TSH_UNALIAS';

/**
 * The command line behind an alias; as it is when there is none. A program that is not `tsh` is run here.
 *
 * @throws TeleportError `BadParameter` for missing arguments, or an alias that leads to itself
 */
export async function expandAlias(argv: readonly string[], env: Env): Promise<Expanded> {
  const at = argv.findIndex((word) => !word.startsWith('-'));
  const name = argv[at];
  if (name === undefined) return { kind: 'argv', argv, env };
  const { aliases } = await readTshConfig(profileBase(env.vars, env.home), env.vars);
  const definition = aliases[name];
  const used = (env.vars[UNALIAS] ?? '').split(',').filter((one) => one !== '');
  if (definition === undefined) return { kind: 'argv', argv, env };
  if (used.includes(name)) {
    if (isBuiltIn(name)) return { kind: 'argv', argv, env };
    throw recursive(name);
  }
  const [executable = '', ...words] = aliasWords(name, definition, argv.slice(at + 1));
  const options = argv.slice(0, at);
  if (executable !== '$TSH' && executable !== 'tsh') {
    return { kind: 'done', status: await runOther(executable, words, env) };
  }
  const inner: Env = Object.create(env, {
    vars: { value: { ...env.vars, [UNALIAS]: [...used, name].join(',') }, enumerable: true },
  });
  return await expandAlias([...options, ...words], inner);
}

/**
 * The words of a definition with its arguments in place; unused arguments follow.
 *
 * @throws TeleportError `BadParameter` when there are too few arguments or a quote does not end
 */
export function aliasWords(name: string, definition: string, args: readonly string[]): string[] {
  const words = splitWords(definition);
  const numbers = words.flatMap((word) => [...word.matchAll(/\$(\d+)/g)].map((found) => Number(found[1])));
  const needed = Math.max(-1, ...numbers) + 1;
  if (args.length < needed) {
    throw new TeleportError(
      'BadParameter',
      `tsh alias ${JSON.stringify(name)} requires ${needed} arguments, but was invoked with ${args.length}`,
    );
  }
  const placed = words.map((word) => word.replace(/\$(\d+)/g, (_, n: string) => args[Number(n)]!));
  return [...placed, ...args.filter((_, i) => !numbers.includes(i))];
}

/** True when a command begins with this word: an alias of that name may add options to it. */
function isBuiltIn(word: string): boolean {
  return word === 'help' || program.commands.some((row) => row.path.split(' ')[0] === word);
}

function recursive(name: string): TeleportError {
  return new TeleportError(
    'BadParameter',
    `recursive alias ${JSON.stringify(name)}; correct alias definition and try again`,
  );
}

function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== undefined) {
      if (char === quote) quote = undefined;
      else if (char === '\\' && quote === '"' && i + 1 < text.length) word += text[++i]!;
      else word += char;
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= '';
    } else if (char === '\\' && i + 1 < text.length) word = (word ?? '') + text[++i]!;
    else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (quote !== undefined) throw new TeleportError('BadParameter', 'an alias has a quote that does not end');
  return word === undefined ? words : [...words, word];
}

async function runOther(executable: string, args: string[], env: Env): Promise<number> {
  const { runChild } = await import('../cli/child.js');
  const { exitCode } = await runChild(env, executable, args).catch((error: unknown) => {
    if (nodeCodeOf(error) !== 'ENOENT') throw error;
    throw new TeleportError('NotFound', `failed to find the executable ${JSON.stringify(executable)}`);
  });
  if (exitCode !== 0) throw new TeleportError('BadParameter', `exit status ${exitCode ?? 1}`);
  return 0;
}
