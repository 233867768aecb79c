/**
 * The smaller services: authorities, users, presence, cluster settings as foreign tools call them, and the two services of
 * our own for Proxies and Database Services (`api/proto/internal.proto`).
 */
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../../api/caller.js';
import { toMessage } from '../../api/convert.js';
import type { ClusterConfigService } from '../../api/gen/clusterconfig_pb.js';
import type { DatabaseAgent, ProxyGateway } from '../../api/gen/internal_pb.js';
import type { PresenceService } from '../../api/gen/presence_pb.js';
import type { TrustService } from '../../api/gen/trust_pb.js';
import type { UsersService } from '../../api/gen/users_pb.js';
import { TeleportError } from '../../errors.js';
import { CA_TYPES, type CaType } from '../../resources/types.js';
import { keyOf } from '../../store/store.js';
import { sshLine } from '../ca.js';
import { changeUserPassword, openUserToken } from '../invites.js';
import { loginBegin, loginFinish } from '../login.js';
import { registerProxy } from '../proxies.js';
import { requireRule } from '../rules.js';
import { networkingConfig } from '../settings.js';
import type { AuthState } from '../state.js';
import * as users from '../users.js';
import { requireHost, requireSomebody, rolesOf, whoCalls } from '../who.js';
import { written } from './values.js';

const bytes = (text: string) => Buffer.from(text, 'utf8');
const whoIn = (state: AuthState) => (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));

export function trustHandlers(state: AuthState): Partial<ServiceImpl<typeof TrustService>> {
  const whoOf = whoIn(state);
  const isKnown = (type: string): type is CaType => (CA_TYPES as readonly string[]).includes(type);
  const mayRead = async (context: HandlerContext, includeKey: boolean) => {
    requireRule(requireSomebody(await whoOf(context)), 'cert_authority', 'readnosecrets');
    if (includeKey)
      throw new TeleportError('AccessDenied', 'access denied: private keys of authorities are not given out');
  };
  return {
    getCertAuthority: async ({ type, domain, includeKey }, context) => {
      await mayRead(context, includeKey);
      if (!isKnown(type)) throw new TeleportError('BadParameter', `authority type "${type}" is not supported`);
      if (domain !== '' && domain !== state.clusterName)
        throw new TeleportError('NotFound', `key "${domain}" is not found`);
      return toMessage('cert_authority', state.authorities.get(type).resource);
    },
    getCertAuthorities: async ({ type, includeKey }, context) => {
      await mayRead(context, includeKey);
      const found = isKnown(type) ? [state.authorities.get(type).resource] : [];
      return { certAuthoritiesV2: found.map((authority) => toMessage('cert_authority', authority)) };
    },
  };
}

export function usersHandlers(state: AuthState): Partial<ServiceImpl<typeof UsersService>> {
  const whoOf = whoIn(state);
  return {
    getUser: async ({ name, currentUser }, context) => {
      const who = await whoOf(context);
      const user = currentUser ? await users.currentUser(state, who) : await users.getUser(state, who, name);
      return { user: toMessage('user', user) };
    },
    listUsers: async ({ pageSize, pageToken }, context) => {
      const { items, next } = await users.listUsers(state, await whoOf(context), pageSize, pageToken);
      return { users: items.map((user) => toMessage('user', user)), nextPageToken: next };
    },
    createUser: async ({ user }, context) => ({
      user: toMessage('user', await users.createUser(state, await whoOf(context), written('user', user, context))),
    }),
    updateUser: async ({ user }, context) => ({
      user: toMessage('user', await users.updateUser(state, await whoOf(context), written('user', user, context))),
    }),
    upsertUser: async ({ user }, context) => ({
      user: toMessage('user', await users.upsertUser(state, await whoOf(context), written('user', user, context))),
    }),
    deleteUser: async ({ name }, context) => {
      await users.deleteUser(state, await whoOf(context), name);
      return {};
    },
  };
}

export function presenceHandlers(state: AuthState): Partial<ServiceImpl<typeof PresenceService>> {
  const whoOf = whoIn(state);
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

export function clusterConfigHandlers(state: AuthState): Partial<ServiceImpl<typeof ClusterConfigService>> {
  const whoOf = whoIn(state);
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

/** For people who have no certificate yet; only a Proxy may speak for them. */
export function proxyGatewayHandlers(state: AuthState): Partial<ServiceImpl<typeof ProxyGateway>> {
  const asProxy = async (context: HandlerContext) => requireHost(await whoIn(state)(context), 'Proxy');
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
        ttlMs: Number(request.ttl / 1_000_000n),
      });
      return {
        username: request.user,
        sshCert: bytes(issued.ssh),
        tlsCert: bytes(issued.tls),
        hostSigners: [
          {
            domainName: state.clusterName,
            checkingKeys: [bytes(sshLine(state.authorities.ssh('host')))],
            tlsCerts: [bytes(state.authorities.tls('host').certPem)],
          },
        ],
      };
    },
    getUserToken: async ({ token }, context) => {
      await asProxy(context);
      return await openUserToken(state, token);
    },
    changeUserPassword: async (request, context) => {
      await asProxy(context);
      await changeUserPassword(state, request);
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

/** Events an agent may report: those of sessions it carried. Anything else would let it write other people's history. */
const AGENT_EVENTS = /^(db\.session\.|client\.disconnect$)/;

export function databaseAgentHandlers(state: AuthState): Partial<ServiceImpl<typeof DatabaseAgent>> {
  const asAgent = async (context: HandlerContext) => requireHost(await whoIn(state)(context), 'Db');
  return {
    getSessionAccess: async (request, context) => {
      await asAgent(context);
      const user = await state.users.get(request.user);
      const roles = user ? await rolesOf(state, request.roles) : [];
      return {
        roles: roles.map((role) => toMessage('role', role)),
        locks: (await state.locks.list()).map((lock) => toMessage('lock', lock)),
        userExists: user !== undefined,
        authPreference: toMessage('cluster_auth_preference', state.preference),
        networkingConfig: toMessage('cluster_networking_config', networkingConfig(state)),
      };
    },
    emitAuditEvents: async ({ events }, context) => {
      await asAgent(context);
      await state.audit.append(events.map(agentEvent));
      return {};
    },
    async *watchLocks(_, context) {
      await asAgent(context);
      const changes = state.store.watch(`${keyOf('lock')}/`, context.signal);
      const all = async () => ({ locks: (await state.locks.list()).map((lock) => toMessage('lock', lock)) });
      yield await all();
      for await (const _change of changes) yield await all();
    },
    async *watchDatabases(_, context) {
      await asAgent(context);
      const folder = `${keyOf('db')}/`;
      const changes = state.store.watch(folder, context.signal);
      const all = await state.databases.list();
      yield { initial: true, put: all.map((database) => toMessage('db', database)) };
      for await (const change of changes) {
        const name = decodeURIComponent(change.key.slice(folder.length));
        const database = change.type === 'put' ? await state.databases.get(name) : undefined;
        if (database) yield { put: [toMessage('db', database)] };
        else yield { deleted: [name] };
      }
    },
  };
}

function agentEvent(text: string): object {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch {
    throw new TeleportError('BadParameter', 'an audit event is not JSON');
  }
  const name = (event as { event?: unknown } | null)?.event;
  if (typeof event !== 'object' || event === null || typeof name !== 'string' || !AGENT_EVENTS.test(name)) {
    throw new TeleportError('BadParameter', 'this audit event cannot come from a database service');
  }
  return event;
}
