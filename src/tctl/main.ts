/** The `tctl` program: its table, run against the real process. */
import { runMain } from '../cli/program.js';
import { program } from './commands.js';

export function main(): Promise<void> {
  return runMain(program, process);
}
