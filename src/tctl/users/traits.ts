/**
 * The trait flags of `tctl users add` (`--db-users`) and `tctl users update` (`--set-db-users`) as a table: flag, trait,
 * how the answer calls it.
 *
 * Source: cli.md 6.1.
 */
export const TRAIT_FLAGS = [
  ['logins', 'logins', 'logins'],
  ['windows-logins', 'windows_logins', 'Windows logins'],
  ['kubernetes-users', 'kubernetes_users', 'Kubernetes users'],
  ['kubernetes-groups', 'kubernetes_groups', 'Kubernetes groups'],
  ['db-users', 'db_users', 'database users'],
  ['db-names', 'db_names', 'database names'],
  ['db-roles', 'db_roles', 'database roles'],
  ['aws-role-arns', 'aws_role_arns', 'AWS role ARNs'],
  ['azure-identities', 'azure_identities', 'Azure identities'],
  ['gcp-service-accounts', 'gcp_service_accounts', 'GCP service accounts'],
  ['mcp-tools', 'mcp_tools', 'MCP tools'],
] as const;

/** Single values; an empty one is stored as `[""]`, as Teleport does. */
export const SINGLE_TRAIT_FLAGS = [
  ['host-user-uid', 'host_user_uid', 'host user UID'],
  ['host-user-gid', 'host_user_gid', 'host user GID'],
] as const;
