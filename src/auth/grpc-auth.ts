/**
 * `proto.AuthService` and `proto.JoinService` as people's tools and hosts call them. Thin: each method says who may call,
 * turns the message into our records, and hands it to the file of its subject. Methods: auth-grpc-and-routing.md 3, 6 and
 * "What tctl asks".
 */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { callerKey } from '../api/caller.js';
import { fromMessage, toMessage } from '../api/convert.js';
import type {
  AuthService,
  CertsSchema,
  HostCertsRequest,
  IsMFARequiredRequest,
  JoinService,
  RouteToDatabase as RouteMessage,
} from '../api/gen/authservice_pb.js';
import { KeepAliveSchema, RoleV6Schema } from '../api/gen/types_pb.js';
import { timestampOfDate, timestampToDate } from '../api/time.js';
import { TeleportError } from '../errors.js';
import type { RouteToDatabase } from '../identity/identity.js';
import { readPublicKey } from '../pki/keys.js';
import { readAuthorizedKey } from '../pki/ssh.js';
import { mfaState } from '../rbac/check.js';
import { matchesDatabase } from '../rbac/match.js';
import { SIGNATURE_SUITES } from '../resources/types.js';
import { databaseCertificate, signDatabaseCsr } from './database-certs.js';
import * as databases from './databases.js';
import { hostCertificates, joinWithToken } from './host-certs.js';
import { createUserToken } from './invites.js';
import { listServers } from './list-resources.js';
import { publicProxyAddr } from './proxies.js';
import { requireRule } from './rules.js';
import { networkingConfig } from './settings.js';
import type { AuthState } from './state.js';
import * as tokens from './tokens.js';
import { reissue, type UserCertificates } from './user-certs.js';
import * as users from './users.js';
import { expanded, nameOf, requireSomebody, rolesOf, type Who, whoCalls } from './who.js';

const bytes = (text: string) => Buffer.from(text, 'utf8');
const NANOS_PER_MS = 1_000_000n;
const msOf = (nanos: bigint) => Number(nanos / NANOS_PER_MS);

