/**
 * Who a certificate is about: the subject of a Teleport certificate as a record, and back (Teleport 18.3.0,
 * lib/tlsca/ca.go). The record holds what users, hosts and databases need; attributes for other kinds of access are
 * ignored when read.
 */
import { TeleportError } from '../errors.js';
import { type Certificate, NAME_OID, type NameAttributes, readCertificate } from '../pki/x509.js';
import { ATTRIBUTE_OID } from './attributes.js';
import { decodeTraits, encodeTraits, goJson, isStringList, parseJson, type Traits } from './traits.js';

export type { Traits } from './traits.js';

/** The OU value that restricts a certificate to databases. */
export const DATABASE_USAGE = 'usage:db';

/** Which database a certificate is for. User, name and roles are wishes: they count where the client is silent. */
export interface RouteToDatabase {
  serviceName: string;
  protocol: string;
  username?: string;
  database?: string;
  roles?: string[];
}

export interface Identity {
  /** User name, or `<host uuid>.<cluster>` of a host. */
  username: string;
  /** Roles of a user; the one system role of a host. */
  groups: string[];
  /** Usage restrictions such as `usage:db`; empty: none. */
  usage: string[];
  /** Host logins, and Teleport's own principals that begin with `-teleport-`. */
  principals: string[];
  routeToCluster: string;
  traits: Traits;
  /** The cluster that issued the certificate. */
  teleportCluster: string;
  /** Further system roles of a host with the role `Instance`. */
  systemRoles: string[];
  routeToDatabase?: RouteToDatabase;
  /** Database names and users that the roles allow; a hint, not a decision. */
  databaseNames: string[];
  databaseUsers: string[];
  /** Id of the MFA device. */
  mfaVerified?: string;
  /** End of the certificate from which an MFA certificate was made. */
  previousIdentityExpires?: Date;
  loginIp?: string;
  pinnedIp?: string;
  impersonator?: string;
  activeRequests: string[];
  disallowReissue?: boolean;
  renewable?: boolean;
  generation?: number;
  botName?: string;
  botInstanceId?: string;
  joinToken?: string;
  /** `local` or `sso`. */
  userType?: string;
  /** `/cluster/kind/name`; absent: everything the roles allow. */
  allowedResources?: string[];
  privateKeyPolicy?: string;
  /** Which user of that name it is: another one after a reset, or when the name is given anew (`auth/secrets.ts`). */
  userGeneration?: string;
  /** Id of the device that the login was confirmed with; unlike `mfaVerified` it opens nothing. */
  loginDevice?: string;
  /** Who this is in the cluster of the certificate, where that is another one than ours (`remote.ts`); never in a certificate. */
  remote?: { cluster: string; username: string; groups: string[] };
  /** End of the certificate. */
  expires: Date;
}

/** What every identity needs; everything else starts empty. */
export type IdentitySeed = Pick<Identity, 'username' | 'groups' | 'teleportCluster' | 'expires'> & Partial<Identity>;

/** An identity with empty lists where nothing is given. `routeToCluster` stays empty, as on host certificates. */
export function newIdentity(seed: IdentitySeed): Identity {
  return {
    usage: [],
    principals: [],
    routeToCluster: '',
    traits: {},
    systemRoles: [],
    databaseNames: [],
    databaseUsers: [],
    activeRequests: [],
    ...seed,
  };
}

/** The subject of a certificate for this identity, in the order of the official build. `expires` is not part of it. */
export function encodeSubject(identity: Identity): NameAttributes {
  const route = identity.routeToDatabase;
  const values: Record<keyof typeof ATTRIBUTE_OID, readonly (string | undefined)[]> = {
    systemRoles: identity.systemRoles,
    renewable: [flag(identity.renewable)],
    teleportCluster: [identity.teleportCluster],
    mfaVerified: [identity.mfaVerified],
    previousIdentityExpires: [identity.previousIdentityExpires && rfc3339(identity.previousIdentityExpires)],
    loginIp: [identity.loginIp],
    pinnedIp: [identity.pinnedIp],
    databaseServiceName: [route?.serviceName],
    databaseProtocol: [route?.protocol],
    databaseUsername: [route?.username],
    databaseName: [route?.database],
    databaseRoles: route?.roles ?? [],
    databaseNames: identity.databaseNames,
    databaseUsers: identity.databaseUsers,
    impersonator: [identity.impersonator],
    activeRequests: identity.activeRequests,
    disallowReissue: [flag(identity.disallowReissue)],
    generation: [identity.generation ? String(identity.generation) : undefined],
    botName: [identity.botName],
    botInstanceId: [identity.botInstanceId],
    joinToken: [identity.joinToken],
    userType: [identity.userType],
    allowedResources: [identity.allowedResources?.length ? goJson(identity.allowedResources) : undefined],
    privateKeyPolicy: [identity.privateKeyPolicy],
    userGeneration: [identity.userGeneration],
    loginDevice: [identity.loginDevice],
  };
  return [
    { oid: NAME_OID.organization, values: identity.groups },
    { oid: NAME_OID.organizationalUnit, values: identity.usage },
    { oid: NAME_OID.locality, values: identity.principals },
    { oid: NAME_OID.streetAddress, values: [identity.routeToCluster] },
    { oid: NAME_OID.postalCode, values: [encodeTraits(identity.traits)] },
    { oid: NAME_OID.commonName, values: [identity.username] },
    ...Object.entries(ATTRIBUTE_OID).map(([name, oid]) => ({
      oid,
      values: values[name as keyof typeof ATTRIBUTE_OID].filter((value) => value !== undefined && value !== ''),
    })),
  ] as NameAttributes;
}

