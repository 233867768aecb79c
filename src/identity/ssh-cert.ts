/**
 * SSH certificates of users and hosts: which principals, options and extensions Teleport puts in, and what `tsh status`
 * reads from a user's (Teleport 18.3.0, lib/sshca/identity.go).
 */
import { type KeyObject, randomUUID } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { readSshCertificate, signSshCertificate } from '../pki/ssh/certificate.js';
import { type HostName, hostPrincipals } from './host.js';
import { type Identity, rfc3339 } from './identity.js';
import { decodeTraits, encodeTraits, goJson, isStringList, parseJson, type Traits } from './traits.js';

/** Teleport puts this principal into every user certificate. */
export const INTERNAL_JOIN_PRINCIPAL = '-teleport-internal-join';

const SKEW_MS = 60_000;

export interface UserSshOptions {
  identity: Identity;
  publicKey: KeyObject;
  caKey: KeyObject;
  now: Date;
  /** What the roles allow; `permit-pty` is always there. */
  permit?: { portForwarding?: boolean; agentForwarding?: boolean; x11Forwarding?: boolean };
  /** Role option `cert_format`; `oldssh` leaves out roles, traits, route and requests. Default `standard`. */
  format?: 'standard' | 'oldssh';
  /** Role option `cert_extensions`, name to value. */
  certExtensions?: Readonly<Record<string, string>>;
}

/** The line of a user certificate, valid from a minute ago until `identity.expires`. */
export function userSshCertificate(options: UserSshOptions): string {
  const { identity, publicKey, caKey } = options;
  const pinned = identity.pinnedIp;
  return signSshCertificate({
    type: 'user',
    publicKey,
    caKey,
    keyId: identity.username,
    principals: identity.principals,
    validAfter: new Date(options.now.getTime() - SKEW_MS),
    validBefore: identity.expires,
    ...(pinned ? { criticalOptions: { 'source-address': `${pinned}/${isIPv6(pinned) ? 128 : 32}` } } : {}),
    extensions: userExtensions(options),
  });
}

export interface HostSshOptions extends HostName {
  publicKey: KeyObject;
  caKey: KeyObject;
  nodeName?: string;
  additionalPrincipals?: readonly string[];
  now: Date;
  /** Absent: for ever. */
  validBefore?: Date;
}

/** The line of a host certificate. */
export function hostSshCertificate(options: HostSshOptions): string {
  return signSshCertificate({
    type: 'host',
    publicKey: options.publicKey,
    caKey: options.caKey,
    keyId: '',
    principals: hostPrincipals(options),
    validAfter: new Date(options.now.getTime() - SKEW_MS),
    ...(options.validBefore ? { validBefore: options.validBefore } : {}),
    extensions: { 'x-teleport-role': options.role, 'x-teleport-authority': options.clusterName },
  });
}

/**
 * Principals of a user in both certificates of a login: the logins, or a name that nobody has; and Teleport's own.
 */
export function userPrincipals(logins: readonly string[]): string[] {
  const own = logins.length > 0 ? logins : [`-teleport-nologin-${randomUUID()}`];
  return [...own, INTERNAL_JOIN_PRINCIPAL];
}

const GITHUB_ID = 'github-id@goteleport.com';
const GITHUB_LOGIN = 'github-login@goteleport.com';

/** What `tsh status` shows of a user's SSH certificate. */
export interface UserSshFacts {
  username: string;
  roles: string[];
  traits: Traits;
  /** Without Teleport's own principals. */
  logins: string[];
  /** Names of the extensions that are not Teleport's bookkeeping, sorted. */
  extensions: string[];
  /** Restrictions by name, such as `source-address`. */
  criticalOptions: Record<string, string>;
  /** Of a login through GitHub. */
  github?: GitHubIdentity;
  validAfter?: Date;
  validBefore?: Date;
}

export interface GitHubIdentity {
  id: string;
  login: string;
}

/** @throws TeleportError `Protocol` or `BadParameter` when the line is not a certificate or its values are unreadable */
export function readUserSshCertificate(line: string): UserSshFacts {
  const { keyId, principals, extensions, criticalOptions, validAfter, validBefore } = readSshCertificate(line);
  const roles = (parseJson(extensions['teleport-roles'] || 'null', 'roles') as { roles?: unknown } | null)?.roles;
  return {
    username: keyId,
    roles: isStringList(roles) ? roles : [],
    traits: decodeTraits(extensions['teleport-traits']),
    logins: principals.filter((principal) => !principal.startsWith('-teleport-')),
    extensions: Object.keys(extensions).filter((name) => !/^teleport-|^github-(id|login)@goteleport\.com$/.test(name)),
    criticalOptions,
    ...(extensions[GITHUB_ID] ? { github: { id: extensions[GITHUB_ID], login: extensions[GITHUB_LOGIN] ?? '' } } : {}),
    ...(validAfter ? { validAfter } : {}),
    ...(validBefore ? { validBefore } : {}),
  };
}

/** Name to value; "" stands for an extension without value, undefined for one that is not there. */
function userExtensions({ identity, permit, format, certExtensions }: UserSshOptions): Record<string, string> {
  const isStandard = format !== 'oldssh';
  const all: Record<string, string | undefined> = {
    'permit-pty': '',
    'permit-port-forwarding': permit?.portForwarding ? '' : undefined,
    'permit-agent-forwarding': permit?.agentForwarding ? '' : undefined,
    'permit-X11-forwarding': permit?.x11Forwarding ? '' : undefined,
    'teleport-roles': isStandard ? goJson({ roles: identity.groups }) : undefined,
    'teleport-traits': isStandard ? encodeTraits(identity.traits) : undefined,
    'teleport-route-to-cluster': (isStandard && identity.routeToCluster) || undefined,
    'teleport-active-requests':
      isStandard && identity.activeRequests.length > 0
        ? goJson({ access_requests: identity.activeRequests })
        : undefined,
    'mfa-verified': identity.mfaVerified,
    'prev-identity-expires': identity.previousIdentityExpires && rfc3339(identity.previousIdentityExpires),
    'login-ip': identity.loginIp,
    impersonator: identity.impersonator,
    'disallow-reissue': identity.disallowReissue ? '' : undefined,
    renewable: identity.renewable ? '' : undefined,
    generation: identity.generation ? String(identity.generation) : undefined,
    'bot-name@goteleport.com': identity.botName,
    'bot-instance-id@goteleport.com': identity.botInstanceId,
    'join-token@goteleport.com': identity.joinToken,
    'teleport-allowed-resources': identity.allowedResources?.length ? goJson(identity.allowedResources) : undefined,
    'private-key-policy': identity.privateKeyPolicy,
    ...certExtensions,
  };
  const set = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(set);
}