export function authHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    ping: async (_, context) => ({
      clusterName: state.clusterName,
      serverVersion: state.version,
      serverFeatures: { db: true, accessControls: true },
      proxyPublicAddr: (await publicProxyAddr(state)) ?? '',
      remoteAddr: context.values.get(callerKey).remoteAddr,
      signatureAlgorithmSuite: SIGNATURE_SUITES.indexOf(state.preference.spec.signature_algorithm_suite) + 1,
    }),
    getDomainName: async (_, context) => {
      requireSomebody(await whoOf(context));
      return { domainName: state.clusterName };
    },
    getClusterCACert: () => ({ tlsCa: bytes(state.authorities.tls('host').certPem) }),
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
      return toMessage('cluster_auth_preference', state.preference);
    },
    getClusterNetworkingConfig: async (_, context) => {
      requireRule(await whoOf(context), 'cluster_networking_config', 'read');
      return toMessage('cluster_networking_config', networkingConfig(state));
    },

    // Certificates
    generateUserCerts: async (request, context) => {
      const issued = await reissue(state, requireSomebody(await whoOf(context)), {
        username: request.username,
        expires: timestampToDate(request.expires),
        usage: request.usage,
        requester: request.requesterName,
        route: routeOf(request.routeToDatabase),
        routeToCluster: request.routeToCluster,
        format: request.format,
        ssh: request.sshPublicKey,
        tls: request.tlsPublicKey,
        hasMfaResponse: request.mfaResponse !== undefined,
      });
      return certs(issued);
    },
    generateHostCerts: async (request, context) => {
      mayMakeHost(await whoOf(context), request);
      return certs(
        hostCertificates(state, {
          hostId: request.hostId,
          nodename: request.nodeName,
          role: request.role,
          additionalPrincipals: request.additionalPrincipals,
          dnsNames: request.dnsNames,
          tls: readPublicKey(Buffer.from(request.publicTlsKey).toString('utf8')),
          ssh:
            request.publicSshKey.length > 0
              ? readAuthorizedKey(Buffer.from(request.publicSshKey).toString('utf8'))
              : undefined,
          systemRoles: request.systemRoles,
        }),
      );
    },
    generateDatabaseCert: async (request, context) => {
      const issued = await databaseCertificate(state, await whoOf(context), {
        csr: request.csr,
        serverNames: request.serverNames.length > 0 ? request.serverNames : [request.serverName].filter(Boolean),
        ttlMs: msOf(request.ttl),
        forServer: request.requesterName === REQUESTER_TCTL,
      });
      return { cert: bytes(issued.cert), caCerts: issued.caCerts.map(bytes) };
    },
    signDatabaseCSR: async (request, context) => {
      const issued = await signDatabaseCsr(state, await whoOf(context), request);
      return { cert: bytes(issued.cert), caCerts: issued.caCerts.map(bytes) };
    },
    isMFARequired: async (request, context) => {
      const required = await isMfaRequired(state, await whoOf(context), request);
      return { required, mfaRequired: required ? 1 : 2 };
    },
    createAuthenticateChallenge: async (request, context) => {
      const who = requireSomebody(await whoOf(context));
      const check = request.mfaRequiredCheck;
      if (check === undefined || !(await isMfaRequired(state, who, check))) return { mfaRequired: 2 };
      return { totp: {}, mfaRequired: 1 };
    },

    // Databases
    listResources: async (request, context) => {
      const { items, next, total } = await listServers(state, requireSomebody(await whoOf(context)), {
        resourceType: request.resourceType,
        limit: request.limit,
        startKey: request.startKey,
        labels: request.labels,
        predicate: request.predicateExpression,
        keywords: request.searchKeywords,
        isDescending: request.sortBy?.isDesc ?? false,
      });
      return {
        resources: items.map((server) => ({
          resource: { case: 'databaseServer' as const, value: toMessage('db_server', server) },
        })),
        nextKey: next,
        totalCount: request.needTotalCount ? total : 0,
      };
    },
    upsertDatabaseServer: async (request, context) => {
      const server = fromMessage('db_server', must(request.server, 'Server'));
      const expires = await databases.upsertServer(state, await whoOf(context), server);
      const { name } = server.metadata;
      return create(KeepAliveSchema, {
        name,
        namespace: 'default',
        expires: timestampOfDate(expires),
        type: KEEP_ALIVE_DATABASE,
        hostId: server.spec.host_id,
      });
    },
    deleteDatabaseServer: async ({ hostId, name }, context) => {
      await databases.deleteServer(state, await whoOf(context), hostId, name);
      return {};
    },
    sendKeepAlives: async (stream, context) => {
      const who = await whoOf(context);
      for await (const { hostId, name, type, expires } of stream) {
        if (type !== KEEP_ALIVE_DATABASE) throw new TeleportError('BadParameter', 'only databases are kept alive here');
        await databases.keepServer(state, who, hostId, name, timestampToDate(expires) ?? state.now());
      }
      return {};
    },
    getDatabases: async (_, context) => {
      const { items } = await databases.listDatabases(state, await whoOf(context), 0, '');
      return { databases: items.map((database) => toMessage('db', database)) };
    },
    listDatabases: async ({ pageSize, pageToken }, context) => {
      const { items, next } = await databases.listDatabases(state, await whoOf(context), pageSize, pageToken);
      return { databases: items.map((database) => toMessage('db', database)), nextPageToken: next };
    },
    getDatabase: async ({ name }, context) =>
      toMessage('db', await databases.getDatabase(state, await whoOf(context), name)),
    createDatabase: async (request, context) => {
      await databases.createDatabase(state, await whoOf(context), fromMessage('db', request));
      return {};
    },
    updateDatabase: async (request, context) => {
      await databases.updateDatabase(state, await whoOf(context), fromMessage('db', request));
      return {};
    },
    deleteDatabase: async ({ name }, context) => {
      await databases.deleteDatabase(state, await whoOf(context), name);
      return {};
    },

    // Users and roles
    getUser: async ({ name }, context) => toMessage('user', await users.getUser(state, await whoOf(context), name)),
    getCurrentUser: async (_, context) => toMessage('user', await users.currentUser(state, await whoOf(context))),
    async *getCurrentUserRoles(_, context) {
      const who = requireSomebody(await whoOf(context));
      if (who.kind === 'user') for (const role of who.roles) yield toMessage('role', role);
      else yield create(RoleV6Schema, { kind: 'role', version: 'v7', metadata: { name: who.role } });
    },
    async *getUsers(_, context) {
      const who = await whoOf(context);
      let start = '';
      do {
        const { items, next } = await users.listUsers(state, who, 0, start);
        for (const user of items) yield toMessage('user', user);
        start = next;
      } while (start !== '');
    },
    createUser: async (request, context) => {
      await users.createUser(state, await whoOf(context), fromMessage('user', request));
      return {};
    },
    updateUser: async (request, context) => {
      await users.updateUser(state, await whoOf(context), fromMessage('user', request));
      return {};
    },
    deleteUser: async ({ name }, context) => {
      await users.deleteUser(state, await whoOf(context), name);
      return {};
    },
    createResetPasswordToken: async ({ name, type, ttl }, context) => {
      const who = await whoOf(context);
      requireRule(who, 'user', 'update');
      return toMessage(
        'user_token',
        await createUserToken(state, { user: name, type, ttlMs: msOf(ttl), by: nameOf(who) }),
      );
    },
    getResetPasswordToken: async ({ tokenId }, context) => {
      requireRule(await whoOf(context), 'user', 'read');
      const token = await state.userTokens.get(tokenId);
      if (token === undefined) throw new TeleportError('NotFound', 'user token not found');
      return toMessage('user_token', token);
    },
    listResetPasswordTokens: async ({ pageSize, pageToken }, context) => {
      requireRule(await whoOf(context), 'token', 'list', 'read');
      const { items, next } = await state.userTokens.page(pageSize, pageToken);
      return { userTokens: items.map((token) => toMessage('user_token', token)), nextPageToken: next };
    },
    getRole: async ({ name }, context) => toMessage('role', await users.getRole(state, await whoOf(context), name)),
    listRoles: async ({ limit, startKey }, context) => {
      const { items, next } = await users.listRoles(state, await whoOf(context), limit, startKey);
      return { roles: items.map((role) => toMessage('role', role)), nextKey: next };
    },
    createRole: async ({ role }, context) =>
      toMessage('role', await users.createRole(state, await whoOf(context), fromMessage('role', must(role, 'Role')))),
    updateRole: async ({ role }, context) =>
      toMessage('role', await users.updateRole(state, await whoOf(context), fromMessage('role', must(role, 'Role')))),
    upsertRoleV2: async ({ role }, context) =>
      toMessage('role', await users.upsertRole(state, await whoOf(context), fromMessage('role', must(role, 'Role')))),
    deleteRole: async ({ name }, context) => {
      await users.deleteRole(state, await whoOf(context), name);
      return {};
    },

    // Tokens and locks
    getToken: async ({ name }, context) => toMessage('token', await tokens.getToken(state, await whoOf(context), name)),
    getTokens: async (_, context) => {
      const { items } = await tokens.listTokens(state, await whoOf(context), 0, '');
      const all = [...tokens.staticTokens(state), ...items];
      return { provisionTokens: all.map((token) => toMessage('token', token)) };
    },
    getStaticTokens: async (_, context) => {
      // Static tokens have no rule of their own.
      requireRule(await whoOf(context), 'token', 'list', 'read');
      return {
        kind: 'static_tokens',
        version: 'v2',
        metadata: { name: 'static-tokens', namespace: 'default' },
        spec: { staticTokens: state.staticTokens.map(({ token, roles }) => ({ token, roles })) },
      };
    },
    listProvisionTokens: async ({ limit, startKey, filterRoles }, context) => {
      const { items, next } = await tokens.listTokens(state, await whoOf(context), limit, startKey);
      const shown = items.filter(
        ({ spec }) => filterRoles.length === 0 || spec.roles.some((role) => filterRoles.includes(role)),
      );
      return { tokens: shown.map((token) => toMessage('token', token)), nextKey: next };
    },
    createTokenV2: async ({ token }, context) => {
      await tokens.createToken(state, await whoOf(context), fromMessage('token', must(token.value, 'V2')));
      return {};
    },
    upsertTokenV2: async ({ token }, context) => {
      await tokens.upsertToken(state, await whoOf(context), fromMessage('token', must(token.value, 'V2')));
      return {};
    },
    deleteToken: async ({ name }, context) => {
      await tokens.deleteToken(state, await whoOf(context), name);
      return {};
    },
    getLocks: async ({ targets, inForceOnly }, context) => {
      const wanted = targets.map((target) => ({
        user: target.user,
        role: target.role,
        login: target.login,
        mfa_device: target.mfaDevice,
        access_request: target.accessRequest,
        server_id: target.serverId,
      }));
      const locks = await tokens.listLocks(state, await whoOf(context), wanted, inForceOnly);
      return { locks: locks.map((lock) => toMessage('lock', lock)) };
    },
    upsertLock: async (request, context) => {
      await tokens.upsertLock(state, await whoOf(context), fromMessage('lock', request));
      return {};
    },
    deleteLock: async ({ name }, context) => {
      await tokens.deleteLock(state, await whoOf(context), name);
      return {};
    },
  };
}

