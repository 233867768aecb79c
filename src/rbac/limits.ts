/**
 * What limits a running session: the strictest of all roles and the cluster; and the locks that hit an identity. Pure.
 *
 * Source: database-service.md 2.
 */

import { parseDurationMs } from '../duration.js';
import type { Identity } from '../identity/identity.js';
import { mayBeUser } from '../resources/database-user.js';
import type { AuthPreference, ClusterNetworkingConfig, Database, Lock, Role } from '../resources/types.js';

/** Teleport's default for a role that says nothing. */
export const DEFAULT_MAX_SESSION_TTL_MS = 30 * 60 * 60 * 1000;

export interface SessionLimits {
  disconnectExpiredCert: boolean;
  /** Undefined = none. */
  clientIdleTimeoutMs?: number;
}

export function sessionLimitsOf(
  roles: readonly Role[],
  preference: AuthPreference | undefined,
  networking?: ClusterNetworkingConfig,
): SessionLimits {
  const texts = [...roles.map(({ spec }) => spec.options.client_idle_timeout), networking?.spec.client_idle_timeout];
  const idle = texts.map((text) => durationOf(text) ?? 0).filter((ms) => ms > 0);
  return {
    disconnectExpiredCert:
      preference?.spec.disconnect_expired_cert === true ||
      roles.some(({ spec }) => spec.options.disconnect_expired_cert === true),
    ...(idle.length > 0 ? { clientIdleTimeoutMs: Math.min(...idle) } : {}),
  };
}

/** The longest a certificate of these roles may live, in ms: the smallest `max_session_ttl`. */
export function maxSessionTtlMs(roles: readonly Role[]): number {
  const ttls = roles
    .map(({ spec }) => durationOf(spec.options.max_session_ttl) ?? DEFAULT_MAX_SESSION_TTL_MS)
    .filter((ms) => ms > 0);
  return ttls.length > 0 ? Math.min(...ttls) : DEFAULT_MAX_SESSION_TTL_MS;
}

/** The strictest of all roles that say something, else the cluster's. */
export function lockingMode(roles: readonly Role[], preference: AuthPreference | undefined): 'strict' | 'best_effort' {
  const said = roles.map(({ spec }) => spec.options.lock).filter((mode) => mode);
  if (said.includes('strict')) return 'strict';
  return said.length > 0 ? 'best_effort' : (preference?.spec.locking_mode ?? 'best_effort');
}

/** What a lock may hit. */
export interface Lockable {
  identity?: Identity | undefined;
  /** The host that calls, or that serves the session. */
  serverId?: string | undefined;
  /** The user in the database: a login is one where there are databases only. */
  login?: string | undefined;
  /** Its database, which says in how many ways the login can be written. */
  database?: Database | undefined;
  now: Date;
}

/** The first lock in force that has one of these as its target. */
export function lockInForce(locks: readonly Lock[], { now, ...hit }: Lockable): Lock | undefined {
  const targets = Object.entries(targetsOf(hit));
  return locks.find(({ spec }) => {
    if (spec.expires !== undefined && new Date(spec.expires).getTime() <= now.getTime()) return false;
    if (targets.some(([name, values]) => values.some((value) => value !== undefined && value === spec.target[name]))) {
      return true;
    }
    // As a deny: what is not known to be another user is the same.
    const { login, database } = hit;
    return Boolean(spec.target.login && login && database && mayBeUser(login, database)(spec.target.login));
  });
}

function targetsOf({ identity, serverId, login }: Omit<Lockable, 'now'>) {
  return {
    user: [identity?.username, identity?.remote?.username],
    role: [...(identity?.groups ?? []), ...(identity?.remote?.groups ?? [])],
    mfa_device: [identity?.mfaVerified, identity?.loginDevice],
    access_request: identity?.activeRequests ?? [],
    server_id: [serverId],
    login: [login],
  };
}

/** `lock targeting User:"alice" is in force: MESSAGE` */
export function lockText({ spec: { target, message } }: Lock): string {
  const word = (name: string) => name.replace(/(^|_)(id$|mfa|.)/g, (_, __, letters: string) => letters.toUpperCase());
  const whom = Object.entries(target).filter(([, value]) => value);
  const text = `lock targeting ${whom.map(([name, value]) => `${word(name)}:"${value}"`).join(' ')} is in force`;
  return message ? `${text}: ${message}` : text;
}

/** Why a user of a root may not go on in `strict`. */
export const silentRootText = (cluster: string): string =>
  `nothing is heard of the cluster ${JSON.stringify(cluster)}, and the locking mode is strict`;

/** A role that was stored with a duration that cannot be read must not open or close anything: it counts as unset. */
function durationOf(text: string | undefined): number | undefined {
  try {
    return text ? parseDurationMs(text) : undefined;
  } catch {
    return undefined;
  }
}