/**
 * The identity in a certificate, given as PEM or DER or taken apart already. The certificate is not verified here.
 *
 * @throws TeleportError `BadParameter` without user name or roles, `Protocol` for values that cannot be read
 */
export function decodeIdentity(certificate: string | Uint8Array | Certificate): Identity {
  const isRaw = typeof certificate === 'string' || certificate instanceof Uint8Array;
  const { subject, notAfter } = isRaw ? readCertificate(certificate) : certificate;
  return decodeSubject(subject, notAfter);
}

/** The identity in a subject alone, as a certificate request has it; `expires` comes from elsewhere. */
export function decodeSubject(subject: ReadonlyMap<string, readonly string[]>, expires: Date): Identity {
  const all = (oid: string) => [...(subject.get(oid) ?? [])];
  const one = (oid: string) => single(oid, subject.get(oid) ?? []) || undefined;
  const username = one(NAME_OID.commonName);
  const groups = all(NAME_OID.organization);
  if (username === undefined) throw new TeleportError('BadParameter', 'missing identity username');
  if (groups.length === 0) throw new TeleportError('BadParameter', 'missing identity groups or scope pin');
  const at = ATTRIBUTE_OID;
  return {
    username,
    groups,
    usage: all(NAME_OID.organizationalUnit),
    principals: all(NAME_OID.locality),
    routeToCluster: one(NAME_OID.streetAddress) ?? '',
    traits: decodeTraits(one(NAME_OID.postalCode)),
    teleportCluster: one(at.teleportCluster) ?? '',
    systemRoles: all(at.systemRoles),
    databaseNames: all(at.databaseNames),
    databaseUsers: all(at.databaseUsers),
    activeRequests: all(at.activeRequests),
    ...present('routeToDatabase', decodeRoute(one, all)),
    ...present('mfaVerified', one(at.mfaVerified)),
    ...present('previousIdentityExpires', dateOf(one(at.previousIdentityExpires))),
    ...present('loginIp', one(at.loginIp)),
    ...present('pinnedIp', one(at.pinnedIp)),
    ...present('impersonator', one(at.impersonator)),
    ...present('disallowReissue', one(at.disallowReissue) === 'true' || undefined),
    ...present('renewable', one(at.renewable) === 'true' || undefined),
    ...present('generation', countOf(one(at.generation))),
    ...present('botName', one(at.botName)),
    ...present('botInstanceId', one(at.botInstanceId)),
    ...present('joinToken', one(at.joinToken)),
    ...present('userType', one(at.userType)),
    ...present('allowedResources', listOf(one(at.allowedResources))),
    ...present('privateKeyPolicy', one(at.privateKeyPolicy)),
    ...present('userGeneration', one(at.userGeneration)),
    ...present('loginDevice', one(at.loginDevice)),
    expires,
  };
}

function decodeRoute(
  one: (oid: string) => string | undefined,
  all: (oid: string) => string[],
): RouteToDatabase | undefined {
  const serviceName = one(ATTRIBUTE_OID.databaseServiceName);
  if (serviceName === undefined) return undefined;
  const roles = all(ATTRIBUTE_OID.databaseRoles);
  return {
    serviceName,
    protocol: one(ATTRIBUTE_OID.databaseProtocol) ?? '',
    ...present('username', one(ATTRIBUTE_OID.databaseUsername)),
    ...present('database', one(ATTRIBUTE_OID.databaseName)),
    ...present('roles', roles.length === 0 ? undefined : roles),
  };
}

/** Two values where one belongs would be read differently by different programs. */
function single(oid: string, values: readonly string[]): string | undefined {
  if (values.length > 1) throw new TeleportError('Protocol', `the certificate has attribute ${oid} more than once`);
  return values[0];
}

function present<Name extends string, Value>(name: Name, value: Value | undefined): { [key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [key in Name]: Value });
}

function flag(value: boolean | undefined): string | undefined {
  return value ? 'true' : undefined;
}

/** RFC 3339 with whole seconds, as Go's `time.RFC3339` writes UTC. */
export function rfc3339(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, 'Z');
}

function dateOf(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const at = new Date(text);
  if (!RFC_3339.test(text) || Number.isNaN(at.getTime())) throw unreadable('a time');
  return at;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw unreadable('a number');
  return Number(text);
}

function listOf(text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const value = parseJson(text, 'allowed resources');
  if (!isStringList(value)) throw unreadable('a list');
  return value;
}

function unreadable(what: string): TeleportError {
  return new TeleportError('Protocol', `the certificate has ${what} that cannot be read`);
}
