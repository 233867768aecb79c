/**
 * Certificates of our own services, and the tokens with which a service joins. Shapes: certificates.md 7; joining:
 * auth-grpc-and-routing.md 6.1 and 6.2.
 */
import { createHash, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { HostIdentity } from '../api/host-identity.js';
import type { ProvenIdentity } from '../aws/proven-identity.js';
import { messageOf, TeleportError } from '../errors.js';
import { fitsGlob } from '../glob.js';
import { HOST_TTL_MS, hostIdentity, hostSans } from '../identity/host.js';
import { encodeSubject } from '../identity/identity.js';
import { hostSshCertificate } from '../identity/ssh-cert.js';
import { ipOf } from '../ip.js';
import { generateKey, privateKeyPem, readPublicKey } from '../pki/keys.js';
import { readAuthorizedKey, sshLine } from '../pki/ssh/certificate.js';
import { keyFor } from '../pki/suites.js';
import { issueLeaf, readCertificate, spkiPin } from '../pki/x509.js';
import { isSystemRole, type SystemRole } from '../resources/system-role.js';
import type { ProvisionToken } from '../resources/types.js';
import { claimHost } from './hosts.js';
import { unrecordedField } from './join-limits.js';
import { type AuthState, record } from './state.js';
import type { UserCertificates } from './user-certs.js';
import { refuseLocked } from './who.js';

/** Roles that a host may join as: there are no other services here. */
export const JOINABLE: readonly string[] = ['Proxy', 'Db', 'Discovery', 'Instance'];

export interface HostCertRequest {
  hostId: string;
  nodename: string;
  role: string;
  additionalPrincipals: readonly string[];
  dnsNames: readonly string[];
  tls: KeyObject;
  ssh?: KeyObject | undefined;
  systemRoles?: readonly string[];
  /** Its token says which databases it may offer. */
  isBound?: boolean;
}

/** @throws TeleportError `BadParameter` for an unknown role or an empty host id */
export function hostCertificates(state: AuthState, request: HostCertRequest): UserCertificates {
  const { hostId, role } = request;
  if (hostId === '') throw new TeleportError('BadParameter', 'missing parameter HostID');
  if (!isSystemRole(role)) throw new TeleportError('BadParameter', `role "${role}" is not supported`);
  const now = state.now();
  const { tls: ca, ssh: caKey } = state.authorities.ofHosts();
  const expires = new Date(now.getTime() + HOST_TTL_MS);
  const { clusterName } = state;
  const { systemRoles = [], isBound = false } = request;
  const subject = hostIdentity({ hostId, clusterName, role, expires, systemRoles, isBound });
  const tls = issueLeaf({
    ca,
    publicKey: request.tls,
    subject: encodeSubject(subject),
    sans: hostSans({ role, additionalPrincipals: request.additionalPrincipals, dnsNames: request.dnsNames }),
    notBefore: new Date(now.getTime() - 60_000),
    notAfter: expires,
  });
  const ssh = request.ssh
    ? `${hostSshCertificate({
        hostId,
        clusterName,
        role,
        nodeName: request.nodename,
        additionalPrincipals: request.additionalPrincipals,
        publicKey: request.ssh,
        caKey,
        now,
      }).trimEnd()}\n`
    : '';
  return {
    ssh,
    tls,
    tlsCas: state.authorities.trusted('host'),
    sshCas: state.authorities.trustedSsh('host').map(sshLine),
  };
}

/** What hosts hear of the authority that signs their certificates. */
export function hostAuthorities({ authorities }: AuthState): { hostSigner: string; hostPins: string[] } {
  return { hostSigner: spkiPin(authorities.ofHosts().tls.certPem), hostPins: authorities.pins() };
}

/** A host identity with a key made here, for services in the same process and for the local administrator. */
export async function issueHostIdentity(
  state: AuthState,
  request: {
    role: SystemRole;
    nodename: string;
    additionalPrincipals: readonly string[];
    dnsNames: readonly string[];
    hostId?: string;
  },
): Promise<HostIdentity> {
  const key = await generateKey(keyFor(state.settings.preference.spec.signature_algorithm_suite, 'host-tls'));
  const hostId = request.hostId ?? state.hostId;
  const { tls, tlsCas } = hostCertificates(state, { ...request, hostId, tls: key });
  return {
    hostId,
    role: request.role,
    nodename: request.nodename,
    clusterName: state.clusterName,
    certPem: tls,
    keyPem: privateKeyPem(key),
    hostCaPems: tlsCas,
  };
}

export interface JoinRequest {
  token: string;
  hostId: string;
  nodename: string;
  role: string;
  additionalPrincipals: readonly string[];
  dnsNames: readonly string[];
  tls: Uint8Array;
  ssh: Uint8Array;
  remoteAddr: string;
}

/** Shows the AWS identity of the one who joins. @throws TeleportError `AccessDenied` where it shows none */
export type ProveIdentity = () => Promise<ProvenIdentity>;

/**
 * Join with a token, by knowing it or with the AWS identity that it is for.
 *
 * @throws TeleportError `AccessDenied` for an unknown or expired token, another role, another identity
 */
export async function join(state: AuthState, request: JoinRequest, prove?: ProveIdentity): Promise<UserCertificates> {
  const { hostId, role, remoteAddr } = request;
  const from = ipOf(remoteAddr) ?? remoteAddr;
  state.joinLimits.attempt(from);
  checkNames(request);
  const shown: Shown = { method: prove ? 'iam' : 'token' };
  try {
    const token = await tokenOf(state, request.token);
    requireMethod(token, shown.method);
    const { roles } = token;
    const isInstance = role === 'Instance' && roles.some((name) => JOINABLE.includes(name));
    if (!JOINABLE.includes(role) || !(roles.includes(role) || isInstance)) {
      const why = roles.includes(role) ? 'this cluster has no service of' : 'the token does not allow';
      throw new TeleportError(
        'AccessDenied',
        `node "${request.nodename}" [${hostId}] can not join the cluster, ${why} "${role}" role`,
      );
    }
    if (request.tls.length === 0) throw new TeleportError('BadParameter', 'missing PublicTLSKey');
    // Last, since AWS is asked.
    if (prove) {
      shown.identity = await prove();
      requireAllowed(token, shown.identity);
    }
    await refuseLocked(state, { serverId: hostId });
    const certificates = hostCertificates(state, {
      ...request,
      tls: readPublicKey(Buffer.from(request.tls).toString('utf8')),
      ssh: request.ssh.length > 0 ? readAuthorizedKey(Buffer.from(request.ssh).toString('utf8')) : undefined,
      systemRoles: roles.filter((name) => JOINABLE.includes(name)),
      isBound: token.databases !== undefined || token.db_labels !== undefined,
    });
    const expires = readCertificate(certificates.tls).notAfter;
    await claimHost(state, {
      ...token,
      hostId,
      role,
      remoteAddr,
      expires,
      token: digest(request.token).toString('hex'),
    });
    await recordJoin(state, request, shown, undefined);
    return certificates;
  } catch (error) {
    await recordJoin(state, request, shown, error);
    throw error;
  }
}

/** How somebody wanted to join, and as whom AWS knows them. */
interface Shown {
  method: 'token' | 'iam';
  identity?: ProvenIdentity;
}

/** @throws TeleportError `AccessDenied` for a token of another method: the name of one for an AWS identity is not a secret */
export function requireMethod({ join_method: wanted }: TokenSpec, method: Shown['method']): void {
  if (method === wanted) return;
  throw new TeleportError(
    'AccessDenied',
    method === 'iam'
      ? 'this token does not support the IAM join method'
      : `this token is for the join method ${JSON.stringify(wanted)} only`,
    { hint: `Set join_params.method of the host to ${wanted}.` },
  );
}

function requireAllowed({ allow = [] }: TokenSpec, { accountId, arn }: ProvenIdentity): void {
  const fits = allow.some(
    ({ aws_account: account, aws_arn: pattern }) =>
      (!account || account === accountId) && (!pattern || fitsGlob(pattern, arn, { single: '?' })),
  );
  if (!fits) throw new TeleportError('AccessDenied', `instance ${arn} did not match any allow rules`);
}

/** Whoever is refused may write little into the audit log, and not more often than a person could read it. */
async function recordJoin(state: AuthState, request: JoinRequest, shown: Shown, error: unknown): Promise<void> {
  const { hostId, nodename, role, remoteAddr } = request;
  const { method, identity } = shown;
  const common = {
    ...{ host_id: hostId, node_name: nodename, role, method, 'addr.remote': remoteAddr },
    ...(identity ? { aws_account: identity.accountId, aws_arn: identity.arn } : {}),
  };
  if (error === undefined) return await record(state, 'instance.join', 'ok', { ...common, success: true });
  const unrecorded = state.joinLimits.refusals.next();
  if (unrecorded === undefined) return;
  const fields = Object.fromEntries(Object.entries(common).map(([name, value]) => [name, value.slice(0, 64)]));
  await record(state, 'instance.join', 'failed', {
    ...fields,
    success: false,
    error: messageOf(error).slice(0, 200),
    ...unrecordedField(unrecorded),
  });
}

/** Longest name in a request, and most names: whoever asks is nobody yet. Our own limit. */
const MAX_NAME_CHARACTERS = 512;
const MAX_NAMES = 256;

function checkNames({ hostId, nodename, role, token, additionalPrincipals, dnsNames }: JoinRequest): void {
  const names = [hostId, nodename, role, token, ...additionalPrincipals, ...dnsNames];
  if (names.length > MAX_NAMES || names.some((name) => name.length > MAX_NAME_CHARACTERS)) {
    throw new TeleportError('BadParameter', 'the request to join has too many names, or one that is too long');
  }
  if (names.some((name) => /\p{C}|[\u2028\u2029]/u.test(name))) {
    throw new TeleportError('BadParameter', 'the request to join has a name with control characters in it');
  }
}

type TokenSpec = Pick<ProvisionToken['spec'], 'roles' | 'join_method' | 'allow' | 'databases' | 'db_labels'>;

/** @throws TeleportError `AccessDenied` for a token that is not there, or over */
export async function tokenOf(state: AuthState, token: string): Promise<TokenSpec> {
  const asked = digest(token);
  // Compared by digest, so that the time says nothing about how much of a guess was right.
  const fixed = state.staticTokens.find((known) => timingSafeEqual(digest(known.token), asked));
  if (fixed) return { roles: fixed.roles, join_method: 'token' };
  const stored: ProvisionToken | undefined = token === '' ? undefined : await state.tokens.get(token);
  if (stored === undefined) {
    throw new TeleportError('AccessDenied', 'the token is not valid', {
      hint: 'Make a new one on the Auth host: tctl tokens add --type=db.',
    });
  }
  const { roles, join_method, allow, databases, db_labels } = stored.spec;
  return {
    roles,
    join_method,
    ...(allow ? { allow } : {}),
    ...(databases?.length ? { databases } : {}),
    ...(db_labels && Object.keys(db_labels).length > 0 ? { db_labels } : {}),
  };
}

const digest = (text: string) => createHash('sha256').update(text).digest();
