/** `tsh request search --kind=db`: the databases that you can request, with what to write after `--resource`. */

import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { labelsText, printLine, printTable } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { resourceIdText } from '../../resources/access-request.js';
import { shellWord } from '../../shell-word.js';
import { parseLabels } from '../db/choose.js';
import { searchWords } from '../db/ls.js';
import type { GlobalArgs } from '../flags.js';

export interface RequestSearchArgs extends GlobalArgs {
  kind: string;
  search?: string | undefined;
  labels?: string | undefined;
  query?: string | undefined;
  verbose: boolean;
}

const TITLES = ['Database Name', 'Labels', 'Resource ID'];

export async function run(env: Env, args: RequestSearchArgs): Promise<void> {
  if (args.kind !== 'db') {
    throw new TeleportError('BadParameter', `--kind must be db, got ${JSON.stringify(args.kind)}`);
  }
  await using access = await openCluster(env, args);
  const filter = { labels: parseLabels(args.labels), search: searchWords(args.search), query: args.query || undefined };
  const found = await access.databases(filter, { useSearchAsRoles: true });
  const rows = found.map(({ database: { metadata } }) => [
    metadata.name,
    labelsText(metadata.labels, { verbose: args.verbose }),
    resourceIdText({ cluster: access.clusterName, kind: 'db', name: metadata.name }),
  ]);
  await printTable(env, { titles: TITLES, rows, cut: ['Labels'], copied: ['Resource ID'], isWhole: args.verbose });
  if (rows.length === 0) return;
  printLine(env);
  printLine(env, 'To request access to these resources, run');
  printLine(
    env,
    `> tsh request create --resource ${rows.map(([, , id = '']) => shellWord(id)).join(' --resource ')} \\`,
  );
  printLine(env, '    --reason <request reason>');
  printLine(env);
}
