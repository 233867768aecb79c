/** Is a `db` resource one that may be kept? Texts: Teleport 18.3.0 (database-service.md 11.3, 10.1). */
import { isAccountId, parseRoleArn } from '../aws/arn.js';
import { partitionOf } from '../aws/partitions.js';
import { TeleportError } from '../errors.js';
import { certificatesIn } from '../pki/certificate-file.js';
import { redactValue } from '../redact.js';
import { awsOf, databaseType } from './database-type.js';
import { databaseWithDefaults } from './defaults.js';
import { type Database, TLS_MODES } from './types.js';

const NAME = '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$';
const PROTOCOLS =
  'postgres mysql mongodb oracle cockroachdb redis snowflake sqlserver cassandra elasticsearch opensearch dynamodb ' +
  'clickhouse clickhouse-http spanner';
const AUTO_USER_TYPES: Record<string, readonly string[]> = {
  postgres: ['self-hosted', 'rds', 'redshift'],
  mysql: ['self-hosted', 'rds'],
  mongodb: ['self-hosted'],
};

/** Labels of one database, characters of one of them, and of its name and its URI; our own limits: every list of everybody reads them. */
const MAX_LABELS = 256;
const MAX_LABEL_CHARS = 4096;
const MAX_ADDRESS_CHARS = 1024;

/** What anybody who lists databases has to read of this one. @throws TeleportError `BadParameter` */
export function checkSizes({ metadata, spec }: Database): void {
  const dynamic = Object.entries(spec?.dynamic_labels ?? {}).map(([key, { result }]) => [key, result ?? ''] as const);
  const labels = [...Object.entries(metadata.labels ?? {}), ...dynamic];
  const quoted = JSON.stringify(metadata.name.slice(0, 64));
  const tooLong = (what: string, most: number) =>
    bad(`database ${quoted}: its ${what} has more than ${most} characters`);
  if (metadata.name.length > MAX_ADDRESS_CHARS) throw tooLong('name', MAX_ADDRESS_CHARS);
  if ((spec?.uri ?? '').length > MAX_ADDRESS_CHARS) throw tooLong('URI', MAX_ADDRESS_CHARS);
  if (labels.length > MAX_LABELS) {
    throw bad(`database ${quoted} has ${labels.length} labels, and ${MAX_LABELS} are the most`);
  }
  const long = labels.find(([key, value]) => key.length + String(value).length > MAX_LABEL_CHARS);
  if (long !== undefined) {
    throw tooLong(`label ${JSON.stringify(long[0].slice(0, 64))}`, MAX_LABEL_CHARS);
  }
}

/** @throws TeleportError `BadParameter` */
export function checkDatabase(database: Database): void {
  const name = database.metadata?.name;
  if (!name) throw bad('missing parameter Name');
  const quoted = JSON.stringify(name);
  if (!new RegExp(NAME).test(name)) {
    throw bad(`invalid database name\n\t${quoted} does not match regex used for validation "${NAME}"`);
  }
  checkSizes(database);
  if (database.version !== undefined && database.version !== 'v3') {
    throw bad(`unsupported database resource version ${JSON.stringify(database.version)}`);
  }
  const { protocol, uri } = database.spec ?? {};
  if (!protocol) throw bad(`database ${quoted} protocol is empty`);
  if (!uri) throw bad(`database ${quoted} URI is empty`);
  // Whoever may see the database would see it, and so would the audit log.
  if (redactValue(uri) !== uri) {
    throw new TeleportError('BadParameter', `database ${quoted} URI has a password in it: ${redactValue(uri)}`, {
      hint: 'Write HOST:PORT. No password is needed: the Database Service logs in with a certificate, or with a password that AWS makes.',
    });
  }
  if (!PROTOCOLS.split(' ').includes(protocol)) {
    throw bad(
      `unsupported database ${quoted} protocol ${JSON.stringify(redactValue(protocol))}, supported are: [postgres]`,
    );
  }
  if (protocol === 'postgres') checkAddress(quoted, uri);
  checkTls(quoted, database);
  const complete = databaseWithDefaults(database);
  checkAws(quoted, complete);
  checkAdminUser(quoted, complete);
}

function checkAddress(quoted: string, uri: string): void {
  const refuse = (why: string): TeleportError =>
    bad(`invalid database ${quoted} address ${JSON.stringify(uri)}: address ${uri}: ${why}`);
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(uri);
  if (parts === null) throw refuse('too many colons in address');
  if (parts[2] === undefined) throw refuse('missing port in address');
  if (!/^\d{1,5}$/.test(parts[2]) || Number(parts[2]) > 65_535) throw refuse('invalid port');
}

function checkTls(quoted: string, { spec }: Database): void {
  const mode: unknown = spec.tls?.mode;
  const known = mode === undefined || mode === '' || ([0, 1, 2, ...TLS_MODES] as unknown[]).includes(mode);
  if (!known) throw bad(`DatabaseTLSMode invalid value ${String(mode).toUpperCase()}`);
  const source = `provided database ${quoted} CA doesn't appear to be a valid x509 certificate: expected PEM-encoded block`;
  if (spec.ca_cert) certificatesIn(spec.ca_cert, { source, where: 'ca_cert' });
  if (spec.tls?.ca_cert) certificatesIn(spec.tls.ca_cert, { source, where: 'tls.ca_cert' });
}

function checkAws(quoted: string, database: Database): void {
  const { account_id: account, assume_role_arn: arn, external_id: externalId, region } = awsOf(database);
  if (externalId && !arn) {
    throw bad(`AWS database ${quoted} has external_id ${JSON.stringify(externalId)}, but assume_role_arn is empty`);
  }
  if (account && !isAccountId(account)) {
    throw bad(`database ${quoted} has invalid AWS account ID: must be 12-digit`);
  }
  if (!arn) return;
  const role = parseRoleArn(arn);
  const refused = `database ${quoted} assume_role_arn ${JSON.stringify(arn)} is invalid: `;
  if (!role || !/^aws(?:-[a-z]+)*$/.test(role.partition) || /\D/.test(role.accountId))
    throw bad(`${refused}expected an IAM role ARN`);
  if (!isAccountId(role.accountId)) throw bad(`${refused}account ID must be 12-digit`);
  if (!account) {
    throw bad(
      `database ${quoted} missing AWS account ID: set spec.aws.account_id to ${role.accountId}, the account of its assume_role_arn`,
    );
  }
  const partition = partitionOf(region ?? '');
  if (region && role.partition !== partition) {
    throw bad(
      `database ${quoted} is incompatible with AWS assume_role_arn ${JSON.stringify(arn)}: ` +
        `expected partition ${JSON.stringify(partition)}, got ${JSON.stringify(role.partition)}`,
    );
  }
}

function checkAdminUser(quoted: string, database: Database): void {
  if (!database.spec.admin_user?.name) return;
  const { protocol } = database.spec;
  const type = databaseType(database);
  if (AUTO_USER_TYPES[protocol]?.includes(type)) return;
  throw bad(
    `cannot set admin user on database ${quoted}: ${protocol}/${type} databases don't support automatic user provisioning yet`,
  );
}

function bad(message: string): TeleportError {
  return new TeleportError('BadParameter', message);
}
