/** Which roles of ours the roles of another cluster's user are. Pure. Source: Teleport 18.3.0, lib/services/trustedcluster.go. */
import { TeleportError } from '../errors.js';
import { isPattern, type Pattern, patternOf } from '../pattern.js';
import type { RoleMapping } from '../resources/types.js';

/** @throws TeleportError `BadParameter` for a mapping that can map nothing, or everything to everything */
export function checkRoleMap(map: readonly RoleMapping[]): void {
  const seen = new Set<string>();
  for (const { remote, local } of map) {
    if (!remote) throw bad("missing 'remote' parameter for role_map");
    if (!isPattern(sourceOf(remote))) throw bad(`${JSON.stringify(remote)} in role_map is not a regular expression`);
    if (local.length === 0 || local.includes('')) throw bad(`missing 'local' parameter for 'role_map'`);
    if (local.includes('*')) throw bad("wildcard value is not supported for 'local' property of 'role_map' entry");
    if (seen.has(remote)) throw bad(`remote role '${remote}' match is already specified`);
    seen.add(remote);
  }
}

/** Names of roles that must be there; with `$1` in it a name is known only with a user. */
export const fixedRoles = ({ local }: RoleMapping): string[] => local.filter((name) => !name.includes('$'));

/** Roles of a user that are looked at: each is tried with each mapping, at every call, and her own cluster writes as many as it wants. */
const MOST_ROLES = 256;

/** Without repetition, in the order of the map. @throws TeleportError `AccessDenied` for a user with too many roles */
export function mapRoles(map: readonly RoleMapping[], remoteRoles: readonly string[]): string[] {
  if (remoteRoles.length > MOST_ROLES) {
    const text = `access denied: ${remoteRoles.length} roles of a user of another cluster, and ${MOST_ROLES} are the most`;
    throw new TeleportError('AccessDenied', text);
  }
  // A user without roles still fits "*".
  const given = remoteRoles.length > 0 ? remoteRoles : [''];
  const mapped = map.flatMap(({ remote, local }) => {
    const pattern = readable(remote);
    if (!pattern) return [];
    const fitting = given.filter((role) => pattern.test(role));
    return fitting.flatMap((role) => local.map((name) => pattern.replace(role, name)));
  });
  return [...new Set(mapped)].filter((name) => name !== '');
}

/** A mapping of an older store that cannot be read maps nothing. */
function readable(remote: string): Pattern | undefined {
  const source = sourceOf(remote);
  return isPattern(source) ? patternOf(source) : undefined;
}

function sourceOf(remote: string): string {
  // All of it, or `^a|b$` would map whoever begins with an a.
  if (remote.startsWith('^') && remote.endsWith('$')) return `^(?:${remote.slice(1, -1)})$`;
  return `^${remote.replace(/[\\^$.*+?()[\]{}|]/g, (sign) => (sign === '*' ? '(.*)' : `\\${sign}`))}$`;
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
