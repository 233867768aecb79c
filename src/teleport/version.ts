/** `teleport version`. Source: cli.md 7.7. */
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';
import { VERSION } from '../version.js';

export async function run(env: Env, args: { raw: boolean }): Promise<void> {
  printLine(env, args.raw ? VERSION : `Teleport v${VERSION} git: node${process.versions.node}`);
}
