/** Certificates of people, hosts and databases, and whether a second factor is wanted: the messages of these methods. */
import { randomBytes } from 'node:crypto';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { type Caller, callerKey } from '../../api/caller.js';
import type {
  AuthService,
  CertsSchema,
  HostCertsRequest,
  IsMFARequiredRequest,
  JoinService,
  RegisterUsingIAMMethodRequest,
  RegisterUsingIAMMethodResponseSchema,
  RouteToDatabase as RouteMessage,
} from '../../api/gen/authservice_pb.js';
import type { RegisterUsingTokenRequest } from '../../api/gen/types_pb.js';
import type { MessageInitShape } from '../../api/protobuf.js';
import { timestampToDate } from '../../api/time.js';
import { msOfNanos } from '../../duration.js';
import { TeleportError } from '../../errors.js';
import { hostNamesOf } from '../../identity/host.js';
import type { RouteToDatabase } from '../../identity/identity.js';
import { canonicalIp } from '../../ip.js';
import { readCertificate } from '../../pki/certificate.js';
import { readPublicKey } from '../../pki/keys.js';
import { readAuthorizedKey } from '../../pki/ssh/certificate.js';
import { mfaState } from '../../rbac/check.js';
import { matchesDatabase } from '../../rbac/match.js';
import { inTime } from '../../wait.js';
import { databaseCertificate, signDatabaseCsr } from '../database-certs.js';
import { hostCertificates, type JoinRequest, join } from '../host-certs.js';
import { bindingOf, renewHost } from '../hosts.js';
import { type AuthState, record } from '../state.js';
import { reissue, type UserCertificates } from '../user-certs.js';
import { expanded, nameOf, requireSomebody, type Who, whoCalls } from '../who.js';

/** `UserCertsRequest.requester_name` of `tctl`. */
const REQUESTER_TCTL = 1;

