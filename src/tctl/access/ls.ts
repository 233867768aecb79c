/** `tctl access ls`: the databases that a user may enter, and through which role. */
import type { Env } from '../../cli/env.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { listEntrances, printEntrances } from './entrances.js';

export interface AccessLsArgs extends AdminArgs {
  user: string;
  format: 'text' | 'json';
}

export async function run(env: Env, args: AccessLsArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const found = await listEntrances(client, { user: args.user });
  const { format } = args;
  await printEntrances(env, found, { format, first: 'database', nothing: `${args.user} may enter no database.` });
}
