/** The section `db_service`: static databases as `db` resources, and what to look for. Source: database-service.md 11. */

import { isAccountId, parseRoleArn } from '../aws/arn.js';
import type { AwsMatcher } from '../cloud/matchers.js';
import { TeleportError } from '../errors.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import { ORIGIN_LABEL } from '../resources/labels.js';
import type { DatabaseEntry, TeleportFile } from '../resources/teleport-yaml.js';
import type { Database, LabelSelector } from '../resources/types.js';

export interface ConfiguredMatcher {
  labels: LabelSelector;
  aws?: { assume_role_arn?: string; external_id?: string };
}

export interface DatabaseConfig {
  databases: Database[];
  resources: ConfiguredMatcher[];
  aws: AwsMatcher[];
}

/** The section `db_service` of a whole file. Certificates that it names are tlsSpec. */
export function databaseConfig({ db_service: section = {} }: TeleportFile): DatabaseConfig {
  return {
    databases: (section.databases ?? []).map(staticDatabase),
    resources: (section.resources ?? []).map(({ labels = {}, aws }) => ({ labels, ...(aws && { aws }) })),
    aws: awsMatchers(section.aws),
  };
}

export function awsMatchers(entries: NonNullable<TeleportFile['db_service']>['aws'] = []): AwsMatcher[] {
  return entries.map((entry) => ({ ...entry, types: entry.types ?? [], regions: entry.regions ?? [] }));
}

/** One entry of `db_service.databases` as a db resource; files are read here, rules are checked where it registers. */
export function staticDatabase(entry: DatabaseEntry): Database {
  const { name = '', description, protocol = '', uri = '', tls = {}, aws, admin_user: adminUser } = entry;
  const tlsSpec: NonNullable<Database['spec']['tls']> = { mode: tls.mode ?? 'verify-full' };
  const caFile = tls.ca_cert_file ?? entry.ca_cert_file;
  if (caFile) tlsSpec.ca_cert = readCertificateFile(caFile, `ca_cert_file of database "${name}"`).join('');
  if (tls.server_name) tlsSpec.server_name = tls.server_name;
  if (tls.trust_system_cert_pool) tlsSpec.trust_system_cert_pool = true;
  const spec: Database['spec'] = { protocol, uri, tls: tlsSpec };
  if (aws) {
    const own = parseRoleArn(aws.assume_role_arn ?? '')?.accountId ?? '';
    const account = aws.account_id ?? (isAccountId(own) ? own : undefined);
    spec.aws = { ...aws, ...(account !== undefined && { account_id: account }) };
  }
  if (adminUser) spec.admin_user = adminUser;
  if (entry.dynamic_labels?.length) spec.dynamic_labels = dynamicLabels(name, entry.dynamic_labels);
  const labels = { ...entry.static_labels, [ORIGIN_LABEL]: 'config-file' };
  return { kind: 'db', version: 'v3', metadata: { name, ...(description && { description }), labels }, spec };
}

function dynamicLabels(
  database: string,
  entries: NonNullable<DatabaseEntry['dynamic_labels']>,
): NonNullable<Database['spec']['dynamic_labels']> {
  const byName = entries.map(({ name, period = '', command = [] }) => {
    if (name !== undefined) return [name, { period, command }] as const;
    throw new TeleportError('BadParameter', `dynamic_labels of database "${database}": name is missing`);
  });
  return Object.fromEntries(byName);
}
