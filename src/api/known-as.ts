/** Whose room and whose time it is that somebody with a certificate takes. */
import type { Bearer } from '../identity/bearer.js';
import { remoteName } from '../identity/remote.js';
import type { Known } from '../net/crowd.js';

/** The class of whoever has shown a certificate. */
export function knownAs({ role, identity: { username }, remote }: Bearer): Extract<Known, { name: string }> {
  if (role !== undefined) return { kind: 'host', name: username, cluster: remote };
  return { kind: 'login', name: remote === undefined ? username : remoteName(username, remote), cluster: remote };
}

/** Who shares time with whom: each person and each host has its own, and all hosts of another cluster one. */
export function sharedNameOf(bearer: Bearer): string {
  const { kind, name, cluster } = knownAs(bearer);
  return kind === 'host' && cluster !== undefined ? cluster : name;
}
