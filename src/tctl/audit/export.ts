/**
 * `tctl audit export`: the audit log in its order, one record a line, as it stands in the log. It is written as it comes,
 * and asked for no faster than it is taken.
 */
import { once } from 'node:events';
import { auditLines } from '../../api/audit-lines.js';
import type { Env } from '../../cli/env.js';
import { printableLine } from '../../cli/printable.js';
import { escaped } from '../../escaped.js';
import { connectAdmin } from '../connect.js';
import { type AuditArgs, queryOf } from './query.js';
import { recordCells } from './text.js';

export interface AuditExportArgs extends AuditArgs {
  checkpoints: boolean;
}

export async function run(env: Env, args: AuditExportArgs): Promise<void> {
  const query = queryOf(args, env.now());
  await using client = await connectAdmin(env, args);
  const asked = args.checkpoints ? { ...query, kinds: ['audit.checkpoint'] } : query;
  for await (const line of auditLines(client, asked)) {
    // A line has this form already, unless somebody edited the files.
    const text = args.format === 'json' ? escaped(line) : recordCells(line).map(printableLine).join('\t');
    if (!env.stdout.write(`${text}\n`)) await once(env.stdout, 'drain', { signal: env.signal });
  }
}
