/**
 * Who is calling: nobody, one of our hosts, or a user with the roles and traits that she has now, whatever the certificate
 * says. Its signature was verified when the connection was accepted (`listener.ts`); whether it still counts is looked at
 * here, at every call. Source: auth-grpc-and-routing.md 5.2, certificates.md 2.2.
 */
import type { Caller } from '../api/caller.js';
import { CREDENTIALS_EXPIRED } from '../api/status.js';
import { TeleportError } from '../errors.js';
import { type Bearer, isStillBelieved } from '../identity/bearer.js';
import { hostIdIn } from '../identity/host.js';
import type { Identity } from '../identity/identity.js';
import { remoteIdentity } from '../identity/remote.js';
import { ipOf } from '../ip.js';
import { type Lockable, lockInForce, lockingMode, lockText, silentRootText } from '../rbac/limits.js';
import { checkPinning } from '../rbac/pinned-ip.js';
import { mapRoles } from '../rbac/role-map.js';
import { expandRole } from '../rbac/templates.js';
import { type SystemRole, TRUST_ROLES } from '../resources/system-role.js';
import type { Lock, Role, TrustedCluster, User } from '../resources/types.js';
import { storedValue } from './records.js';
import { secretsOf } from './secrets.js';
import type { AuthState } from './state.js';
import { remoteLocksKey } from './trust.js';

export type Who =
  | { kind: 'nobody'; remoteAddr: string }
  | { kind: 'host'; role: SystemRole; hostId: string; identity: Identity; remoteAddr: string }
  | { kind: 'user'; user: User; identity: Identity; roles: Role[]; remoteAddr: string }
  /** The Auth Service of a leaf: it may follow us (`trust-link.ts`), and nothing else. */
  | { kind: 'leaf'; cluster: string; identity: Identity; remoteAddr: string };

/** Not the words for a person: a host that hears those ends its sessions. */
const ROTATED = 'access denied: the authority that signed the certificate of this host is not believed any more';

/** Whose certificates of clients are believed, PEM. */
export const believed = ({ authorities }: AuthState) => ({
  hostCas: authorities.trusted('host'),
  userCas: authorities.trusted('user'),
  remotes: authorities.remotes.trusts,
});

/**
 * Nothing is taken from an earlier call: on a connection that is held open, who is out is out with the next one.
 *
 * @throws TeleportError `AccessDenied` for a certificate whose time is over or whose authority was rotated away, a user who is gone, was made anew or is
 *   elsewhere than the certificate is good for, and for a lock; `NotFound` for a role that is gone;
 *   `LimitExceeded` when there is no place for one more connection of the caller
 */
export async function whoCalls(state: AuthState, caller: Caller): Promise<Who> {
  const who = await lookAt(state, caller);
  caller.admit?.();
  return who;
}

/** The same of a connection that nobody calls on at the moment. */
export async function lookAt(state: AuthState, caller: Caller): Promise<Who> {
  const { bearer, remoteAddr } = caller;
  if (bearer === undefined) return { kind: 'nobody', remoteAddr };
  const { role, remote } = bearer;
  const isBelieved = isStillBelieved(bearer, believed(state));
  // Nothing will ever be answered on this connection again.
  if (!isBelieved || hasExpired(state, bearer.identity)) caller.end?.();
  if (!isBelieved) throw new TeleportError('AccessDenied', role ? ROTATED : CREDENTIALS_EXPIRED);
  if (remote !== undefined && role) return await leafWho(state, bearer, remote, remoteAddr);
  if (role) {
    const hostId = await standingHost(state, bearer.identity, role);
    return { kind: 'host', role, hostId, identity: bearer.identity, remoteAddr };
  }
  const standing = remote === undefined ? standingUser : standingRemoteUser;
  const { user, identity } = await standing(state, bearer.identity);
  const roles = await rolesOf(state, identity.groups);
  if (remote !== undefined) refuseUnheard(state, remote, roles);
  checkPinning({ pinnedIp: identity.pinnedIp, roles }, ipOf(remoteAddr));
  return { kind: 'user', user, identity, roles, remoteAddr };
}

/**
 * The user of a certificate, as long as it counts, and its identity with the roles and traits of now.
 *
 * @throws TeleportError `AccessDenied`; where a new login helps, in the words to which clients answer with one
 */
export async function standingUser(state: AuthState, certified: Identity): Promise<{ user: User; identity: Identity }> {
  refuseExpired(state, certified);
  const { username } = certified;
  const [user, { generation }] = await Promise.all([state.users.get(username), secretsOf(state, username)]);
  if (user === undefined) throw new TeleportError('AccessDenied', 'access denied');
  if (generation !== certified.userGeneration) throw new TeleportError('AccessDenied', CREDENTIALS_EXPIRED);
  const identity = { ...certified, groups: user.spec.roles, traits: user.spec.traits };
  await refuseLocked(state, { identity });
  return { user, identity };
}

/** @throws TeleportError `AccessDenied` for every host of another cluster but the Auth Service of a leaf, and for a locked one */
async function leafWho(
  state: AuthState,
  { identity, role }: Bearer,
  cluster: string,
  remoteAddr: string,
): Promise<Who> {
  if (role !== TRUST_ROLES.link || !(await state.remoteClusters.get(cluster))) {
    throw new TeleportError('AccessDenied', 'access denied: a host of another cluster');
  }
  refuseExpired(state, identity);
  await refuseLocked(state, { identity, serverId: hostIdIn(identity.username, cluster) ?? identity.username });
  return { kind: 'leaf', cluster, identity, remoteAddr };
}

