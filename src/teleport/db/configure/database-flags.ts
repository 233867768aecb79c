/** The AWS flags of one static database, of `db configure create` and `db start`. Pure. Source: database-service.md 12.1. */
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
export function databaseAws(flags: DatabaseFlags) {
  return given({
    region: flags.awsRegion,
    account_id: flags.awsAccountId,
    assume_role_arn: flags.awsAssumeRoleArn,
    external_id: flags.awsExternalId,
    redshift: given({ cluster_id: flags.awsRedshiftClusterId }),
    rds: given({ instance_id: flags.awsRdsInstanceId, cluster_id: flags.awsRdsClusterId }),
    elasticache: given({ replication_group_id: flags.awsElasticacheGroupId }),
    elasticache_serverless: given({ cache_name: flags.awsElasticacheServerlessCacheName }),
    memorydb: given({ cluster_name: flags.awsMemorydbClusterName }),
  });
}

type Given<T> = { [K in keyof T]?: NonNullable<T[K]> };

/** The members that are not empty; undefined when all are. */
function given<T extends object>(members: T): Given<T> | undefined;
function given(members: object): object | undefined {
  const entries = Object.entries(members).filter(([, value]) => Boolean(value));
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}
