/** Searches for databases in AWS: the messages of these methods. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { type Discovery, ReportSearchesRequestSchema } from '../../api/gen/internal_pb.js';
import { fromJsonString, toJsonString } from '../../api/protobuf.js';
import { keepSearches, listSearches } from '../searches.js';
import type { AuthState } from '../state.js';
import { whoCalls } from '../who.js';

export function discoveryHandlers(state: AuthState): Partial<ServiceImpl<typeof Discovery>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    reportSearches: async (request, context) => {
      await keepSearches(state, await whoOf(context), {
        text: toJsonString(ReportSearchesRequestSchema, request),
        searches: request.searches.length,
        intervalMs: request.intervalSeconds * 1_000,
      });
      return {};
    },
    listSearches: async (_, context) => {
      const kept = await listSearches(state, await whoOf(context));
      return {
        hosts: kept.map(({ hostId, role, text }) => ({
          hostId,
          role,
          said: fromJsonString(ReportSearchesRequestSchema, text),
        })),
      };
    },
  };
}