export function joinHandlers(state: AuthState): Partial<ServiceImpl<typeof JoinService>> {
  return {
    registerUsingToken: async (request, context) => {
      const caller = context.values.get(callerKey);
      const who = await whoCalls(state, caller);
      // A Proxy forwards what an agent sent it, and knows the agent's address.
      const isForwarded = who.kind === 'host' && who.role === 'Proxy';
      const issued = await joinWithToken(state, {
        token: request.token,
        hostId: request.hostId,
        nodename: request.nodeName,
        role: request.role,
        additionalPrincipals: request.additionalPrincipals,
        dnsNames: request.dnsNames,
        tls: request.publicTlsKey,
        ssh: request.publicSshKey,
        remoteAddr: isForwarded ? request.remoteAddr : caller.remoteAddr,
      });
      return certs(issued);
    },
  };
}

const REQUESTER_TCTL = 1;
const KEEP_ALIVE_DATABASE = 3;

const certs = (issued: UserCertificates): MessageInitShape<typeof CertsSchema> => ({
  ssh: bytes(issued.ssh),
  tls: bytes(issued.tls),
  tlsCaCerts: issued.tlsCas.map(bytes),
  sshCaCerts: issued.sshCas.map(bytes),
});

function routeOf(route: RouteMessage | undefined): RouteToDatabase | undefined {
  if (route === undefined) return undefined;
  return {
    serviceName: route.serviceName,
    protocol: route.protocol,
    ...(route.username ? { username: route.username } : {}),
    ...(route.database ? { database: route.database } : {}),
    ...(route.roles.length > 0 ? { roles: route.roles } : {}),
  };
}

