/** A user of another cluster as this one sees her. Pure. Source: certificates.md 10. */
import type { Identity } from './identity.js';

/** The name of a user of another cluster: no user of ours can be taken for her. */
export const remoteName = (username: string, cluster: string): string => `remote-${username}-${cluster}`;

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
