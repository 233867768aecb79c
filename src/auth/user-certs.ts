/**
 * Certificates of users: at login, when a user asks for another one (`GenerateUserCerts`), and when an administrator
 * signs one for a user. Shapes: certificates.md 4, 5, 6; the table of answers: auth-grpc-and-routing.md 3.4.
 */
import type { KeyObject } from 'node:crypto';
import { CREDENTIALS_EXPIRED } from '../api/status.js';
import { parseDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import {
  DATABASE_USAGE,
  encodeSubject,
  type Identity,
  newIdentity,
  type RouteToDatabase,
} from '../identity/identity.js';
import { userPrincipals, userSshCertificate } from '../identity/ssh-cert.js';
import { ipOf } from '../ip.js';
import { readPublicKey } from '../pki/keys.js';
import { readAuthorizedKey, sshLine } from '../pki/ssh/certificate.js';
import { issueLeaf } from '../pki/x509.js';
import { maxSessionTtlMs } from '../rbac/limits.js';
import { pinsSourceIp } from '../rbac/pinned-ip.js';
import type { Role, User } from '../resources/types.js';
import { checkWord, checkWords } from './asked-words.js';
import { secretsOf } from './secrets.js';
import { type AuthState, record, sessionTtlMs } from './state.js';
import { expanded, refuseLocked, rolesOf, type Who } from './who.js';

export interface UserCertificates {
  /** Line with newline; empty without SSH key. */
  ssh: string;
  /** PEM; empty without TLS key. */
  tls: string;
  /** The issuers: User CA. */
  tlsCas: string[];
  sshCas: string[];
}

export interface PublicKeys {
  ssh: KeyObject | undefined;
  tls: KeyObject | undefined;
}

/**
 * Read the two public keys of a request, either of which may be missing.
 *
 * @throws TeleportError `BadParameter` with the text given when there is none, or for a key that cannot be read
 */
export function readPublicKeys(request: { ssh: Uint8Array; tls: Uint8Array }, none: string): PublicKeys {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');
  const ssh = request.ssh.length > 0 ? readAuthorizedKey(text(request.ssh)) : undefined;
  const tls = request.tls.length > 0 ? readPublicKey(text(request.tls)) : undefined;
  if (ssh === undefined && tls === undefined) throw new TeleportError('BadParameter', none);
  return { ssh, tls };
}

export interface LoginRequest {
  user: User;
  /** Of the password that was given. */
  generation: string | undefined;
  /** Id of the device that made the code. */
  device: string | undefined;
  keys: PublicKeys;
  /** 0: the cluster's default. */
  ttlMs: number;
  routeToCluster: string;
  compatibility: string;
  /** `ip:port` of the person. */
  remoteAddr: string;
}

/** The pair of certificates of a login; never longer than the roles allow. */
export async function certificatesAtLogin(state: AuthState, request: LoginRequest): Promise<UserCertificates> {
  const roles = expanded(await rolesOf(state, request.user.spec.roles), request.user);
  const ttlMs = Math.min(request.ttlMs > 0 ? request.ttlMs : sessionTtlMs(state), maxSessionTtlMs(roles));
  const loginIp = ipOf(request.remoteAddr);
  return await issue(state, {
    ...request,
    roles,
    expires: new Date(state.now().getTime() + ttlMs),
    facts: {
      ...(loginIp ? { loginIp } : {}),
      ...pinned(request.user, roles, loginIp),
      ...(request.generation ? { userGeneration: request.generation } : {}),
      ...(request.device ? { loginDevice: request.device } : {}),
    },
  });
}

export interface ReissueRequest {
  username: string;
  expires: Date | undefined;
  usage: number;
  route: RouteToDatabase | undefined;
  routeToCluster: string;
  format: string;
  ssh: Uint8Array;
  tls: Uint8Array;
  hasMfaResponse: boolean;
}

export const USAGE_DATABASE = 3;

/**
 * `GenerateUserCerts`. The database of the route is not looked at: access is decided when connecting. The roles are those
 * that the user has now, and nothing outlives the login, whoever asks: where Teleport gives a local proxy more, its `tsh`
 * asks for a new login instead.
 */
export async function reissue(state: AuthState, who: Who, request: ReissueRequest): Promise<UserCertificates> {
  const caller = callerOf(who, request.username);
  const now = state.now();
  if (request.expires === undefined || request.expires <= now) {
    throw new TeleportError('AccessDenied', CREDENTIALS_EXPIRED);
  }
  if (request.usage !== 0 && request.usage !== 1 && request.usage !== USAGE_DATABASE) {
    throw new TeleportError('NotImplemented', 'only certificates for databases can be issued here');
  }
  if (request.usage === USAGE_DATABASE && !request.route?.serviceName) {
    throw new TeleportError('BadParameter', 'missing ServiceName field in a database-only UserCertsRequest');
  }
  if (request.route) checkRoute(request.route);
  const keys = readPublicKeys(request, 'must provide a public key');
  if (request.hasMfaResponse) {
    throw new TeleportError('BadParameter', 'per-session MFA is not satisfied by OTP devices');
  }
  const user = await state.users.get(request.username);
  if (user === undefined) throw new TeleportError('AccessDenied', 'access denied');
  const roles = expanded(await rolesOf(state, user.spec.roles), user);
  const generation = caller ? caller.userGeneration : (await secretsOf(state, request.username)).generation;
  return await issue(state, {
    user,
    keys,
    roles,
    expires: endOf(state, request, caller, roles),
    routeToCluster: request.routeToCluster,
    compatibility: request.format,
    facts: {
      ...(caller?.loginIp ? { loginIp: caller.loginIp } : {}),
      ...pinned(user, roles, caller?.loginIp),
      ...(generation ? { userGeneration: generation } : {}),
      ...(caller
        ? {
            activeRequests: caller.activeRequests,
            ...(caller.loginDevice ? { loginDevice: caller.loginDevice } : {}),
            ...(caller.impersonator ? { impersonator: caller.impersonator } : {}),
          }
        : { impersonator: who.kind === 'host' ? who.identity.username : '' }),
      ...(request.route?.serviceName ? { routeToDatabase: request.route } : {}),
      ...(request.usage === USAGE_DATABASE ? { usage: [DATABASE_USAGE] } : {}),
    },
  });
}

/** An agent that is shown the certificate reads all of it. @throws TeleportError `BadParameter` */
function checkRoute({ serviceName, username = '', database = '', roles = [] }: RouteToDatabase): void {
  checkWord('ServiceName', serviceName);
  checkWord('Username', username);
  checkWord('Database', database);
  checkWords('Roles', roles);
}

/** The caller's own identity; undefined when an administrator's tool asks on behalf of a user. */
function callerOf(who: Who, username: string): Identity | undefined {
  if (who.kind === 'host' && who.role === 'Admin') return undefined;
  if (who.kind !== 'user') throw new TeleportError('AccessDenied', 'access denied');
  if (who.identity.remote) {
    throw new TeleportError('AccessDenied', 'access denied: only the root cluster makes certificates for its users');
  }
  if (who.identity.disallowReissue) {
    throw new TeleportError('AccessDenied', 'access denied: identity is not allowed to reissue certificates');
  }
  if (who.identity.username !== username) {
    throw new TeleportError('AccessDenied', 'access denied: impersonation is not allowed');
  }
  return who.identity;
}

function endOf(state: AuthState, request: ReissueRequest, caller: Identity | undefined, roles: Role[]): Date {
  const longest = state.now().getTime() + maxSessionTtlMs(roles);
  const login = caller?.expires.getTime() ?? Number.POSITIVE_INFINITY;
  return new Date(Math.min(request.expires!.getTime(), longest, login));
}

/** @throws BadParameter where certificates must be good from one address only, and it is not known */
function pinned(user: User, roles: readonly Role[], loginIp: string | undefined): { pinnedIp?: string } {
  if (!pinsSourceIp(roles)) return {};
  if (loginIp) return { pinnedIp: loginIp };
  throw new TeleportError(
    'BadParameter',
    `IP pinning is enabled for user ${JSON.stringify(user.metadata.name)} but there is no client IP information`,
  );
}

interface Issue {
  user: User;
  keys: PublicKeys;
  /** Expanded. */
  roles: Role[];
  expires: Date;
  routeToCluster: string;
  compatibility: string;
  facts: Partial<Identity>;
}

async function issue(state: AuthState, { user, keys, roles, expires, ...request }: Issue): Promise<UserCertificates> {
  const { routeToCluster } = request;
  const isOwn = routeToCluster === '' || routeToCluster === state.clusterName;
  if (!isOwn && !(await state.remoteClusters.get(routeToCluster))) {
    throw new TeleportError('NotFound', `remote cluster ${JSON.stringify(request.routeToCluster)} is not found`);
  }
  const now = state.now();
  const ttlMs = expires.getTime() - now.getTime();
  const identity = newIdentity({
    username: user.metadata.name,
    groups: user.spec.roles,
    principals: userPrincipals(granted(roles, 'logins', ttlMs)),
    routeToCluster: request.routeToCluster || state.clusterName,
    traits: user.spec.traits,
    teleportCluster: state.clusterName,
    databaseNames: granted(roles, 'db_names', ttlMs),
    databaseUsers: granted(roles, 'db_users', ttlMs),
    userType: 'local',
    privateKeyPolicy: 'none',
    ...request.facts,
    expires,
  });
  if (identity.groups.length === 0) throw new TeleportError('AccessDenied', 'access denied: the user has no roles');
  await refuseLocked(state, { identity });
  const ca = state.authorities.tls('user');
  const caKey = state.authorities.ssh('user');
  const notBefore = new Date(now.getTime() - 60_000);
  const tls = keys.tls
    ? issueLeaf({ ca, publicKey: keys.tls, subject: encodeSubject(identity), notBefore, notAfter: expires })
    : '';
  const ssh = keys.ssh
    ? `${userSshCertificate({
        identity,
        publicKey: keys.ssh,
        caKey,
        now,
        permit: permitted(roles),
        format: request.compatibility === 'oldssh' ? 'oldssh' : 'standard',
      }).trimEnd()}\n`
    : '';
  await record(state, 'cert.create', 'ok', {
    cert_type: 'user',
    identity: {
      user: identity.username,
      roles: identity.groups,
      usage: identity.usage,
      logins: identity.principals,
      expires: expires.toISOString(),
      route_to_cluster: identity.routeToCluster,
      teleport_cluster: identity.teleportCluster,
      client_ip: identity.loginIp,
      impersonator: identity.impersonator,
      ...(identity.routeToDatabase ? { route_to_database: databaseFields(identity.routeToDatabase) } : {}),
    },
  });
  return {
    ssh,
    tls,
    tlsCas: state.authorities.trusted('user'),
    sshCas: state.authorities.trustedSsh('user').map(sshLine),
  };
}

/**
 * Hints in the certificate: what the roles whose sessions may last so long allow, without what any role denies word for
 * word, sorted (certificates.md 4.3).
 */
function granted(roles: readonly Role[], field: 'logins' | 'db_names' | 'db_users', ttlMs: number): string[] {
  const lasting = roles.filter(({ spec }) => lifeOf(spec.options.max_session_ttl) >= ttlMs);
  const denied = new Set(roles.flatMap(({ spec }) => spec.deny[field] ?? []));
  const allowed = lasting.flatMap(({ spec }) => spec.allow[field] ?? []).filter((entry) => !denied.has(entry));
  return [...new Set(allowed)].sort();
}

const lifeOf = (ttl: string | undefined) => {
  const ms = parseDurationMs(ttl || '0');
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
};

function permitted(roles: readonly Role[]) {
  const options = roles.map(({ spec }) => spec.options);
  return {
    portForwarding: options.some(({ port_forwarding }) => port_forwarding !== false),
    agentForwarding: options.some(({ forward_agent }) => forward_agent === true),
    x11Forwarding: options.some(({ permit_x11_forwarding }) => permit_x11_forwarding === true),
  };
}

const databaseFields = (route: RouteToDatabase) => ({
  service_name: route.serviceName,
  protocol: route.protocol,
  username: route.username,
  database: route.database,
});
