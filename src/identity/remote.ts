/** A user of another cluster as this one sees her. Pure. Source: certificates.md 10. */
import type { Identity } from './identity.js';

/** The name of a user of another cluster: no user of ours can be taken for her (`isRemoteName`). */
export const remoteName = (username: string, cluster: string): string => `remote-${username}-${cluster}`;

/** Whether a name could be one of `remoteName`; Redshift takes capital letters and small ones for the same. */
export const isRemoteName = (name: string): boolean => /^remote-/i.test(name);

/** Whether `remoteName` could be the same of users of two clusters: `alice-prod` of `main` and `alice` of `prod-main`. */
export function couldShareNames(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()];
  return a === b || a.endsWith(`-${b}`) || b.endsWith(`-${a}`);
}

/** @param roles  of this cluster, as the role map gives them */
export function remoteIdentity(certified: Identity, roles: readonly string[]): Identity {
  const { username, groups, teleportCluster: cluster, principals, databaseNames, databaseUsers } = certified;
  return {
    ...certified,
    username: remoteName(username, cluster),
    groups: [...roles],
    // What the certificate lists is what the roles over there came to.
    traits: { ...certified.traits, logins: principals, db_names: databaseNames, db_users: databaseUsers },
    databaseNames: [],
    databaseUsers: [],
    remote: { cluster, username, groups },
  };
}