export function certificateHandlers(state: AuthState): Partial<ServiceImpl<typeof AuthService>> {
  const whoOf = (context: HandlerContext) => whoCalls(state, context.values.get(callerKey));
  return {
    generateUserCerts: async (request, context) => {
      const issued = await reissue(state, requireSomebody(await whoOf(context)), {
        username: request.username,
        expires: timestampToDate(request.expires),
        usage: request.usage,
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
      const who = await whoOf(context);
      mayMakeHost(who, request, context.values.get(callerKey));
      const made = hostCertificates(state, {
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
        isBound: (await bindingOf(state, request.hostId)) !== undefined,
      });
      const { notAfter } = readCertificate(made.tls);
      if (who.kind === 'host' && who.hostId === request.hostId) await renewHost(state, request.hostId, notAfter);
      const { hostId: host_id, role } = request;
      const said = { cert_type: 'host', user: nameOf(who), host_id, role, expires: notAfter.toISOString() };
      await record(state, 'cert.create', 'ok', said);
      return certs(made);
    },
    generateDatabaseCert: async (request, context) => {
      const issued = await databaseCertificate(state, await whoOf(context), {
        csr: request.csr,
        serverNames: request.serverNames.length > 0 ? request.serverNames : [request.serverName].filter(Boolean),
        ttlMs: msOfNanos(request.ttl),
        forServer: request.requesterName === REQUESTER_TCTL,
      });
      return { cert: Buffer.from(issued.cert), caCerts: issued.caCerts.map((text) => Buffer.from(text)) };
    },
    signDatabaseCSR: async (request, context) => {
      const issued = await signDatabaseCsr(state, await whoOf(context), request);
      return { cert: Buffer.from(issued.cert), caCerts: issued.caCerts.map((text) => Buffer.from(text)) };
    },
    isMFARequired: async (request, context) => {
      const required = await isMfaRequired(state, requireSomebody(await whoOf(context)), request);
      return { required, mfaRequired: required ? 1 : 2 };
    },
    createAuthenticateChallenge: async (request, context) => {
      const who = requireSomebody(await whoOf(context));
      const check = request.mfaRequiredCheck;
      if (check === undefined || !(await isMfaRequired(state, who, check))) return { mfaRequired: 2 };
      return { totp: {}, mfaRequired: 1 };
    },
  };
}

export function joinHandlers(state: AuthState): Partial<ServiceImpl<typeof JoinService>> {
  return {
    registerUsingToken: async (request, context) =>
      certs(await join(state, await joinRequest(state, request, context.values.get(callerKey)))),
    registerUsingIAMMethod: (messages, context) => joinByIdentity(state, messages, context),
  };
}

/** How long an agent may take to sign; a stranger has no longer for anything. */
const SIGN_MS = 10_000;

/** A challenge, its answer, the certificates. Source: lib/auth/join_iam.go of Teleport 18.3.0. */
async function* joinByIdentity(
  state: AuthState,
  messages: AsyncIterable<RegisterUsingIAMMethodRequest>,
  { signal, values }: HandlerContext,
): AsyncGenerator<MessageInitShape<typeof RegisterUsingIAMMethodResponseSchema>> {
  const challenge = randomBytes(32).toString('base64').replace(/=+$/, '');
  yield { challenge };
  const late = () => new TeleportError('ConnectionProblem', 'no answer to the challenge came in time');
  const answer = await inTime(messages[Symbol.asyncIterator]().next(), SIGN_MS, late, signal);
  const { registerUsingTokenRequest: request, stsIdentityRequest: proof } = answer.value ?? {};
  if (!request || !proof) throw new TeleportError('BadParameter', 'missing parameter RegisterUsingTokenRequest');
  const { provenIdentity } = await import('../../aws/proven-identity.js');
  const prove = () => provenIdentity(Buffer.from(proof), challenge);
  const caller = values.get(callerKey);
  // From here on it is we, and AWS, who are waited for.
  const answered = caller.busy?.();
  try {
    yield { certs: certs(await join(state, await joinRequest(state, request, caller), prove)) };
  } finally {
    answered?.();
  }
}

async function joinRequest(state: AuthState, request: RegisterUsingTokenRequest, caller: Caller): Promise<JoinRequest> {
  const who = await whoCalls(state, caller);
  // A Proxy forwards what an agent sent it, and knows the agent's address.
  const isForwarded = who.kind === 'host' && who.role === 'Proxy';
  return {
    token: request.token,
    hostId: request.hostId,
    nodename: request.nodeName,
    role: request.role,
    additionalPrincipals: request.additionalPrincipals,
    dnsNames: request.dnsNames,
    tls: request.publicTlsKey,
    ssh: request.publicSshKey,
    remoteAddr: isForwarded ? request.remoteAddr : caller.remoteAddr,
  };
}

const certs = (issued: UserCertificates): MessageInitShape<typeof CertsSchema> => ({
  ssh: Buffer.from(issued.ssh),
  tls: Buffer.from(issued.tls),
  tlsCaCerts: issued.tlsCas.map((text) => Buffer.from(text)),
  sshCaCerts: issued.sshCas.map((text) => Buffer.from(text)),
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

/**
 * An administrator's tool may make any host; a host only itself, in a role that it has, with no roles and no names that it
 * has not.
 */
function mayMakeHost(who: Who, request: HostCertsRequest, { bearer }: Caller): void {
  if (who.kind === 'host' && who.role === 'Admin') return;
  if (who.kind !== 'host' || who.hostId !== request.hostId) throw new TeleportError('AccessDenied', 'access denied');
  // One of SSH would be for whatever name the host gives itself now.
  if (request.publicSshKey.length > 0) {
    throw new TeleportError('AccessDenied', 'access denied: a host renews its TLS certificate only');
  }
  const has = (name: string) => who.role === name || who.identity.systemRoles.includes(name);
  if (!has(request.role) || !request.systemRoles.every(has)) throw new TeleportError('AccessDenied', 'access denied');
  const known = new Set(hostNamesOf(bearer!.certificateDer));
  const wider = [...request.additionalPrincipals, ...request.dnsNames].find(
    (name) => !known.has(canonicalIp(name) ?? name),
  );
  if (wider === undefined) return;
  throw new TeleportError(
    'AccessDenied',
    `access denied: the certificate of this host is not for ${JSON.stringify(wider)}; a new name needs a join token`,
  );
}

/**
 * "No" also for a database that does not exist, as long as nobody asks for MFA at all.
 *
 * @throws TeleportError `AccessDenied` for a caller who is not a user: hosts have no sessions
 */
async function isMfaRequired(state: AuthState, who: Who, { target }: IsMFARequiredRequest): Promise<boolean> {
  if (target.case !== 'database') return false;
  if (who.kind !== 'user') throw new TeleportError('AccessDenied', 'access denied: only users have sessions');
  const roles = expanded(who.roles, who.user);
  const asked = mfaState(roles, state.settings.preference);
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
