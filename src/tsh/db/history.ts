/** `tsh db history`: the statements that ran in one's own name, as the cluster has recorded them. */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { parseMoment } from '../../cli/moment.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import type { GlobalArgs } from '../flags.js';

export interface DbHistoryArgs extends GlobalArgs {
  db?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  limit: number;
  format: 'text' | 'json';
}

/** Events with the text of a statement. A prepared one is recorded with its text once. */
const STATEMENTS = ['db.session.query', 'db.session.query.failed', 'db.session.postgres.statements.parse'];
const MOST_RECORDS = 10_000;

export async function run(env: Env, args: DbHistoryArgs): Promise<void> {
  const { limit } = args;
  if (limit < 1 || limit > MOST_RECORDS) {
    throw new TeleportError('BadParameter', `--limit must be between 1 and ${MOST_RECORDS}`);
  }
  const now = env.now();
  await using access = await openCluster(env, args);
  const lines = await access.ownRecords({
    ...(args.from ? { from: parseMoment(args.from, '--from', now) } : {}),
    ...(args.to ? { to: parseMoment(args.to, '--to', now) } : {}),
    ...(args.db ? { database: args.db } : {}),
    kinds: STATEMENTS,
    limit,
  });
  const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  if (args.format === 'json') return printJson(env, records);
  if (records.length === 0) return printLine(env, 'No statements.');
  await printTable(env, {
    titles: ['Time', 'Database', 'DB User', 'DB Name', 'Statement'],
    rows: records.map(({ time, db_service, db_user, db_name, db_query, query }) =>
      [time, db_service, db_user, db_name, db_query ?? query].map((value) => (typeof value === 'string' ? value : '')),
    ),
    cut: ['Statement'],
  });
}
