/**
 * Redshift host names and IAM role names taken apart and put together. Pure.
 *
 * Source: database-service.md 4.2 and 6.1; AWS's ARN formats.
 */
import { TeleportError } from '../errors.js';

export type RedshiftEndpoint =
  | { flavour: 'redshift'; clusterId: string; region: string }
  | { flavour: 'redshift-serverless'; workgroup: string; accountId: string; region: string }
  | { flavour: 'redshift-serverless-vpc'; endpointName: string; accountId: string; region: string };

const CLUSTER = /^([^.]+)\.[^.]+\.([^.]+)\.redshift\.amazonaws\.com$/;
const CLUSTER_CHINA = /^([^.]+)\.[^.]+\.redshift\.([^.]+)\.amazonaws\.com\.cn$/;
const SERVERLESS = /^([^.]+)\.(\d{12})\.([^.]+)\.redshift-serverless\.amazonaws\.com$/;
const VPC_ENDPOINT = /^(.+)-endpoint-[^.]+$/;

/** True for a host that only Redshift or Redshift Serverless can have. */
export function isRedshiftHost(host: string): boolean {
  return /\.redshift(-serverless)?\./.test(host) && host.includes('.amazonaws.com');
}

/**
 * Undefined for a host that is not Redshift's, and for one of Serverless in a form that is not known.
 *
 * @throws BadParameter for a cluster's host that cannot be read
 */
export function parseRedshiftHost(host: string): RedshiftEndpoint | undefined {
  if (!isRedshiftHost(host)) return undefined;
  const cluster = CLUSTER.exec(host) ?? CLUSTER_CHINA.exec(host);
  if (cluster) return { flavour: 'redshift', clusterId: cluster[1]!, region: cluster[2]! };
  const serverless = SERVERLESS.exec(host);
  if (serverless) {
    const [, name, accountId, region] = serverless as unknown as [string, string, string, string];
    const vpc = VPC_ENDPOINT.exec(name);
    return vpc
      ? { flavour: 'redshift-serverless-vpc', endpointName: vpc[1]!, accountId, region }
      : { flavour: 'redshift-serverless', workgroup: name, accountId, region };
  }
  if (host.includes('.redshift-serverless.')) return undefined;
  throw new TeleportError('BadParameter', `failed to parse ${host} as Redshift endpoint`, {
    hint: 'Expected CLUSTER.HASH.REGION.redshift.amazonaws.com, as the AWS console shows it.',
  });
}

export type Partition = 'aws' | 'aws-cn' | 'aws-us-gov';

export function partitionOf(region: string): Partition {
  if (region.startsWith('cn-')) return 'aws-cn';
  if (region.startsWith('us-gov-')) return 'aws-us-gov';
  return 'aws';
}

export interface Arn {
  partition: string;
  service: string;
  region: string;
  accountId: string;
  resource: string;
}

/** `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, or undefined. */
export function parseArn(text: string): Arn | undefined {
  const match = /^arn:([^:]+):([^:]+):([^:]*):([^:]*):(.+)$/.exec(text);
  if (!match) return undefined;
  const [, partition, service, region, accountId, resource] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return { partition, service, region, accountId, resource };
}

/** Whether a Redshift database user means an IAM role: a role ARN, or `role/NAME`. */
export function isRoleUser(dbUser: string): boolean {
  return dbUser.startsWith('role/') || /^arn:[^:]+:iam::[^:]*:role\/.+/.test(dbUser);
}

/**
 * The ARN of the IAM role that a database user names.
 *
 * @param dbUser  full ARN, `role/NAME`, or (Serverless) a plain role name
 * @param place.accountId  12 digits; needed for anything but an ARN
 * @throws BadParameter with Teleport's texts
 */
export function roleArnOf(dbUser: string, place: { region: string; accountId?: string | undefined }): string {
  const partition = partitionOf(place.region);
  const arn = parseArn(dbUser);
  if (arn) {
    checkRoleArn(dbUser, arn);
    if (arn.partition !== partition) {
      throw new TeleportError('BadParameter', `expected AWS partition "${partition}" but got "${arn.partition}"`);
    }
    if (place.accountId && arn.accountId !== place.accountId) {
      throw new TeleportError(
        'BadParameter',
        `expected AWS account ID "${place.accountId}" but got "${arn.accountId}"`,
      );
    }
    return dbUser;
  }
  if (/^IAMR?A?:/.test(dbUser)) {
    throw new TeleportError('BadParameter', `expecting name or ARN of an AWS IAM role but got ${dbUser}`, {
      hint: 'Use the name of the IAM role, for example --db-user=role/NAME.',
    });
  }
  const name = dbUser.replace(/^role\//, '');
  if (name === '') throw new TeleportError('BadParameter', `"${dbUser}" is missing AWS IAM role name`);
  checkAccountId(place.accountId);
  return `arn:${partition}:iam::${place.accountId}:role/${name}`;
}

/** @throws BadParameter unless it is 12 digits */
export function checkAccountId(accountId: string | undefined): void {
  if (!/^\d{12}$/.test(accountId ?? '')) {
    throw new TeleportError('BadParameter', `invalid AWS account ID "${accountId ?? ''}": must be 12-digit`);
  }
}

function checkRoleArn(text: string, arn: Arn): void {
  if (arn.service !== 'iam' || !arn.resource.startsWith('role')) {
    throw new TeleportError('BadParameter', `"${text}" is not an AWS IAM role ARN`);
  }
  if (!/^role\/.+/.test(arn.resource))
    throw new TeleportError('BadParameter', `"${text}" is missing AWS IAM role name`);
  checkAccountId(arn.accountId);
}
