/** Options of `tctl`: the global ones, and the trait flags as a table. Spec: cli.md 5 and 6.1. Data only. */
import type { OptionSpec } from '../cli/command.js';

export const GLOBALS: readonly OptionSpec[] = [
  { name: 'debug', short: 'd', kind: 'boolean', description: 'Write debug logs to standard error.' },
  {
    name: 'config',
    short: 'c',
    kind: 'file',
    env: 'TELEPORT_CONFIG_FILE',
    description:
      'Configuration file of the Auth Service on this host [/etc/teleport.yaml]. Ignored when auth_service is off in it.',
  },
  {
    name: 'auth-server',
    kind: 'list',
    env: 'TELEPORT_AUTH_SERVER',
    description: 'Address of an Auth or Proxy Service instead of the local one [127.0.0.1:3025].',
  },
  {
    name: 'identity',
    short: 'i',
    env: 'TELEPORT_IDENTITY_FILE',
    description: 'Identity file, as "tctl auth sign" writes it. Requires --auth-server.',
  },
  {
    name: 'insecure',
    kind: 'boolean',
    description: "Do not verify the server's certificate. For tests only.",
  },
];

/** Every authority that Teleport knows, in its order; ours are the first six. */
export const AUTHORITY_TYPES = [
  'host',
  'user',
  'db',
  'db_client',
  'openssh',
  'jwt',
  'saml_idp',
  'oidc_idp',
  'spiffe',
  'okta',
  'awsra',
  'bound_keypair',
];

/** Flag of `users add` (`--db-users`; `users update` puts `set-` before it), its trait, how answers call it. */
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

/** The trait flags as options. @param prefix  `set-` of `users update` */
export function traitOptions(prefix: '' | 'set-'): OptionSpec[] {
  const verb = prefix === '' ? 'Allowed' : 'Replace the';
  return [
    ...TRAIT_FLAGS.map(
      ([flag, , what]): OptionSpec => ({
        name: `${prefix}${flag}`,
        kind: 'list',
        description: `${verb} ${what} of the user: a comma-separated list.`,
      }),
    ),
    ...SINGLE_TRAIT_FLAGS.map(
      ([flag, , what]): OptionSpec => ({
        name: `${prefix}${flag}`,
        description: `The ${what} of an automatic host user, a number.`,
      }),
    ),
  ];
}

/** Whole words of `--format` without a default: absent is a form of its own. */
export const FORMAT: OptionSpec = {
  name: 'format',
  kind: 'enum',
  values: ['text', 'json', 'yaml'],
  description: "Output format: 'text', 'json' or 'yaml'.",
};
