/** Roots of this cluster: the messages of these methods. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { AuthService } from '../../api/gen/authservice_pb.js';
import type { AuthState } from '../state.js';
import * as clusters from '../trusted-clusters.js';
import { requireSomebody, whoCalls } from '../who.js';
import { written } from './written.js';

export function trustedClusterHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = async (context: HandlerContext) =>
    requireSomebody(await whoCalls(state, context.values.get(callerKey)));
  return {
    getTrustedCluster: async ({ name }, context) =>
      toMessage('trusted_cluster', await clusters.getTrustedCluster(state, await whoOf(context), name)),
    getTrustedClusters: async (_, context) => {
      const found = await clusters.listTrustedClusters(state, await whoOf(context));
      return { trustedClusters: found.map((one) => toMessage('trusted_cluster', one)) };
    },
    upsertTrustedCluster: async (request, context) => {
      const given = written('trusted_cluster', request, context);
      return toMessage('trusted_cluster', await clusters.upsertTrustedCluster(state, await whoOf(context), given));
    },
    deleteTrustedCluster: async ({ name }, context) => {
      await clusters.deleteTrustedCluster(state, await whoOf(context), name);
      return {};
    },
  };
}