/** A root as long as its users may come: it is on, and believed. */
export async function trustedRoot(state: AuthState, cluster: string): Promise<TrustedCluster | undefined> {
  const root = await state.trustedClusters.get(cluster);
  return root?.spec.enabled && state.authorities.remotes.isOn(cluster) ? root : undefined;
}

/**
 * A user of a root, as long as the certificate counts here: with the roles that the role map of now makes of those in it.
 *
 * @throws TeleportError `AccessDenied` for a lock, here or over there, a user who was ended over there, and one whom nothing maps
 */
export async function standingRemoteUser(
  state: AuthState,
  certified: Identity,
): Promise<{ user: User; identity: Identity }> {
  refuseExpired(state, certified);
  const { username, teleportCluster: cluster, groups } = certified;
  const trusted = await trustedRoot(state, cluster);
  if (!trusted) throw new TeleportError('AccessDenied', 'access denied: the cluster is not trusted');
  const said = await state.roots.ask(certified);
  if (said?.ended !== undefined) throw new TeleportError('AccessDenied', CREDENTIALS_EXPIRED);
  const roles = mapRoles(trusted.spec.role_map, groups);
  if (roles.length === 0) {
    throw new TeleportError(
      'AccessDenied',
      `no roles mapped for remote user ${JSON.stringify(username)} from cluster ${JSON.stringify(cluster)} with remote roles [${groups.join(' ')}]`,
    );
  }
  const identity = remoteIdentity(certified, roles);
  await refuseLocked(state, { identity });
  const user: User = {
    kind: 'user',
    version: 'v2',
    metadata: { name: identity.username },
    spec: {
      roles,
      traits: identity.traits,
      ...(said?.madeAt ? { created_by: { time: said.madeAt.toISOString(), user: { name: '' } } } : {}),
    },
  };
  return { user, identity };
}

/** Since when she has her name. */
export const madeAt = ({ spec }: Pick<User, 'spec'>): Date => new Date(Date.parse(spec.created_by?.time ?? '') || 0);

/** A root that is not heard may have locked its user out. @throws TeleportError `AccessDenied` in locking mode `strict` */
function refuseUnheard({ roots, settings: { preference } }: AuthState, cluster: string, roles: readonly Role[]): void {
  if (!roots.isSilent(cluster) || lockingMode(roles, preference) !== 'strict') return;
  throw new TeleportError('AccessDenied', `access denied: ${silentRootText(cluster)}`);
}

/** The id of a host, as long as its certificate counts. The administrator on the Auth host cannot be locked out of it. */
async function standingHost(state: AuthState, identity: Identity, role: SystemRole): Promise<string> {
  refuseExpired(state, identity);
  const hostId = hostIdIn(identity.username, state.clusterName) ?? identity.username;
  if (role !== 'Admin') await refuseLocked(state, { identity, serverId: hostId });
  return hostId;
}

const hasExpired = (state: AuthState, { expires }: Identity): boolean => expires <= state.now();

function refuseExpired(state: AuthState, identity: Identity): void {
  if (hasExpired(state, identity)) throw new TeleportError('AccessDenied', CREDENTIALS_EXPIRED);
}

/** Definitions of these roles as they stand now, templates not filled in. @throws NotFound `role x is not found` */
export async function rolesOf(state: AuthState, names: readonly string[]): Promise<Role[]> {
  return await Promise.all(
    names.map(async (name) => {
      const role = await state.roles.get(name);
      // A missing role might have held a deny: going on without it would give more than was meant.
      if (role === undefined) throw new TeleportError('NotFound', `role ${name} is not found`);
      return role;
    }),
  );
}

export const expanded = (roles: readonly Role[], user: Pick<User, 'spec'>): Role[] =>
  roles.map((role) => expandRole(role, user.spec.traits));

/** @throws TeleportError `AccessDenied` `lock targeting User:"alice" is in force: MESSAGE` */
export async function refuseLocked(state: AuthState, who: Omit<Lockable, 'now'>): Promise<void> {
  const lock = lockInForce(await locksAbout(state, who.identity?.remote?.cluster), { ...who, now: state.now() });
  if (lock !== undefined) throw new TeleportError('AccessDenied', lockText(lock));
}

/** All locks here, and with a cluster those of that root, which are about its users only. */
export async function locksAbout(state: AuthState, cluster: string | undefined): Promise<Lock[]> {
  const own = await state.locks.list();
  return cluster === undefined ? own : [...own, ...(await remoteLocks(state, cluster))];
}

/** Locks of a root, as it said them last. */
export async function remoteLocks({ store }: AuthState, cluster: string): Promise<Lock[]> {
  const item = await store.get(remoteLocksKey(cluster));
  return item ? storedValue<Lock[]>(item) : [];
}

/** Name for audit: the user, or `<host id>.<cluster>`. */
export const nameOf = (who: Who): string => (who.kind === 'nobody' ? '' : who.identity.username);

/** @throws TeleportError `AccessDenied` unless the caller is one of our hosts with one of these roles */
export function requireHost(who: Who, ...roles: SystemRole[]): Extract<Who, { kind: 'host' }> {
  if (who.kind === 'host' && (roles.includes(who.role) || who.role === 'Admin')) return who;
  throw new TeleportError('AccessDenied', 'access denied');
}

/** @throws NotFound, in the words that Teleport has for a caller without a certificate */
export function requireSomebody(who: Who): Exclude<Who, { kind: 'nobody' | 'leaf' }> {
  if (who.kind !== 'nobody' && who.kind !== 'leaf') return who;
  throw new TeleportError('NotFound', 'user session role not found');
}
