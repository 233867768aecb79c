/** What Proxies ask of Auth, by a service of our own (`api/proto/internal.proto`). */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { fromMessages, toMessage } from '../../api/convert.js';
import type { ProxyGateway } from '../../api/gen/internal_pb.js';
import { msOfNanos } from '../../duration.js';
import { sshLine } from '../../pki/ssh/certificate.js';
import { changeUserPassword, lookAtUserToken, openUserToken } from '../invites.js';
import { loginBegin, loginFinish } from '../login.js';
import { registerProxy } from '../proxies.js';
import { reportLeafs, validateTrustedCluster } from '../remote-clusters.js';
import type { AuthState } from '../state.js';
import { requireHost, whoCalls } from '../who.js';

/** For people who have no certificate yet; only a Proxy may speak for them. */
export function proxyGatewayHandlers(state: AuthState): Partial<ServiceImpl<typeof ProxyGateway>> {
  const asProxy = async (context: HandlerContext) =>
    requireHost(await whoCalls(state, context.values.get(callerKey)), 'Proxy');
  return {
    loginBegin: async (request, context) => {
      await asProxy(context);
      return await loginBegin(state, request);
    },
    loginFinish: async (request, context) => {
      await asProxy(context);
      const issued = await loginFinish(state, {
        ...request,
        ssh: request.sshPublicKey,
        tls: request.tlsPublicKey,
        ttlMs: msOfNanos(request.ttl),
      });
      return {
        username: request.user,
        sshCert: Buffer.from(issued.ssh),
        tlsCert: Buffer.from(issued.tls),
        hostSigners: [
          {
            domainName: state.clusterName,
            checkingKeys: state.authorities.trustedSsh('host').map((key) => Buffer.from(sshLine(key))),
            tlsCerts: state.authorities.trusted('host').map((pem) => Buffer.from(pem)),
          },
        ],
      };
    },
    getUserToken: async ({ token, lookOnly }, context) => {
      await asProxy(context);
      return lookOnly ? await lookAtUserToken(state, token) : await openUserToken(state, token);
    },
    changeUserPassword: async (request, context) => {
      await asProxy(context);
      await changeUserPassword(state, request);
      return {};
    },
    validateTrustedCluster: async ({ token, certificateAuthorities, remoteAddr }, context) => {
      await asProxy(context);
      const authorities = fromMessages('cert_authority', certificateAuthorities);
      const ours = await validateTrustedCluster(state, { token, authorities, remoteAddr });
      return { certificateAuthorities: ours.map((authority) => toMessage('cert_authority', authority)) };
    },
    listRoots: async (_, context) => {
      await asProxy(context);
      const found = (await state.trustedClusters.list()).filter(({ spec }) => spec.enabled);
      return { roots: found.map(({ metadata, spec }) => ({ cluster: metadata.name, tunnelAddr: spec.tunnel_addr })) };
    },
    reportLeafs: async ({ online }, context) => {
      const { hostId } = await asProxy(context);
      await reportLeafs(state, hostId, online);
      return {};
    },
    registerProxy: async (request, context) => {
      const who = await asProxy(context);
      await registerProxy(state, {
        // A Proxy speaks for itself only: people are sent to the address that stands here.
        hostId: who.role === 'Admin' ? request.hostId : who.hostId,
        hostname: request.hostname,
        publicAddr: request.publicAddr,
      });
      return {};
    },
  };
}
