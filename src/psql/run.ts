/**
 * The child psql: finding it, giving it the terminal, its exit status. Ctrl-C belongs to psql: while it runs this process
 * ignores the signal (the caller holds them), or execa's clean-up would end psql in the middle of a session.
 */
import { constants as osConstants } from 'node:os';
import { findProgram } from '../cli/find-program.js';
import { TeleportError } from '../errors.js';

export interface RunOptions {
  /** Absolute path from `findPsql`. */
  file: string;
  args: readonly string[];
  env: Record<string, string | undefined>;
  stdio?: { stdin: 'inherit' | 'ignore'; stdout: 'inherit' | 'pipe'; stderr: 'inherit' | 'pipe' };
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

/** Run psql to its end. */
export async function runPsql({ file, args, env, stdio }: RunOptions): Promise<Exited> {
  const { execa } = await import('execa');
  const child = await execa(file, args, {
    stdin: stdio?.stdin ?? 'inherit',
    stdout: stdio?.stdout ?? 'inherit',
    stderr: stdio?.stderr ?? 'inherit',
    env: env as Record<string, string>,
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
  });
  const status = child.exitCode ?? 128 + (child.signal ? (osConstants.signals[child.signal] ?? 0) : 0);
  if (child.exitCode === undefined && child.signal === undefined) {
    throw new TeleportError('ConnectionProblem', `cannot run ${file}: ${child.shortMessage ?? 'unknown reason'}`, {
      cause: child,
    });
  }
  return { status, stdout: String(child.stdout ?? ''), stderr: String(child.stderr ?? '') };
}
