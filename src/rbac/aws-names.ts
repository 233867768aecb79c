/**
 * AWS spellings of one database user: `role/NAME`, a short role name and the full ARN mean the same role. Pure.
 *
 * Source: database-service.md 1.4.
 */
import { partitionOf } from '../aws/partitions.js';
import { databaseType } from '../resources/database-type.js';
import type { AwsMetadata, Database } from '../resources/types.js';

const ROLE_ARN = /^arn:(aws(?:-[a-z]+)*):iam::(\d{12}):role\/(?:.*\/)?([^/]+)$/;

/** Other names under which a role may list the requested user; never `*`. */
export function alternativeUsers(dbUser: string, database: Database): string[] {
  const type = databaseType(database);
  if (type !== 'redshift' && type !== 'redshift-serverless') return [];
  const aws: AwsMetadata = { ...database.spec.aws, ...database.status?.aws };
  const arn = ROLE_ARN.exec(dbUser);
  const partition = partitionOf(aws.region ?? '');
  const roleArn = (name: string) =>
    aws.region && aws.account_id ? [`arn:${partition}:iam::${aws.account_id}:role/${name}`] : [];
  if (arn) {
    const [, ownPartition, account, name] = arn;
    if (type === 'redshift') return [`role/${name}`];
    const isOurs = aws.region && ownPartition === partition && account === aws.account_id;
    return isOurs ? [name!] : [];
  }
  if (dbUser.startsWith('role/')) {
    const name = dbUser.slice('role/'.length);
    return roleArn(name);
  }
  return type === 'redshift-serverless' ? roleArn(dbUser) : [];
}
