/** Names of Teleport's built-in roles; a certificate whose O holds one belongs to a host, not to a person. */

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
