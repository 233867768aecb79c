/**
 * What limits a running session: the strictest of all roles and the cluster; and the locks that hit an identity. Pure.
 *
 * Source: database-service.md 2.
 */

import { parseDurationMs } from '../duration.js';
import type { Identity } from '../identity/identity.js';
import type { AuthPreference, ClusterNetworkingConfig, Lock, Role } from '../resources/types.js';

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

/** The first lock in force that targets this user, one of the roles, the MFA device, a request, or this server. */
export function lockInForce(
  locks: readonly Lock[],
  { identity, serverId, now }: { identity: Identity; serverId?: string; now: Date },
): Lock | undefined {
  return locks.find(({ spec }) => {
    if (spec.expires !== undefined && new Date(spec.expires).getTime() <= now.getTime()) return false;
    const { target } = spec;
    return (
      (target.user !== undefined && target.user === identity.username) ||
      (target.role !== undefined && identity.groups.includes(target.role)) ||
      (target.mfa_device !== undefined && target.mfa_device === identity.mfaVerified) ||
      (target.access_request !== undefined && identity.activeRequests.includes(target.access_request)) ||
      (target.server_id !== undefined && target.server_id === serverId)
    );
  });
}

/** `lock targeting User:"alice" is in force: MESSAGE` */
export function lockText({ spec: { target, message } }: Lock): string {
  const word = (name: string) => name.replace(/(^|_)(.)/g, (_, __, letter: string) => letter.toUpperCase());
  const whom = Object.entries(target).filter(([, value]) => value);
  const text = `lock targeting ${whom.map(([name, value]) => `${word(name)}:"${value}"`).join(' ')} is in force`;
  return message ? `${text}: ${message}` : text;
}

/** A role that was stored with a duration that cannot be read must not open or close anything: it counts as unset. */
function durationOf(text: string | undefined): number | undefined {
  try {
    return text ? parseDurationMs(text) : undefined;
  } catch {
    return undefined;
  }
}
