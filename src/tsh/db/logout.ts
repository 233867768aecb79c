/** `tsh db logout`: remove stored credentials, of one database or of all. Source: cli.md 4.6. */
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import type { SelectorArgs } from './args.js';
import { chooseActive } from './choose.js';

export async function run(env: Env, args: SelectorArgs): Promise<void> {
  await using access = await openAccess(env, args);
  const hasSelector = Boolean(args.db || args.labels || args.query);
  const chosen = hasSelector ? await chooseActive(access, args) : await access.active();
  await access.logout(chosen.map(({ name }) => name));
  if (chosen.length === 1) printLine(env, `Logged out of database ${chosen[0]!.name}`);
  else printLine(env, 'Logged out of all databases');
}
