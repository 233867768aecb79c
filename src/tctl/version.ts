/** `tctl version`. */
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';

export async function run(env: Env): Promise<void> {
  printLine(env, `Teleport v18.3.0 git: node${process.versions.node}`);
}
