/**
 * Which AWS call makes the password for a Redshift database and user, and with whose rights.
 *
 * | Database | Database user | Call |
 * |---|---|---|
 * | Redshift | `role/NAME` or a role ARN | assume that role, GetClusterCredentialsWithIAM |
 * | Redshift | anything else | GetClusterCredentials |
 * | Redshift Serverless | role name, `role/NAME` or ARN | assume that role, GetCredentials |
 *
 * `assume_role_arn` of the database comes before the user's role; `external_id` is used once, on the first of the two.
 * Source: database-service.md section 4.
 */
import { createHash } from 'node:crypto';
import type { AssumeRole } from '../aws/clients.js';
import type { CredentialCache } from '../aws/credential-cache.js';
import { TeleportError } from '../errors.js';
import { awsOf, databaseType } from '../resources/database-type.js';
import type { Database } from '../resources/types.js';

export interface AwsCredential {
  user: string;
  password: string;
  /** Not minted for this connection. */
  isCached: boolean;
}

export interface AwsLogins {
  credential(database: Database, dbUser: string, dbName: string): Promise<AwsCredential>;
  forget(database: Database, dbUser: string, dbName: string): void;
}

export function createAwsLogins(cache: CredentialCache): AwsLogins {
  return {
    async credential(database, dbUser, dbName) {
      let isCached = true;
      const minted = await cache.get(keyFor(database, dbUser, dbName), () => {
        isCached = false;
        return mint(database, dbUser, dbName);
      });
      return { user: minted.user, password: minted.password, isCached };
    },
    forget: (database, dbUser, dbName) => cache.drop(keyFor(database, dbUser, dbName)),
  };
}

async function mint(database: Database, dbUser: string, dbName: string) {
  const aws = awsOf(database);
  const region = required(aws.region, 'aws.region', database);
  const credentials = await import('../aws/credentials.js');
  const { roleArnOf, isRoleUser } = await import('../aws/endpoint.js');
  const ownRole: AssumeRole[] = aws.assume_role_arn
    ? [{ roleArn: aws.assume_role_arn, ...(aws.external_id ? { externalId: aws.external_id } : {}) }]
    : [];
  const userRole = async (): Promise<AssumeRole> => {
    const known = aws.account_id ?? accountOf(aws.assume_role_arn);
    const accountId = known ?? (await callerAccount(region, ownRole));
    return {
      roleArn: roleArnOf(dbUser, { region, accountId }),
      ...(aws.external_id && ownRole.length === 0 ? { externalId: aws.external_id } : {}),
    };
  };
  if (databaseType(database) === 'redshift-serverless') {
    return credentials.serverlessCredentials({
      region,
      workgroup: aws.redshift_serverless?.workgroup_name ?? '',
      workgroupId: aws.redshift_serverless?.workgroup_id,
      accountId: aws.account_id,
      dbName,
      chain: [...ownRole, await userRole()],
    });
  }
  const clusterId = required(aws.redshift?.cluster_id, 'aws.redshift.cluster_id', database);
  if (isRoleUser(dbUser)) {
    return credentials.redshiftIamCredentials({
      region,
      clusterId,
      accountId: aws.account_id,
      dbName,
      chain: [...ownRole, await userRole()],
    });
  }
  return credentials.redshiftCredentials({
    region,
    clusterId,
    accountId: aws.account_id,
    dbUser,
    dbName,
    chain: ownRole,
  });
}

/** The agent is the only principal here, so cluster, roles, user and name are the whole key. */
function keyFor(database: Database, dbUser: string, dbName: string): string {
  const aws = awsOf(database);
  const parts = [
    aws.region,
    aws.redshift?.cluster_id,
    aws.redshift_serverless?.workgroup_name,
    aws.assume_role_arn,
    aws.external_id,
    dbUser,
    dbName,
  ];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** Last resort for `role/NAME`: the account that the agent itself is in. */
async function callerAccount(region: string, chain: AssumeRole[]): Promise<string> {
  const { callerIdentity } = await import('../aws/sts.js');
  return (await callerIdentity({ region, chain })).accountId;
}

function accountOf(arn: string | undefined): string | undefined {
  return arn?.split(':')[4] || undefined;
}

function required(value: string | undefined, key: string, database: Database): string {
  if (value) return value;
  throw new TeleportError('BadParameter', `database "${database.metadata.name}" has no ${key}`, {
    hint: `Set ${key} in the configuration of the database, or let the agent read it: it needs redshift:DescribeClusters.`,
  });
}
