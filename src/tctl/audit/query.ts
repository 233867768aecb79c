/** The flags with which `tctl audit` chooses records. */
import type { AuditQuery } from '../../api/audit-lines.js';
import { parseMoment } from '../../cli/moment.js';
import { TeleportError } from '../../errors.js';
import type { AdminArgs } from '../connect.js';

export interface AuditArgs extends AdminArgs {
  from?: string | undefined;
  to?: string | undefined;
  user?: string | undefined;
  database?: string | undefined;
  kind: string[];
  limit: number;
  format: 'text' | 'json';
}

/** @throws TeleportError `BadParameter` that names the flag */
export function queryOf(args: AuditArgs, now: Date): AuditQuery {
  if (args.limit < 0) throw new TeleportError('BadParameter', '--limit must not be negative; 0 means all');
  return {
    ...(args.from ? { from: parseMoment(args.from, '--from', now) } : {}),
    ...(args.to ? { to: parseMoment(args.to, '--to', now) } : {}),
    ...(args.user ? { user: args.user } : {}),
    ...(args.database ? { database: args.database } : {}),
    kinds: args.kind.map((kind) => (kind.endsWith('.*') ? kind.slice(0, -1) : kind)),
    limit: args.limit,
  };
}
