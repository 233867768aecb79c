/**
 * Who is calling: nobody, one of our hosts, or a user whose roles are read from the store at every call, so that what was
 * taken away is gone with the next one. The certificate itself was verified when the connection was accepted
 * (`listener.ts`). Source: auth-grpc-and-routing.md 5.2, certificates.md 2.2.
 */
import type { Caller } from '../api/caller.js';
import { TeleportError } from '../errors.js';
import { hostIdIn } from '../identity/host.js';
import type { Identity } from '../identity/identity.js';
import { ipOf } from '../ip.js';
import { lockInForce, lockText } from '../rbac/limits.js';
import { checkPinning } from '../rbac/pinned-ip.js';
import { expandRole } from '../rbac/templates.js';
import type { SystemRole } from '../resources/system-role.js';
import type { Role, User } from '../resources/types.js';
import type { AuthState } from './state.js';

export type Who =
  | { kind: 'nobody'; remoteAddr: string }
  | { kind: 'host'; role: SystemRole; hostId: string; identity: Identity; remoteAddr: string }
  | { kind: 'user'; user: User; identity: Identity; roles: Role[]; remoteAddr: string };

/** @throws TeleportError `AccessDenied` for a user who is gone, locked or elsewhere than the certificate is good for, `NotFound` for a role that is gone */
export async function whoCalls(state: AuthState, caller: Caller): Promise<Who> {
  const { bearer, remoteAddr } = caller;
  if (bearer === undefined) return { kind: 'nobody', remoteAddr };
  const { identity, role } = bearer;
  if (role) {
    const hostId = hostIdIn(identity.username, state.clusterName) ?? identity.username;
    return { kind: 'host', role, hostId, identity, remoteAddr };
  }
  const user = await state.users.get(identity.username);
  if (user === undefined) throw new TeleportError('AccessDenied', 'access denied');
  await refuseLocked(state, identity);
  const roles = await rolesOf(state, identity.groups);
  checkPinning({ pinnedIp: identity.pinnedIp, roles }, ipOf(remoteAddr));
  return { kind: 'user', user, identity, roles, remoteAddr };
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
export async function refuseLocked(state: AuthState, identity: Identity): Promise<void> {
  const lock = lockInForce(await state.locks.list(), { identity, now: state.now() });
  if (lock === undefined) return;
  throw new TeleportError('AccessDenied', lockText(lock));
}

/** Name for audit: the user, or `<host id>.<cluster>`. */
export const nameOf = (who: Who): string => (who.kind === 'nobody' ? '' : who.identity.username);

/** @throws TeleportError `AccessDenied` unless the caller is one of our hosts with one of these roles */
export function requireHost(who: Who, ...roles: SystemRole[]): Extract<Who, { kind: 'host' }> {
  if (who.kind === 'host' && (roles.includes(who.role) || who.role === 'Admin')) return who;
  throw new TeleportError('AccessDenied', 'access denied');
}

/** @throws NotFound, in the words that Teleport has for a caller without a certificate */
export function requireSomebody(who: Who): Exclude<Who, { kind: 'nobody' }> {
  if (who.kind !== 'nobody') return who;
  throw new TeleportError('NotFound', 'user session role not found');
}
