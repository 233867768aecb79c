/**
 * The name of a role's session, as CloudTrail shows it behind the role: who it was taken for. Pure.
 *
 * Source: STS API, `RoleSessionName`; Teleport 18.3.0 cuts longer names in this way.
 */
import { createHash } from 'node:crypto';

const MAX_CHARS = 64;
const HASH_CHARS = 16;

/** A user's name with what AWS does not allow replaced by `-`; a long one is cut and ends with a hash of the whole. */
export function sessionNameOf(user: string): string {
  const name = user.replace(/[^\w+=,.@-]/g, '-').padEnd(2, '-');
  if (name.length <= MAX_CHARS) return name;
  const hash = createHash('sha1').update(user).digest('hex').slice(0, HASH_CHARS);
  return `${name.slice(0, MAX_CHARS - HASH_CHARS - 1)}-${hash}`;
}
