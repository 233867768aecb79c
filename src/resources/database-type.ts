/**
 * What kind of database it is, from its protocol and its AWS data: the word that `tsh db ls -v` shows, that searches
 * find and that rules ask for. Source: Teleport 18.3.0, `Database.GetType` (auth-grpc-and-routing.md 4.5).
 */
import type { AwsMetadata, Database } from './types.js';

const SAME_AS_PROTOCOL = new Set(['dynamodb', 'opensearch', 'cassandra']);

export function databaseType(database: Database): string {
  const { protocol, mongo_atlas: atlas, gcp, azure } = database.spec;
  const aws = awsOf(database);
  if (isSet((atlas as Record<string, unknown> | undefined)?.name)) return 'mongo-atlas';
  if (protocol === 'cassandra' && isSet(aws)) return 'keyspace';
  if (protocol !== 'cassandra' && SAME_AS_PROTOCOL.has(protocol)) return protocol;
  if (protocol === 'oracle' && isSet(aws)) return 'rds-oracle';
  if (isSet(aws.redshift?.cluster_id)) return 'redshift';
  if (isSet(aws.redshift_serverless)) return 'redshift-serverless';
  for (const [member, type] of OTHER_AWS) if (isSet(aws[member])) return type;
  if (isSet(aws.region) || isSet(aws.rds)) return 'rds';
  if (isSet(gcp)) return protocol === 'spanner' ? 'spanner' : gcpType(gcp);
  if (isSet((azure as Record<string, unknown> | undefined)?.name)) return 'azure';
  return protocol === 'cassandra' ? 'cassandra' : 'self-hosted';
}

/** AWS data in force: what the Database Service found out, else what was written; member by member. */
export function awsOf(database: Database): AwsMetadata {
  const found = Object.entries(database.status?.aws ?? {}).filter(([, value]) => isSet(value));
  return { ...database.spec.aws, ...Object.fromEntries(found) };
}

/** False for everything that means "nothing was given", however deep. */
export function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.values(value).some(isSet);
  return value !== undefined && value !== null && value !== '' && value !== false && value !== 0;
}

const OTHER_AWS = [
  ['elasticache', 'elasticache'],
  ['elasticache_serverless', 'elasticache-serverless'],
  ['memorydb', 'memorydb'],
  ['rdsproxy', 'rdsproxy'],
  ['docdb', 'docdb'],
] as const;

function gcpType(gcp: unknown): string {
  return isSet((gcp as { alloydb?: unknown }).alloydb) ? 'alloydb' : 'gcp';
}
