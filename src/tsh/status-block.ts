/** One login as `tsh status` shows it: a block of facts; that of the login in use begins with `>`. */
import type { Env } from '../cli/env.js';
import { factLines } from '../cli/facts.js';
import { printLine } from '../cli/output.js';

export type Fact = readonly [label: string, value: string, isOptional?: boolean];

/** Facts that are optional and empty are left out. */
export function printBlock(env: Env, facts: readonly Fact[], isInUse: boolean): void {
  const shown = facts.filter(([, value, isOptional]) => value !== '' || !isOptional);
  const lines = factLines(
    shown.map(([label, value]) => [label, value]),
    20,
  );
  for (const [at, line] of lines.entries()) printLine(env, `${at === 0 && isInUse ? '> ' : '  '}${line}`);
  printLine(env);
}
