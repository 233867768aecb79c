/** `tctl version`. */
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';
import { VERSION } from '../version.js';

export async function run(env: Env): Promise<void> {
  printLine(env, `Teleport v${VERSION} git: node${process.versions.node}`);
}
