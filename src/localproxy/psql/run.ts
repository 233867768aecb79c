/**
 * The child psql: finding it, giving it the terminal, its exit status. Ctrl-C on the terminal belongs to psql: the caller
 * holds it. Whatever else asks this process to end, ends psql first.
 */
import { constants as osConstants } from 'node:os';
import { startChild } from '../../child-process.js';
import { findProgram } from '../../cli/find-program.js';
import { printable, visible } from '../../cli/printable.js';
import { messageOf, TeleportError } from '../../errors.js';

export interface RunOptions {
  /** Absolute path from `findPsql`. */
  file: string;
  args: readonly string[];
  /** All that it sees; `psqlEnvironment` makes it. */
  env: Record<string, string | undefined>;
  /** Ends psql at once: it says nothing any more, and has no time to cancel its statement. */
  signal?: AbortSignal;
  /** `visible`, `printable`: to ours, line by line, without what a terminal would obey. psql calls no pager then. */
  stdio?: {
    stdin: 'inherit' | 'ignore';
    stdout: 'inherit' | 'pipe' | 'visible';
    stderr: 'inherit' | 'pipe' | 'printable';
  };
}

export interface Exited {
  /** 0 to 255; a signal gives 128 + its number. */
  status: number;
  stdout: string;
  stderr: string;
}

/** Undefined when there is none in PATH. */
export async function findPsql(path: string | undefined): Promise<string | undefined> {
  return await findProgram(path, 'psql');
}

/** What to say where psql is missing. */
export function psqlMissing(): TeleportError {
  return new TeleportError('NotFound', 'exec: "psql": executable file not found in $PATH', {
    hint: 'Install the PostgreSQL client (Debian, Ubuntu: apt install postgresql-client; Fedora: dnf install postgresql; macOS: brew install libpq), or run a statement without it: tsh db exec "select 1" --dbs=NAME',
  });
}

/** How long psql may take to end when it is asked to. It does so at once, unless it is stopped. Our own limit. */
const KILL_AFTER_MS = 1000;

/**
 * Run psql to its end.
 *
 * @throws the signal's reason when it is aborted before psql runs; TeleportError `ConnectionProblem` when psql cannot run
 */
export async function runPsql({ file, args, env, signal, stdio }: RunOptions): Promise<Exited> {
  const {
    stdin,
    stdout: out,
    stderr: err,
  } = stdio ?? ({ stdin: 'inherit', stdout: 'inherit', stderr: 'inherit' } as const);
  const { end } = await startChild(file, args, {
    stdin,
    stdout: out === 'visible' ? [eachLine(visible), 'inherit'] : out,
    stderr: err === 'printable' ? [eachLine(printable), 'inherit'] : err,
    buffer: { stdout: out === 'pipe', stderr: err === 'pipe' },
    env,
    ...(signal ? { cancelSignal: signal } : {}),
    forceKillAfterDelay: KILL_AFTER_MS,
    stripFinalNewline: false,
  }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new TeleportError('ConnectionProblem', `cannot run ${file}: ${messageOf(cause)}`, { cause });
  });
  const { exitCode, signal: endedBy, stdout, stderr } = await end;
  const status = exitCode ?? 128 + (endedBy ? osConstants.signals[endedBy] : 0);
  return { status, stdout: String(stdout ?? ''), stderr: String(stderr ?? '') };
}

const eachLine = (change: (line: string) => string) =>
  function* (line: unknown) {
    yield change(String(line));
  };
