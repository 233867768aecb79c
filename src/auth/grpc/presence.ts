/** Clusters that trust this one: none, and each by its name is not found. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import type { PresenceService } from '../../api/gen/presence_pb.js';
import { TeleportError } from '../../errors.js';
import { requireRule } from '../rules.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';

export function presenceHandlers(state: AuthState): Partial<ServiceImpl<typeof PresenceService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    listRemoteClusters: async (_, context) => {
      requireRule(requireSomebody(await whoOf(context)), 'remote_cluster', 'list', 'read');
      return {};
    },
    getRemoteCluster: async ({ name }, context) => {
      requireRule(requireSomebody(await whoOf(context)), 'remote_cluster', 'read');
      throw new TeleportError('NotFound', `remote cluster "${name}" is not found`);
    },
  };
}
