/** `tctl access who`: the users who may enter a database, and through which role. */
import type { Env } from '../../cli/env.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { listEntrances, printEntrances } from './entrances.js';

export interface AccessWhoArgs extends AdminArgs {
  db: string;
  format: 'text' | 'json';
}

export async function run(env: Env, args: AccessWhoArgs): Promise<void> {
  await using client = await connectAdmin(env, args);
  const found = await listEntrances(client, { database: args.db });
  const { format } = args;
  await printEntrances(env, found, { format, first: 'user', nothing: `Nobody may enter ${args.db}.` });
}
