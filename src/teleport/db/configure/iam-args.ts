/** What `print-iam` and `create-iam` are asked for, checked. Source: database-service.md 12.2. */
import { checkRegion } from '../../../aws/clients.js';
import { checkPartition, kmsKeyArn } from '../../../aws/iam-names.js';
import { type IamPlace, SECRET_TYPES } from '../../../aws/iam-policy.js';
import { IAM_TYPES, type IamType } from '../../../aws/iam-types.js';
import { partitionOf } from '../../../aws/partitions.js';
import { TeleportError } from '../../../errors.js';

export interface IamArgs {
  types: readonly string[];
  role?: string | undefined;
  user?: string | undefined;
  assumesRoles: readonly string[];
  region?: string | undefined;
  kmsKey?: string | undefined;
  discovery: boolean;
}

/** @throws BadParameter when nothing is asked for */
export function checkWanted({ assumesRoles }: IamArgs, types: readonly IamType[]): void {
  if (types.length === 0 && assumesRoles.length === 0) {
    throw new TeleportError(
      'BadParameter',
      `at least one of --assumes-roles or --types should be provided. Valid --types: ${IAM_TYPES.join(',')}`,
    );
  }
}

/** @throws BadParameter for a region that cannot be one, and for a key without secrets */
export function checkPlaceFlags({ region, kmsKey }: IamArgs, types: readonly IamType[]): void {
  if (region) checkRegion(region);
  if (kmsKey && !types.some((type) => SECRET_TYPES.includes(type))) {
    throw new TeleportError('BadParameter', `--kms-key is for the secrets of ${SECRET_TYPES.join(' and ')}`);
  }
}

/**
 * The ARN of `--kms-key`.
 *
 * @param placeholder  may stand for a key
 * @throws BadParameter for what cannot be a key, and where region, key and the Database Service are not of one partition
 */
export function keyIn(
  { partition, accountId }: IamPlace,
  { region, kmsKey }: IamArgs,
  placeholder?: string,
): string | undefined {
  if (region) checkPartition(`region ${region}`, partitionOf(region), partition);
  return kmsKey ? kmsKeyArn(kmsKey, { partition, accountId, placeholder }) : undefined;
}
