/** The `teleport` program: its table, run against the real process. */
import { processEnv } from '../cli/env.js';
import { leave, leaveWhenNobodyReads } from '../cli/exit.js';
import { runProgram } from '../cli/program.js';
import { program } from './commands.js';

export async function main(): Promise<void> {
  leaveWhenNobodyReads(process);
  await leave(process, await runProgram(program, process.argv.slice(2), processEnv(process)));
}
