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
import { publicProxyAddr } from '../proxies.js';
import { requireRule } from '../rules.js';
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
    getAuthPreference: async (_, context) => {
      requireRule(await whoOf(context), 'cluster_auth_preference', 'read');
      return toMessage('cluster_auth_preference', state.settings.preference);
    },
    getClusterNetworkingConfig: async (_, context) => {
      requireRule(await whoOf(context), 'cluster_networking_config', 'read');
      return toMessage('cluster_networking_config', state.settings.of('cluster_networking_config'));
    },
  };
}
