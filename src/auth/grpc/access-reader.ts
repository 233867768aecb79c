/** Who may enter which database, and why, by a service of our own (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import type { AccessReader, ExplainAccessResponseSchema } from '../../api/gen/internal_pb.js';
import type { MessageInitShape } from '../../api/protobuf.js';
import type { AccessAnswer } from '../../rbac/decision.js';
import { explainAccess, listAccess } from '../access-reader.js';
import type { AuthState } from '../state.js';
import { whoCalls } from '../who.js';

export function accessReaderHandlers(state: AuthState): Partial<ServiceImpl<typeof AccessReader>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    explainAccess: async ({ user, database, dbUser, dbName, dbRoles }, context) =>
      message(await explainAccess(state, await whoOf(context), { user, database, dbUser, dbName, dbRoles })),
    listAccess: async ({ user, database, start }, context) =>
      await listAccess(state, await whoOf(context), { user, database, start }),
  };
}

function message({ blocks, ...answer }: AccessAnswer): MessageInitShape<typeof ExplainAccessResponseSchema> {
  return {
    ...answer,
    blocks: blocks.map(({ checks, problem = '', ...block }) => ({
      ...block,
      problem,
      checks: checks.map(({ field, holds, entry = '', problem: wrong = '' }) => ({
        field,
        holds,
        entry,
        problem: wrong,
      })),
    })),
  };
}
