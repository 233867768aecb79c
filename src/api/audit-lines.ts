/** The audit log of a cluster, record by record, however many pages it takes. No more than a page is held at a time. */
import { isTeleportError, TeleportError } from '../errors.js';
import type { AuthClient } from './client.js';
import { timestampOfDate } from './time.js';

export interface AuditQuery {
  from?: Date;
  to?: Date;
  user?: string;
  database?: string;
  /** Names of events, or beginnings of names that end in a dot. */
  kinds?: readonly string[];
  newestFirst?: boolean;
  /** The caller's own statements only; for that no rule is needed. */
  own?: boolean;
  /** Most records; 0 for all. */
  limit: number;
}

/** Most records of a page. Our Auth gives no more. */
const PAGE = 1000;

/** JSON texts as they stand in the log. @throws TeleportError `NotImplemented` at a cluster of Teleport's own */
export async function* auditLines(client: AuthClient, query: AuditQuery): AsyncGenerator<string> {
  let left = query.limit === 0 ? Number.POSITIVE_INFINITY : query.limit;
  for (let start = ''; ; ) {
    const { lines, next } = await client.auditReader
      .searchEvents({
        ...(query.from ? { from: timestampOfDate(query.from) } : {}),
        ...(query.to ? { to: timestampOfDate(query.to) } : {}),
        user: query.user ?? '',
        database: query.database ?? '',
        kinds: [...(query.kinds ?? [])],
        newestFirst: query.newestFirst ?? false,
        own: query.own ?? false,
        limit: Math.min(left, PAGE),
        start,
      })
      .catch((error: unknown) => {
        throw isTeleportError(error, 'NotImplemented') ? notOurs(error) : error;
      });
    yield* lines.slice(0, left);
    left -= lines.length;
    if (next === '' || left <= 0) return;
    if (next === start) throw new TeleportError('Protocol', 'the cluster gives the same page of its audit log again');
    start = next;
  }
}

const notOurs = (cause: unknown) =>
  new TeleportError('NotImplemented', 'this cluster does not give out its audit log in this way', {
    cause,
    hint: "On a cluster of Teleport's, use its web UI or its own tctl.",
  });
