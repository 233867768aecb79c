/** Clusters that are leafs of this one. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { PresenceService } from '../../api/gen/presence_pb.js';
import * as clusters from '../remote-clusters.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';

export function presenceHandlers(state: AuthState): Partial<ServiceImpl<typeof PresenceService>> {
  const whoOf = async (context: HandlerContext) =>
    requireSomebody(await whoCalls(state, context.values.get(callerKey)));
  return {
    listRemoteClusters: async (_, context) => {
      const found = await clusters.listRemoteClusters(state, await whoOf(context));
      return { remoteClusters: found.map((cluster) => toMessage('remote_cluster', cluster)) };
    },
    getRemoteCluster: async ({ name }, context) =>
      toMessage('remote_cluster', await clusters.getRemoteCluster(state, await whoOf(context), name)),
    deleteRemoteCluster: async ({ name }, context) => {
      await clusters.deleteRemoteCluster(state, await whoOf(context), name);
      return {};
    },
  };
}
