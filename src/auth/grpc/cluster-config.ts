/** Cluster settings as agents and foreign tools ask for them. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { ClusterConfigService } from '../../api/gen/clusterconfig_pb.js';
import { requireRule } from '../rules.js';
import { networkingConfig } from '../settings.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';

export function clusterConfigHandlers(state: AuthState): Partial<ServiceImpl<typeof ClusterConfigService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    getClusterName: async (_, context) => {
      requireRule(requireSomebody(await whoOf(context)), 'cluster_name', 'read');
      return {
        kind: 'cluster_name',
        version: 'v2',
        metadata: { name: 'cluster-name', namespace: 'default' },
        spec: { clusterName: state.clusterName, clusterId: state.clusterId },
      };
    },
    getAuthPreference: async (_, context) => {
      requireRule(requireSomebody(await whoOf(context)), 'cluster_auth_preference', 'read');
      return toMessage('cluster_auth_preference', state.preference);
    },
    getClusterNetworkingConfig: async (_, context) => {
      requireRule(requireSomebody(await whoOf(context)), 'cluster_networking_config', 'read');
      return toMessage('cluster_networking_config', networkingConfig(state));
    },
  };
}
