/**
 * Role option `pin_source_ip`: certificates are good from the address of the login only. Texts: database-service.md
 * 2; Teleport 18.3.0 shows both as they are. Pure.
 */
import { TeleportError } from '../errors.js';
import { checkPinnedIp } from '../identity/pinned-ip.js';
import type { Role } from '../resources/types.js';

/** True when any role wants it. */
export function pinsSourceIp(roles: readonly Role[]): boolean {
  return roles.some(({ spec }) => spec.options.pin_source_ip === true);
}

/** @param address  of the person, without port; undefined when it is not known */
export function checkPinning(
  { pinnedIp, roles }: { pinnedIp: string | undefined; roles: readonly Role[] },
  address: string | undefined,
): void {
  checkPinnedIp(pinnedIp, address);
  if (!pinnedIp && pinsSourceIp(roles)) {
    throw new TeleportError('AccessDenied', 'pinned IP is required for the user, but is not present on identity');
  }
}
