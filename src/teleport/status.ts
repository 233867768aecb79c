/** `teleport status`: of the SSH session around it, which cannot be one of ours. Source: cli.md 7.7. */
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';

export async function run(env: Env): Promise<void> {
  printLine(env, 'You are not inside of a Teleport SSH session');
}