function must<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TeleportError('BadParameter', `missing parameter ${name}`);
  return value;
}

/** An administrator's tool may make any host; a host only itself, in a role that it has, with no roles that it has not. */
function mayMakeHost(who: Who, { hostId, role, systemRoles }: HostCertsRequest): void {
  if (who.kind === 'host' && who.role === 'Admin') return;
  if (who.kind === 'host' && who.hostId === hostId) {
    const has = (name: string) => who.role === name || who.identity.systemRoles.includes(name);
    if (has(role) && systemRoles.every(has)) return;
  }
  throw new TeleportError('AccessDenied', 'access denied');
}

/** "No" also for a database that does not exist, as long as nobody asks for MFA at all. */
async function isMfaRequired(state: AuthState, who: Who, { target }: IsMFARequiredRequest): Promise<boolean> {
  if (target.case !== 'database' || who.kind !== 'user') return false;
  const roles = expanded(await rolesOf(state, who.identity.groups), who.user);
  const asked = mfaState(roles, state.preference);
  if (asked === 'never') return false;
  const name = target.value.serviceName;
  const server = (await state.servers.list()).find(({ spec }) => spec.database.metadata.name === name);
  if (server === undefined) throw new TeleportError('NotFound', `database service "${name}" not found`);
  if (asked === 'always') return true;
  return roles.some(
    (role) =>
      mfaState([role], undefined) === 'always' &&
      matchesDatabase(role.spec.allow, server.spec.database, 'allow', who.identity.traits),
  );
}
