/** `tctl db ls`: one row per agent and database. Source: cli.md 6.7. */
import type { Env } from '../../cli/env.js';
import { printTable, printTctlJson, printTctlYaml } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { parseLabelSpec } from '../../resources/labels.js';
import { printable } from '../../resources/printable.js';
import { type AdminArgs, connectAdmin } from '../connect.js';
import { databaseServerTable } from '../get.js';
import { listDatabaseServers } from '../lists.js';
import { unserved, warnUnserved } from '../unserved.js';

export interface DbServersArgs extends AdminArgs {
  labels?: string | undefined;
  search?: string | undefined;
  query?: string | undefined;
  verbose: boolean;
  format: string;
}

export async function run(env: Env, args: DbServersArgs): Promise<void> {
  if (!['text', 'json', 'yaml'].includes(args.format))
    throw new TeleportError('BadParameter', `unknown format ${JSON.stringify(args.format)}`);
  await using client = await connectAdmin(env, args);
  const servers = await listDatabaseServers(client, {
    labels: parseLabelSpec(args.labels ?? ''),
    search: (args.search ?? '').split(',').filter((word) => word !== ''),
    query: args.query ?? '',
  });
  if (args.format === 'json') printTctlJson(env, servers.map(printable));
  else if (args.format === 'yaml') await printTctlYaml(env, servers.map(printable));
  else {
    await printTable(env, databaseServerTable(servers, args));
    if (!args.labels && !args.search && !args.query) warnUnserved(env, await unserved(client, servers).catch(() => []));
  }
}
