/** Settings of the cluster that clients and services read; they come from the configuration file and are not stored. */
import type { ClusterNetworkingConfig } from '../resources/types.js';
import type { AuthState } from './state.js';

export function networkingConfig(state: AuthState): ClusterNetworkingConfig {
  return {
    kind: 'cluster_networking_config',
    version: 'v2',
    metadata: { name: 'cluster-networking-config', labels: { 'teleport.dev/origin': 'config-file' } },
    spec: {
      ...(state.clientIdleTimeout ? { client_idle_timeout: state.clientIdleTimeout } : {}),
      keep_alive_interval: '5m0s',
      keep_alive_count_max: 3,
      proxy_listener_mode: state.listenerMode === 'separate' ? 0 : 1,
    },
  };
}
