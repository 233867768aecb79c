/** The `teleport` program: its table, run against the real process. */
import { runMain } from '../cli/main.js';
import { runProgram } from '../cli/program.js';
import { program } from './commands.js';

/** @param commandRuns  as `Env` has it */
export async function main(commandRuns?: (path: string) => void): Promise<void> {
  await runMain(process, (argv, env) => runProgram(program, argv, env), commandRuns);
}
