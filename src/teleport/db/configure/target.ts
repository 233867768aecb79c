/** Who gets a policy: the role or user of the flags, or who the credentials belong to. Source: database-service.md 12.2. */
import type { FoundBearer } from '../../../aws/iam.js';
import { type PolicyBearer, parseBearer } from '../../../aws/iam-names.js';
import { TeleportError } from '../../../errors.js';

/** @throws BadParameter when both were given, and for what cannot be the name or ARN of one */
export function targetOf(
  { role, user }: { role?: string | undefined; user?: string | undefined },
  [roleFlag, userFlag]: readonly [string, string],
): PolicyBearer | undefined {
  if (role && user)
    throw new TeleportError('BadParameter', `only one of ${roleFlag} or ${userFlag} should be provided`);
  if (role) return parseBearer('role', role);
  return user ? parseBearer('user', user) : undefined;
}

/**
 * The target as AWS knows it, and a region for the calls to IAM.
 *
 * @throws TeleportError when it does not exist, is not in the account of the credentials, or AWS does not know these
 */
export async function askedTarget(target: PolicyBearer | undefined): Promise<{ bearer: FoundBearer; region: string }> {
  const { anyRegion } = await import('../../../aws/region.js');
  const { currentIdentity, findBearer } = await import('../../../aws/iam.js');
  const region = await anyRegion();
  return { bearer: await (target ? findBearer({ region }, target) : currentIdentity({ region })), region };
}
