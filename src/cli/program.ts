/**
 * A command line from words to exit status: `grammar.ts` finds the row, commander binds the words to names, the row's
 * module is loaded and run, and `exit.ts` tells what went wrong. The only door to commander.
 *
 *     argv ── resolve ──> row + canonical words ── commander ──> args ── load ── run ──> status
 */
import { Command, Option } from 'commander';
import { messageOf } from '../errors.js';
import { createLogger } from '../log.js';
import { type CommandRow, camelCase, type OptionSpec, type ProgramSpec } from './command.js';
import { type Env, Signalled } from './env.js';
import { reportError } from './exit.js';
import { type Node, resolve, UsageError } from './grammar.js';
import { helpText } from './help.js';
import { withRedactedStderr } from './redacted.js';
import { checkEnum, defaultValue, parseValue } from './values.js';

/** How long a command that does not end by itself may tidy up after a signal. Our own limit. */
const TIDY_MS = 2000;

/**
 * Run one command line.
 *
 * @param argv  the words after the program's name
 * @returns the exit status; errors and help are already written to `env.stderr`
 */
export async function runProgram(program: ProgramSpec, argv: readonly string[], outer: Env): Promise<number> {
  const env = withRedactedStderr(outer, argv);
  let debug = false;
  try {
    const found = resolve(program, argv);
    if (found.type === 'help') {
      env.stderr.write(helpText(program, found.node.words, helpWidth(env)));
      return 0;
    }
    const args = bind(found, env.vars);
    debug = args.debug === true;
    return await runRow(found.row, args, debug ? withDebugLog(env, program) : env);
  } catch (error) {
    return await (error instanceof UsageError ? refuse(program, error, env) : reportError(error, env, { debug }));
  }
}

/** Kingpin says a line it cannot read in one way and a value it cannot take in another; `tsh` says both at length. */
async function refuse(program: ProgramSpec, error: UsageError, env: Env): Promise<number> {
  if (error.kind === 'syntax') {
    env.stderr.write(`${program.name}: error: ${error.message}\n`);
    if (program.name !== 'tsh') return 1;
  }
  env.stderr.write(`${helpText(program, error.words, helpWidth(env))}\n`);
  return await reportError(error, env);
}

async function runRow(row: CommandRow, args: Record<string, unknown>, env: Env): Promise<number> {
  const module = await row.load();
  const running = Promise.resolve(module.run(env, args as never)).then((status) => status ?? 0);
  if (row.ownsSignals) return await running;
  return await untilSignal(running, env.signal, row.tidyMs ?? TIDY_MS);
}

/** The command's own end, or the signal's once the command had its time to tidy up. */
async function untilSignal(running: Promise<number>, signal: AbortSignal, tidyMs: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(signal.reason ?? new Signalled('SIGINT')), tidyMs);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([running, stopped]);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal.removeEventListener('abort', onAbort);
  }
}

interface Found {
  node: Node;
  row: CommandRow;
  options: readonly OptionSpec[];
  argv: string[];
  passthrough: string[];
}

/** Words → record of typed values, by camelCase names. Typed beats environment, environment beats default. */
function bind({ node, row, options, argv, passthrough }: Found, vars: Env['vars']): Record<string, unknown> {
  const fail = (text: string): never => {
    throw new UsageError('value', text, node.words);
  };
  const typed = read(options, argv);
  const args: Record<string, unknown> = {};
  for (const option of options) {
    const given = typed.options[camelCase(option.name)];
    const fromEnv = option.env === undefined ? undefined : vars[option.env];
    let value: unknown;
    try {
      if (typeof given === 'boolean') value = given;
      else if (given !== undefined) value = parseValue(option, given);
      else if (fromEnv) value = parseValue(option, [fromEnv]);
    } catch (error) {
      if (given !== undefined || !option.envLenient) fail(messageOf(error));
    }
    if (value === undefined && option.required) fail(`required flag --${option.name} not provided`);
    args[camelCase(option.name)] = value ?? defaultValue(option);
  }
  node.positionals.forEach((positional, i) => {
    const words = positional.rest ? typed.operands.slice(i) : typed.operands.slice(i, i + 1);
    if (positional.required && words.length === 0) fail(`required argument '${positional.name}' not provided`);
    const values = row.arguments?.[positional.name]?.values;
    try {
      if (values) for (const word of words) checkEnum(values, word);
    } catch (error) {
      fail(messageOf(error));
    }
    args[camelCase(positional.name)] = positional.rest ? words : words[0];
  });
  if (row.passthrough) args.passthrough = passthrough;
  return args;
}

/** Commander's part: canonical words → texts by option, and operands. */
function read(options: readonly OptionSpec[], argv: readonly string[]) {
  const parser = new Command().helpOption(false).allowExcessArguments().exitOverride();
  parser.configureOutput({ writeOut() {}, writeErr() {} });
  for (const option of options) {
    if (option.kind === 'boolean') {
      parser.addOption(new Option(`--${option.name}`));
      parser.addOption(new Option(`--no-${option.name}`).default(undefined));
    } else {
      const texts = new Option(`--${option.name} <value>`);
      parser.addOption(texts.argParser((text, before: string[] | undefined) => [...(before ?? []), text]));
    }
  }
  parser.parse([...argv], { from: 'user' });
  return { options: parser.opts<Record<string, boolean | string[] | undefined>>(), operands: parser.args };
}

function withDebugLog(env: Env, program: ProgramSpec): Env {
  const log = createLogger({
    component: program.name.toUpperCase(),
    level: 'debug',
    write: (line) => void env.stderr.write(line),
    now: () => env.now(),
  });
  return Object.create(env, { log: { value: log, enumerable: true } }) as Env;
}

function helpWidth(env: Env): number {
  const { columns } = env.stderr as { columns?: number };
  return env.isTty.stderr && columns !== undefined && columns > 40 ? columns : 80;
}
