/** Options of `tsh`: the global ones, and those that several commands share. Spec: cli.md 2.1 and 4. Data only. */
import type { OptionSpec } from '../cli/command.js';

/** What `run` receives for the global options. */
export interface GlobalArgs {
  proxy?: string | undefined;
  user?: string | undefined;
  /** Minutes. */
  ttl?: number | undefined;
  identity?: string | undefined;
  insecure: boolean;
  auth?: string | undefined;
  headless: boolean;
  bindAddr?: string | undefined;
  callback?: string | undefined;
  browserLogin?: string | undefined;
  skipVersionCheck: boolean;
  debug: boolean;
  mfaMode: string;
  certFormat?: string | undefined;
}

export const GLOBALS: readonly OptionSpec[] = [
  {
    name: 'login',
    short: 'l',
    env: 'TELEPORT_LOGIN',
    description: 'Remote host login. Not used by database commands.',
  },
  { name: 'proxy', env: 'TELEPORT_PROXY', description: 'Teleport proxy address, host or host:port.' },
  { name: 'user', env: 'TELEPORT_USER', description: 'Teleport user, defaults to the current local user.' },
  {
    name: 'ttl',
    kind: 'int',
    description: 'Minutes that a login lasts. Default: what the cluster says, 720 if it says nothing.',
  },
  {
    name: 'identity',
    short: 'i',
    env: 'TELEPORT_IDENTITY_FILE',
    description: 'Identity file. Requires --proxy.',
  },
  { name: 'cert-format', description: 'SSH certificate format: standard or oldssh.' },
  { name: 'insecure', kind: 'boolean', description: "Do not verify the proxy's certificate. For tests only." },
  {
    name: 'auth',
    env: 'TELEPORT_AUTH',
    description: "Connector to log in with: local, or a name of the cluster's. Default: what the cluster says.",
  },
  { name: 'skip-version-check', kind: 'boolean', description: 'Skip the comparison of client and server version.' },
  {
    name: 'debug',
    short: 'd',
    kind: 'boolean',
    env: 'TELEPORT_DEBUG',
    envLenient: true,
    description: 'Write debug logs to standard error.',
  },
  {
    name: 'add-keys-to-agent',
    short: 'k',
    kind: 'enum',
    values: ['auto', 'no', 'yes', 'only'],
    env: 'TELEPORT_ADD_KEYS_TO_AGENT',
    default: 'auto',
    description: 'Accepted; keys are never added to an SSH agent: auto, no, yes, only.',
  },
  {
    name: 'mfa-mode',
    kind: 'enum',
    values: ['auto', 'cross-platform', 'platform', 'otp', 'sso'],
    env: 'TELEPORT_MFA_MODE',
    default: 'auto',
    description: 'Preferred mode for MFA: auto, cross-platform, platform, otp, sso. One-time codes work.',
  },
  { name: 'relay', env: 'TELEPORT_RELAY', description: 'Accepted; relays are not used.', hidden: true },
  {
    name: 'headless',
    kind: 'boolean',
    env: 'TELEPORT_HEADLESS',
    description: 'Headless login, the same as --auth=headless. Not for databases.',
    hidden: true,
  },
  {
    name: 'use-local-ssh-agent',
    kind: 'boolean',
    env: 'TELEPORT_USE_LOCAL_SSH_AGENT',
    default: true,
    description: 'Deprecated in favor of --add-keys-to-agent.',
    hidden: true,
  },
  { name: 'enable-escape-sequences', kind: 'boolean', default: true, description: 'For SSH sessions.', hidden: true },
  {
    name: 'bind-addr',
    env: 'TELEPORT_LOGIN_BIND_ADDR',
    description: 'Address to listen on, host:port, during a login in a browser. Default: loopback, a free port.',
  },
  {
    name: 'callback',
    description: 'Base URL of that listener as the browser reaches it. Requires --bind-addr.',
  },
  {
    name: 'browser-login',
    env: 'TELEPORT_LOGIN_BROWSER',
    description: 'none: print the link and open no browser.',
    hidden: true,
  },
  { name: 'mlock', env: 'TELEPORT_MLOCK_MODE', description: 'Accepted.', hidden: true },
  { name: 'piv-slot', env: 'TELEPORT_PIV_SLOT', description: 'Accepted.', hidden: true },
  { name: 'jumphost', short: 'J', description: 'For SSH sessions.', hidden: true },
];

/** `-f, --format` with its words. */
export function formatOption(...values: string[]): OptionSpec {
  return {
    name: 'format',
    short: 'f',
    kind: 'enum',
    values,
    default: values[0]!,
    description: `Format output (${values.join(', ')}).`,
  };
}

export const VERBOSE: OptionSpec = { name: 'verbose', short: 'v', kind: 'boolean', description: 'Show more.' };

/** How a database is chosen. */
export const SELECTORS: readonly OptionSpec[] = [
  { name: 'labels', description: 'Labels to filter by: comma-separated key=value pairs.' },
  { name: 'query', description: 'Predicate to filter by, for example: labels["env"] == "dev"' },
];

/** Who the person is inside the database. */
export const DATABASE_USER: readonly OptionSpec[] = [
  { name: 'db-user', short: 'u', description: 'Database user to log in as.' },
  { name: 'db-name', short: 'n', description: 'Database name to log in to.' },
  { name: 'db-roles', short: 'r', kind: 'list', description: 'Comma-separated database roles of an automatic user.' },
];

/** Whose AWS identity, instead of a cluster's login. */
export const AWS: readonly OptionSpec[] = [
  { name: 'aws', kind: 'boolean', description: 'Your own AWS identity instead of a cluster.' },
  { name: 'aws-profile', description: 'AWS profile of the shared files. Implies --aws.' },
  { name: 'region', kind: 'list', description: 'Comma-separated AWS regions. Implies --aws.' },
  { name: 'assume-role', description: 'ARN of an IAM role to assume. Implies --aws.' },
  { name: 'external-id', description: 'External id that the role asks for.' },
  { name: 'ca-file', kind: 'file', description: "Who signs the databases' certificates, PEM. Default: Amazon." },
];

/** Who the person is inside a Redshift cluster, with --aws. */
export const AWS_USER: readonly OptionSpec[] = [
  { name: 'auto-create', kind: 'boolean', description: 'With --aws: create the database user when there is none.' },
  { name: 'db-groups', kind: 'list', description: 'With --aws: comma-separated groups to be in for this session.' },
];

/** Asking for access that one does not have yet. */
export const ACCESS_REQUEST: readonly OptionSpec[] = [
  { name: 'request-reason', description: 'Reason for an access request.' },
  {
    name: 'disable-access-request',
    kind: 'boolean',
    description: 'Do not look for databases that could be requested.',
  },
];

export const CLUSTER: OptionSpec = {
  name: 'cluster',
  short: 'c',
  env: 'TELEPORT_CLUSTER',
  description: 'Teleport cluster to use.',
};
