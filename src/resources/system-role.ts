/** Names of Teleport's built-in roles; a certificate whose O holds one belongs to a host, not to a person. Pure. */

/** Teleport 18.3.0, api/types/system_role.go. A user role must never have such a name. */
export const SYSTEM_ROLES = [
  'Auth',
  'Web',
  'Signup',
  'Proxy',
  'Node',
  'Admin',
  'Nop',
  'ProvisionToken',
  'Trusted_cluster',
  'RemoteProxy',
  'Kube',
  'App',
  'Db',
  'WindowsDesktop',
  'Bot',
  'Instance',
  'Discovery',
  'MDM',
  'Okta',
  'AccessGraphPlugin',
  'Relay',
] as const;

export type SystemRole = (typeof SYSTEM_ROLES)[number];

export function isSystemRole(name: string): name is SystemRole {
  return (SYSTEM_ROLES as readonly string[]).includes(name);
}

/** The system role of an identity: the first of its roles that is one. Absent: a user. */
export function systemRoleOf(identity: { groups: readonly string[] }): SystemRole | undefined {
  return identity.groups.find(isSystemRole);
}

/** Roles of the trust between clusters: of the token with which it begins, and of a leaf's Auth Service at its root. */
export const TRUST_ROLES = { token: 'Trusted_cluster', link: 'RemoteProxy' } as const satisfies Record<
  string,
  SystemRole
>;

/** Roles of Teleport's own doing: no host joins with them. */
const NEVER_JOINS = new Set<SystemRole>([
  'Web',
  'Signup',
  'Nop',
  'ProvisionToken',
  'RemoteProxy',
  'AccessGraphPlugin',
  'Relay',
]);

/** What a person writes for the role of a host that joins: `db`, `trusted-cluster`. Undefined when it is none. */
export function joiningRole(word: string): SystemRole | undefined {
  const plain = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
  return SYSTEM_ROLES.find((role) => !NEVER_JOINS.has(role) && plain(role) === plain(word));
}
