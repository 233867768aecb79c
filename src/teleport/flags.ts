/** Options that several commands of `teleport` share. Spec: cli.md 7, database-service.md 12. Data only. */
import type { OptionSpec } from '../cli/command.js';

export const DEBUG: OptionSpec = { name: 'debug', short: 'd', kind: 'boolean', description: 'Write debug logs.' };

const option = (name: string, description: string, more: Partial<OptionSpec> = {}): OptionSpec => ({
  name,
  description,
  ...more,
});
/** Taken so that scripts written for Teleport run; does nothing here. */
const accepted = (name: string, kind: OptionSpec['kind'] = 'boolean', more: Partial<OptionSpec> = {}): OptionSpec => ({
  name,
  kind,
  hidden: true,
  description: 'Accepted; has no meaning here.',
  ...more,
});

export const CONFIG: OptionSpec = {
  name: 'config',
  short: 'c',
  kind: 'file',
  description: 'Configuration file [/etc/teleport.yaml].',
};

export const CA_PIN = option('ca-pin', 'CA pin of the cluster, as "tctl status" shows it.', { kind: 'list' });
export const CONFIRM = option('confirm', 'Do it without asking.', { kind: 'boolean' });
export const ASSUMES_ROLES = option(
  'assumes-roles',
  'Comma-separated names or ARNs of more roles that it can assume.',
  { kind: 'list' },
);
export const POLICY_NAME = option('policy-name', 'Name of the IAM policy. Default: "DatabaseAccess".', {
  default: 'DatabaseAccess',
});

/** Of `start` and `db start`. */
export const START: readonly OptionSpec[] = [
  DEBUG,
  CONFIG,
  option('token', 'Invitation token, or the absolute path of a file that holds it.'),
  option('auth-server', 'Address of an Auth or Proxy Service to join [127.0.0.1:3025].', { kind: 'list' }),
  CA_PIN,
  option('data-dir', 'Folder for state instead of data_dir of the file [/var/lib/teleport].'),
  option('nodename', 'Name of this host in the cluster.'),
  option('pid-file', 'File to write the process id to.'),
  option('diag-addr', 'Address for /metrics, /healthz and /readyz, host:port; a port alone is on 127.0.0.1.'),
  option('insecure', 'Do not check the certificate of the Proxy when joining. For tests only.', { kind: 'boolean' }),
  accepted('fips'),
  accepted('skip-version-check'),
  accepted('debug-service', 'boolean', { default: true }),
];

/** Only of `start`. */
export const START_HOST: readonly OptionSpec[] = [
  option('roles', 'What to run: proxy, auth, db, discovery; overrides the file.', { short: 'r', kind: 'list' }),
  option('listen-ip', 'IP address to listen on [0.0.0.0].', { short: 'l' }),
  accepted('labels', 'string'),
  accepted('advertise-ip', 'string'),
  accepted('permit-user-env'),
];

/** One static database, of `db start` and `db configure create`. */
export const DATABASE: readonly OptionSpec[] = [
  option('name', 'Name of the database.'),
  option('protocol', 'Protocol of the database: postgres.'),
  option('uri', 'Address of the database, host:port.'),
  option('labels', 'Labels of the database, for example env=prod,region=us-west.'),
  option('aws-region', 'AWS region of the database; found out from a Redshift endpoint.'),
  option('aws-account-id', 'AWS account of the database.'),
  option('aws-assume-role-arn', 'Role to assume on the way to the database.'),
  option('aws-external-id', 'External id for that role.'),
  option('aws-redshift-cluster-id', 'Redshift cluster identifier; found out from the endpoint.'),
  option('aws-rds-instance-id', 'RDS instance identifier.'),
  option('aws-rds-cluster-id', 'Aurora cluster identifier.'),
  accepted('aws-elasticache-group-id', 'string'),
  accepted('aws-elasticache-serverless-cache-name', 'string'),
  accepted('aws-memorydb-cluster-name', 'string'),
];

/** `--redshift-discovery` and the like. */
export const DISCOVERY: readonly OptionSpec[] = [
  option('redshift-discovery', 'AWS regions in which to look for Redshift clusters.', { kind: 'list' }),
  option('redshift-serverless-discovery', 'AWS regions in which to look for Redshift Serverless.', { kind: 'list' }),
  option('rds-discovery', 'AWS regions in which to look for RDS and Aurora.', { kind: 'list' }),
  option('rdsproxy-discovery', 'AWS regions in which to look for RDS Proxy.', { kind: 'list' }),
  option('elasticache-discovery', 'AWS regions, written as they are.', { kind: 'list', hidden: true }),
  option('elasticache-serverless-discovery', 'AWS regions, written as they are.', { kind: 'list', hidden: true }),
  option('memorydb-discovery', 'AWS regions, written as they are.', { kind: 'list', hidden: true }),
  option('opensearch-discovery', 'AWS regions, written as they are.', { kind: 'list', hidden: true }),
];

/** `-o, --output` of what makes a file. @param file  what `file` stands for */
export function outputOption(file: string): OptionSpec {
  return {
    name: 'output',
    short: 'o',
    default: 'stdout',
    description: `Where to: stdout, file (${file}), or file:///path.`,
  };
}

/** Of `print-iam` and `create-iam`. */
export const IAM: readonly OptionSpec[] = [
  option(
    'types',
    'Comma-separated database types: rds, rdsproxy, redshift, redshift-serverless, elasticache, elasticache-serverless, memorydb, keyspaces, dynamodb, opensearch, documentdb.',
    { short: 'r', kind: 'list' },
  ),
  option('role', 'IAM role of the Database Service, name or ARN. Not together with --user.'),
  option('user', 'IAM user of the Database Service, name or ARN. Not together with --role.'),
  { ...ASSUMES_ROLES, description: 'Comma-separated names or ARNs of the IAM roles that people enter databases as.' },
  option('region', 'AWS region in ARNs of ElastiCache, MemoryDB and Redshift Serverless.'),
  option('kms-key', 'Id or ARN of the KMS key of the secrets of ElastiCache and MemoryDB, if it is your own.'),
  option('discovery', 'Also what looking for databases in AWS needs (db_service.aws, discovery_service.aws).', {
    kind: 'boolean',
  }),
];

/** Only of `print-iam`. */
export const PRINT_IAM: readonly OptionSpec[] = [
  option('user-role', 'Print the policy of a role that people enter as, of Redshift and Redshift Serverless.', {
    kind: 'boolean',
  }),
  option('trust', 'Print the trust policies that such a role can have.', { kind: 'boolean' }),
  option('boundary', 'Print what the permissions boundary of the Database Service must allow.', { kind: 'boolean' }),
  option('policy-name', 'Name of the IAM policy. Default: "DatabaseAccess", with --user-role "DatabaseUserAccess".'),
  option('workgroup-id', 'Id of the Redshift Serverless workgroup for --user-role.'),
  option('external-id', 'External id for --trust, when the role is in another account.'),
  option('policy', 'Print the JSON alone: the document, or a list where there are several.', { kind: 'boolean' }),
  option('format', 'Output format: text or json.', {
    short: 'f',
    kind: 'enum',
    values: ['text', 'json'],
    default: 'text',
  }),
];
