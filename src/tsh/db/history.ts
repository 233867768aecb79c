/** `tsh db history`: the statements that ran in one's own name, as the cluster has recorded them. */
import { openCluster } from '../../access/cluster/open.js';
import type { Env } from '../../cli/env.js';
import { parseMoment } from '../../cli/moment.js';
import { printJson, printLine, printTable } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import type { GlobalArgs } from '../flags.js';
import { type RanStatement, ranStatements, resultText, STATEMENT_KINDS } from './statements.js';

export interface DbHistoryArgs extends GlobalArgs {
  db?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  limit: number;
  format: 'text' | 'json';
}

const MOST_STATEMENTS = 10_000;
/** Of one statement that was prepared: text, values, execution, result. */
const RECORDS_EACH = 4;

export async function run(env: Env, args: DbHistoryArgs): Promise<void> {
  const { limit } = args;
  if (limit < 1 || limit > MOST_STATEMENTS) {
    throw new TeleportError('BadParameter', `--limit must be between 1 and ${MOST_STATEMENTS}`);
  }
  const now = env.now();
  await using access = await openCluster(env, args);
  const lines = await access.ownRecords({
    ...(args.from ? { from: parseMoment(args.from, '--from', now) } : {}),
    ...(args.to ? { to: parseMoment(args.to, '--to', now) } : {}),
    ...(args.db ? { database: args.db } : {}),
    kinds: STATEMENT_KINDS,
    limit: limit * RECORDS_EACH,
  });
  const ran = ranStatements(lines.map((line) => JSON.parse(line) as Record<string, unknown>)).slice(-limit);
  if (args.format === 'json') printJson(env, ran.map(membersOf));
  else if (ran.length === 0) printLine(env, 'No statements.');
  else await printStatements(env, ran);
}

async function printStatements(env: Env, ran: readonly RanStatement[]): Promise<void> {
  await printTable(env, {
    titles: ['Time', 'Database', 'DB User', 'DB Name', 'Result', 'Statement'],
    rows: ran.map((one) => [one.time, one.database, one.dbUser, one.dbName, resultText(one), one.text]),
    cut: ['Statement'],
  });
}

/** In the names of the audit log. */
function membersOf({ time, database, dbUser, dbName, text, isCut, session, result }: RanStatement): object {
  return {
    time,
    db_service: database,
    db_user: dbUser,
    db_name: dbName,
    db_query: text,
    ...(isCut ? { is_cut: true } : {}),
    sid: session,
    ...(result && {
      success: result.success,
      rows: result.rows,
      affected_records: result.affected,
      sqlstate: result.sqlState,
      error: result.error,
      duration_ms: result.durationMs,
    }),
  };
}
