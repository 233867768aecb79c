/** What a command says besides its result, for a person: on standard error. */
import type { Env } from '../cli/env.js';
import { printable } from '../cli/printable.js';

export function warn(env: Env, text: string): void {
  env.stderr.write(`WARNING: ${printable(text)}\n`);
}
