/** A database of AWS as a `db` resource, before it is offered or registered. Source: database-service.md 7.2. */
import { DISCOVERY_TYPE_LABEL, type FoundDatabase } from '../aws/discover.js';
import { ADMIN_DATABASE_LABEL, ADMIN_LABEL } from '../rbac/auto-users.js';
import { databaseWithDefaults } from '../resources/defaults.js';
import type { Database } from '../resources/types.js';
import { discoveredName, type Named, nameWithoutTag } from './discovered-name.js';
import type { AwsMatcher } from './matchers.js';

export interface Found {
  database: Database;
  /** Its name where another one has the first. */
  spare: Named;
  /** Its tags are not known: labels and name lack what they say. */
  isUntagged: boolean;
}

/** The place of a database in AWS: the same for the same cluster, workgroup or endpoint. */
export function placeOf({ spec: { aws = {} } }: Pick<Database, 'spec'>): string {
  const { region, account_id: account, redshift, redshift_serverless: serverless } = aws;
  const { cluster_id: cluster } = redshift ?? {};
  const { workgroup_name: workgroup, endpoint_name: endpoint } = serverless ?? {};
  return JSON.stringify([region, account, cluster, workgroup, endpoint].map((part) => part ?? ''));
}

/** Type and region: what one search asks for, and what an answer of AWS's is about. */
export function areaOf({ type, region }: { type: string; region: string }): string {
  return JSON.stringify([type, region]);
}

export function areaOfDatabase({ metadata, spec }: Pick<Database, 'metadata' | 'spec'>): string {
  return areaOf({ type: metadata.labels?.[DISCOVERY_TYPE_LABEL] ?? '', region: spec.aws?.region ?? '' });
}

/** @throws BadParameter for a host name of Redshift that cannot be read */
export function foundFrom(
  one: FoundDatabase,
  { assume_role_arn: roleArn, external_id: externalId }: AwsMatcher,
): Found {
  const aws = {
    ...one.aws,
    ...(roleArn ? { assume_role_arn: roleArn } : {}),
    ...(externalId ? { external_id: externalId } : {}),
  };
  // The resource of a workgroup must not have one: nobody makes users there.
  const admin = one.aws.redshift_serverless ? undefined : one.labels[ADMIN_LABEL];
  const adminDatabase = one.labels[ADMIN_DATABASE_LABEL];
  const { name, labels } = discoveredName(one);
  const database = databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name, description: one.description, labels },
    spec: {
      protocol: one.protocol,
      uri: one.uri,
      ...(one.serverName ? { tls: { mode: 'verify-full', server_name: one.serverName } } : {}),
      aws,
      ...(admin ? { admin_user: { name: admin, ...(adminDatabase ? { default_database: adminDatabase } : {}) } } : {}),
    },
  } as Database);
  return { database, spare: nameWithoutTag(one), isUntagged: one.isUntagged ?? false };
}
