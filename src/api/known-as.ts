/** Whose room and whose time it is that somebody with a certificate takes. */
import type { Bearer } from '../identity/bearer.js';
import { remoteName } from '../identity/remote.js';
import type { Known } from '../net/crowd.js';
import type { Origin } from '../net/strangers.js';

/** The class of whoever has shown a certificate. */
export function knownAs({ role, identity: { username }, remote }: Bearer): Extract<Known, { name: string }> {
  if (role !== undefined) return { kind: 'host', name: username, cluster: remote };
  return { kind: 'login', name: remote === undefined ? username : remoteName(username, remote), cluster: remote };
}

/**
 * Who shares time with whom: each person and each host has its own, and all hosts of another cluster one. The kind is part of the
 * name, since another cluster chooses its own: `user alice`, `host UUID.CLUSTER`, `cluster LEAF`.
 */
export function sharedNameOf(bearer: Bearer): string {
  const { kind, name, cluster } = knownAs(bearer);
  if (kind === 'login') return `user ${name}`;
  return cluster === undefined ? `host ${name}` : `cluster ${cluster}`;
}

/** Whose it is when a few places are shared. A root makes as many users as it wants: they have one site. */
export function originOfBearer(bearer: Bearer): Origin {
  const name = sharedNameOf(bearer);
  return { network: name, site: bearer.remote === undefined ? name : `cluster ${bearer.remote}` };
}
