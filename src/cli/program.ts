/**
 * A command line from words to exit status: commander finds the row and binds the words to names (`parser.ts`), their
 * values are read, the row's module is loaded and run, and `exit.ts` reports what went wrong.
 *
 *     argv ── readLine ──> row + texts ── bind ──> args ── load ── run ──> status
 */
import { messageOf, TeleportError } from '../errors.js';
import { createLogger } from '../log.js';
import { inTime, unlessAborted } from '../wait.js';
import { type CommandRow, camelCase, type ProgramSpec } from './command.js';
import { type Env, Signalled } from './env.js';
import { reportError } from './exit.js';
import { checkEnum, defaultValue, parseValue } from './option-values.js';
import { type Chosen, helpText, readLine, UsageError } from './parser.js';
import { withRedactedStderr } from './redacted.js';

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
    const line = readLine(program, argv, { vars: env.vars, width: helpWidth(env) });
    if ('help' in line) {
      env.commandRuns?.('help');
      env.stderr.write(line.help);
      return 0;
    }
    const args = bind(line, env.vars);
    debug = args.debug === true;
    return await runRow(line.row, args, debug ? withDebugLog(env, program) : env);
  } catch (error) {
    return await (error instanceof UsageError ? refuse(program, error, env) : reportError(error, env, { debug }));
  }
}

/**
 * A line that cannot be read, in Kingpin's words, and where the help is. The real programs print the whole help in front of
 * it, and the mistake scrolls away. Whoever names a group alone gets its commands.
 */
async function refuse(program: ProgramSpec, error: UsageError, env: Env): Promise<number> {
  const hint = `Try "${[program.name, ...error.words].join(' ')} --help".`;
  if (error.kind === 'value') return await reportError(new TeleportError('BadParameter', error.message, { hint }), env);
  if (error.kind === 'syntax') {
    env.stderr.write(`${program.name}: error: ${error.message}\n${hint}\n`);
    return 1;
  }
  env.stderr.write(`${helpText(program, error.words, helpWidth(env))}\n`);
  return await reportError(error, env);
}

async function runRow(row: CommandRow, args: Record<string, unknown>, env: Env): Promise<number> {
  env.commandRuns?.(row.path);
  const module = await row.load();
  const running = Promise.resolve(module.run(env, args as never)).then((status) => status ?? 0);
  if (row.ownsSignals) return await running;
  return await untilSignal(running, env.signal, row.tidyMs ?? TIDY_MS);
}

/** The command's own end, or the signal's once the command had its time to tidy up. */
async function untilSignal(running: Promise<number>, signal: AbortSignal, tidyMs: number): Promise<number> {
  try {
    return await unlessAborted(signal, running);
  } catch (error) {
    if (!signal.aborted) throw error;
    return await inTime(running, tidyMs, () => signal.reason ?? new Signalled('SIGINT'));
  }
}

/** Texts → typed values, by camelCase names. Typed beats environment, environment beats default. */
function bind(
  { row, words, options, typed, operands, passthrough }: Chosen,
  vars: Env['vars'],
): Record<string, unknown> {
  const checked = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      throw new UsageError('value', messageOf(error), words);
    }
  };
  const args: Record<string, unknown> = {};
  for (const option of options) {
    const given = typed(option);
    const fromEnv = (option.env && vars[option.env]) || undefined;
    let value: unknown = given;
    if (typeof given === 'object') value = checked(() => parseValue(option, given));
    else if (given === undefined && fromEnv)
      value = (option.envLenient ? orNothing : checked)(() => parseValue(option, [fromEnv]));
    args[camelCase(option.name)] = value ?? defaultValue(option);
  }
  for (const [name, operand] of operands) {
    const values = row.arguments?.[name]?.values;
    for (const word of values ? [operand ?? []].flat() : []) checked(() => checkEnum(values!, word));
    args[camelCase(name)] = operand;
  }
  if (row.passthrough) args.passthrough = passthrough;
  return args;
}

/** What `read` gives, or nothing where it cannot. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
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
  const columns = env.columns.stderr;
  return columns !== undefined && columns > 40 ? columns : 80;
}
