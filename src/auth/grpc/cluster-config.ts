/** Settings of the cluster: as agents and foreign tools ask for them, and as administrators write them. */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { type MessageOfKind, toMessage } from '../../api/convert.js';
import type { ClusterConfigService } from '../../api/gen/clusterconfig_pb.js';
import type { SettingsKind } from '../../resources/cluster-settings.js';
import { requireRule } from '../rules.js';
import { getSettings, resetSettings, updateSettings, upsertSettings } from '../settings.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';
import { written } from './written.js';

export function clusterConfigHandlers(state: AuthState): Partial<ServiceImpl<typeof ClusterConfigService>> {
  const whoOf = async (context: HandlerContext) =>
    requireSomebody(await whoCalls(state, context.values.get(callerKey)));
  const preference = methodsOf(state, whoOf, 'cluster_auth_preference');
  const networking = methodsOf(state, whoOf, 'cluster_networking_config');
  const recording = methodsOf(state, whoOf, 'session_recording_config');
  return {
    getClusterName: async (_, context) => {
      requireRule(await whoOf(context), 'cluster_name', 'read');
      return {
        kind: 'cluster_name',
        version: 'v2',
        metadata: { name: 'cluster-name', namespace: 'default' },
        spec: { clusterName: state.clusterName, clusterId: state.clusterId },
      };
    },
    getAuthPreference: (_, context) => preference.get(context),
    updateAuthPreference: ({ authPreference }, context) => preference.update(authPreference, context),
    upsertAuthPreference: ({ authPreference }, context) => preference.upsert(authPreference, context),
    resetAuthPreference: (_, context) => preference.reset(context),
    getClusterNetworkingConfig: (_, context) => networking.get(context),
    updateClusterNetworkingConfig: ({ clusterNetworkConfig: given }, context) => networking.update(given, context),
    upsertClusterNetworkingConfig: ({ clusterNetworkConfig: given }, context) => networking.upsert(given, context),
    resetClusterNetworkingConfig: (_, context) => networking.reset(context),
    getSessionRecordingConfig: (_, context) => recording.get(context),
    updateSessionRecordingConfig: ({ sessionRecordingConfig: given }, context) => recording.update(given, context),
    upsertSessionRecordingConfig: ({ sessionRecordingConfig: given }, context) => recording.upsert(given, context),
    resetSessionRecordingConfig: (_, context) => recording.reset(context),
  };
}

type Who = ReturnType<typeof requireSomebody>;

function methodsOf<K extends SettingsKind>(
  state: AuthState,
  whoOf: (context: HandlerContext) => Promise<Who>,
  kind: K,
) {
  type Given = MessageOfKind[K] | undefined;
  return {
    get: async (context: HandlerContext) => toMessage(kind, getSettings(state, await whoOf(context), kind)),
    update: async (given: Given, context: HandlerContext) =>
      toMessage(kind, await updateSettings(state, await whoOf(context), kind, written(kind, given, context))),
    upsert: async (given: Given, context: HandlerContext) =>
      toMessage(kind, await upsertSettings(state, await whoOf(context), kind, written(kind, given, context))),
    reset: async (context: HandlerContext) => toMessage(kind, await resetSettings(state, await whoOf(context), kind)),
  };
}
