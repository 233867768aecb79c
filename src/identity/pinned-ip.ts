/** A certificate that is pinned to an address is good from there only. Text: database-service.md 2. Pure. */
import { TeleportError } from '../errors.js';
import { isSameIp } from '../ip.js';

/**
 * @param pinnedIp  of the certificate; empty or undefined when it is not pinned
 * @param address  of the person, without port; undefined when it is not known
 * @throws TeleportError `AccessDenied`
 */
export function checkPinnedIp(pinnedIp: string | undefined, address: string | undefined): void {
  if (pinnedIp && !(address && isSameIp(pinnedIp, address))) {
    throw new TeleportError('AccessDenied', "pinned IP doesn't match observed client IP");
  }
}
