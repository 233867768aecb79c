/** The `tsh` program: aliases put in place, then its table run against the real process. */
import { existsSync } from 'node:fs';
import type { Env } from '../cli/env.js';
import { reportError } from '../cli/exit.js';
import { runMain } from '../cli/main.js';
import { runProgram } from '../cli/program.js';
import { withRedactedStderr } from '../cli/redacted.js';
import { program } from './commands.js';

/** @param commandRuns  as `Env` has it */
export async function main(commandRuns?: (path: string) => void): Promise<void> {
  await runMain(process, runTsh, commandRuns);
}

/** One command line of `tsh`, its exit status. @param argv  the words after the program's name */
export async function runTsh(argv: readonly string[], env: Env): Promise<number> {
  try {
    // Aliases may take the place of any command, so they come before the table; most people have none.
    const { profileBase, tshConfigPaths } = await import('../profile/paths.js');
    const { machine, own } = tshConfigPaths(profileBase(env.vars, env.home), env.vars);
    if (!existsSync(machine) && !existsSync(own)) return await runProgram(program, argv, env);
    const { expandAlias } = await import('./aliases.js');
    const expanded = await expandAlias(argv, env);
    if (expanded.kind === 'done') return expanded.status;
    return await runProgram(program, expanded.argv, expanded.env);
  } catch (error) {
    return await reportError(error, withRedactedStderr(env, argv));
  }
}
