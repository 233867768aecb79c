/** `tctl users ls`. Source: cli.md 6.1. */
import type { Env } from '../../cli/env.js';
import { printLine, printTable, printTctlJson } from '../../cli/output.js';
import { printable } from '../../resources/printable.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { listUsers } from '../lists.js';

export interface UsersLsArgs extends AdminArgs {
  format: string;
}

export async function run(env: Env, args: UsersLsArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const users = await listUsers(client);
  if (args.format !== 'text') return printTctlJson(env, users.map(printable));
  if (users.length === 0) return printLine(env, 'No users found');
  const rows = users.map(({ metadata, spec }) => [metadata.name, spec.roles.join(',')]);
  await printTable(env, { titles: ['User', 'Roles'], rows, cut: ['Roles'] });
  printLine(env);
}
