/** `tctl audit ls`: the last records of the audit log, the newest at the end. */
import { auditLines } from '../../api/audit-lines.js';
import type { Env } from '../../cli/env.js';
import { printLine, printTable, printTctlJson } from '../../cli/output.js';
import { TeleportError } from '../../errors.js';
import { connectAdmin } from '../connect.js';
import { type AuditArgs, queryOf } from './query.js';
import { recordTable } from './text.js';

/** They are all held here, to be shown with the newest at the end. */
const HIGHEST_LIMIT = 10_000;

export async function run(env: Env, args: AuditArgs): Promise<void> {
  const query = queryOf(args, env.now());
  if (args.limit < 1 || args.limit > HIGHEST_LIMIT) {
    throw new TeleportError('BadParameter', `--limit must be between 1 and ${HIGHEST_LIMIT}`, {
      hint: 'For more than that there is "tctl audit export".',
    });
  }
  await using client = await connectAdmin(env, args);
  const found: string[] = [];
  for await (const line of auditLines(client, { ...query, newestFirst: true })) found.push(line);
  found.reverse();
  if (args.format === 'json') {
    printTctlJson(
      env,
      found.map((line) => JSON.parse(line) as unknown),
    );
  } else if (found.length === 0) printLine(env, 'No records.');
  else await printTable(env, recordTable(found));
}
