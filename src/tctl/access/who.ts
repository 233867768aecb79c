/** `tctl access who`: the users who may enter a database, and through which role. */
import type { AuthClient } from '../../api/client.js';
import { fromMessages } from '../../api/convert.js';
import type { Env } from '../../cli/env.js';
import { printLine } from '../../cli/output.js';
import { shellWord } from '../../shell-word.js';
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
  await printEntrances(env, found, { format, first: 'user', nothing: `No user of this cluster may enter ${args.db}.` });
  if (format === 'text') await printRoots(env, client);
}

/** Their people are not listed: they and their roles are known over there. */
async function printRoots(env: Env, client: AuthClient): Promise<void> {
  const { trustedClusters } = await client.auth.getTrustedClusters({});
  for (const { metadata, spec } of fromMessages('trusted_cluster', trustedClusters)) {
    if (!spec.enabled) continue;
    const ref = `trusted_cluster/${metadata.name}`;
    printLine(
      env,
      `People of the cluster ${JSON.stringify(metadata.name)} come besides, in the roles of: tctl get ${shellWord(ref)}`,
    );
  }
}
