/** The AWS flags of one static database, of `db configure create` and `db start`. Pure. Source: database-service.md 12.1. */
import type { AwsValue } from './agent-config.js';

export interface DatabaseFlags {
  name?: string | undefined;
  protocol?: string | undefined;
  uri?: string | undefined;
  awsRegion?: string | undefined;
  awsAccountId?: string | undefined;
  awsAssumeRoleArn?: string | undefined;
  awsExternalId?: string | undefined;
  awsRedshiftClusterId?: string | undefined;
  awsRdsInstanceId?: string | undefined;
  awsRdsClusterId?: string | undefined;
  awsElasticacheGroupId?: string | undefined;
  awsElasticacheServerlessCacheName?: string | undefined;
  awsMemorydbClusterName?: string | undefined;
}

/** The `aws` block of the configuration, in its order; undefined when no flag was given. */
export function databaseAws(flags: DatabaseFlags): Record<string, AwsValue> | undefined {
  const members: Record<string, AwsValue | undefined> = {
    region: flags.awsRegion,
    account_id: flags.awsAccountId,
    assume_role_arn: flags.awsAssumeRoleArn,
    external_id: flags.awsExternalId,
    redshift: block({ cluster_id: flags.awsRedshiftClusterId }),
    rds: block({ instance_id: flags.awsRdsInstanceId, cluster_id: flags.awsRdsClusterId }),
    elasticache: block({ replication_group_id: flags.awsElasticacheGroupId }),
    elasticache_serverless: block({ cache_name: flags.awsElasticacheServerlessCacheName }),
    memorydb: block({ cluster_name: flags.awsMemorydbClusterName }),
  };
  const given = Object.entries(members).filter((entry): entry is [string, AwsValue] => Boolean(entry[1]));
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

function block(members: Record<string, string | undefined>): { [member: string]: string } | undefined {
  const given = Object.entries(members).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}
