/**
 * `proto.AuthService` as people's tools and hosts call it: the cluster's own settings here, each other subject in its file
 * (`grpc-certs.ts`, `grpc-databases.ts`, `grpc-users.ts`, `grpc-tokens.ts`). Thin: each method says who may call, turns the
 * message into our records, and hands it to the file that does the work. Methods: auth-grpc-and-routing.md 3, 6 and "What
 * tctl asks".
 */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { AuthService } from '../../api/gen/authservice_pb.js';
import { numberOfSuite } from '../../pki/suites.js';
import type { SettingsKind } from '../../resources/cluster-settings.js';
import { publicProxyAddr } from '../proxies.js';
import { getSettings } from '../settings.js';
import type { AuthState } from '../state.js';
import { requireSomebody, whoCalls } from '../who.js';
import { certificateHandlers } from './certs.js';
import { databaseHandlers } from './databases.js';
import { tokenHandlers } from './tokens.js';
import { trustedClusterHandlers } from './trusted-clusters.js';
import { userHandlers } from './users.js';

export function authHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  return {
    ...settingHandlers(state),
    ...certificateHandlers(state),
    ...databaseHandlers(state),
    ...userHandlers(state),
    ...tokenHandlers(state),
    ...trustedClusterHandlers(state),
  };
}

function settingHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  const read = async <K extends SettingsKind>(kind: K, context: HandlerContext) =>
    toMessage(kind, getSettings(state, await whoOf(context), kind));
  return {
    ping: async (_, context) => ({
      clusterName: state.clusterName,
      serverVersion: state.version,
      serverFeatures: { db: true, accessControls: true },
      proxyPublicAddr: (await publicProxyAddr(state)) ?? '',
      remoteAddr: context.values.get(callerKey).remoteAddr,
      signatureAlgorithmSuite: numberOfSuite(state.settings.preference.spec.signature_algorithm_suite),
    }),
    getDomainName: async (_, context) => {
      requireSomebody(await whoOf(context));
      return { domainName: state.clusterName };
    },
    getClusterCACert: () => ({ tlsCa: Buffer.from(state.authorities.trusted('host').join('')) }),
    getClusterAlerts: async (_, context) => {
      requireSomebody(await whoOf(context));
      return {};
    },
    getAccessCapabilities: async (_, context) => {
      requireSomebody(await whoOf(context));
      return {};
    },
    getAuthPreference: (_, context) => read('cluster_auth_preference', context),
    getClusterNetworkingConfig: (_, context) => read('cluster_networking_config', context),
  };
}
