/** Reading the audit log, by a service of our own (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import type { AuditReader } from '../../api/gen/internal_pb.js';
import { timestampToDate } from '../../api/time.js';
import { searchEvents } from '../audit-search.js';
import type { AuthState } from '../state.js';
import { whoCalls } from '../who.js';

export function auditReaderHandlers(state: AuthState): Partial<ServiceImpl<typeof AuditReader>> {
  return {
    searchEvents: async (
      { from, to, user, database, kinds, limit, start, newestFirst, own },
      context: HandlerContext,
    ) =>
      await searchEvents(state, await whoCalls(state, context.values.get(callerKey)), {
        from: timestampToDate(from) ?? new Date(0),
        to: timestampToDate(to) ?? new Date(state.now().getTime() + FUTURE_MS),
        ...(user ? { user } : {}),
        ...(database ? { database } : {}),
        kinds,
        limit,
        start,
        newestFirst,
        own,
      }),
  };
}

/** A clock of an agent may be ahead. */
const FUTURE_MS = 86_400_000;
