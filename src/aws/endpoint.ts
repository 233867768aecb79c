/**
 * ARNs and the names of IAM roles, taken apart and put together. Pure.
 *
 * Source: database-service.md 4.2 and 6.1; AWS's ARN formats.
 */
import { TeleportError } from '../errors.js';
import { partitionOf } from './partitions.js';

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
