/** The AWS logins of a person, as `tsh login --aws` stores them. */
import type { Env } from '../../cli/env.js';
import { type AwsIdentities, awsIdentities } from '../../profile/aws-identity.js';
import { profileBase } from '../../profile/paths.js';

export function personalIdentities(env: Env): AwsIdentities {
  return awsIdentities(profileBase(env.vars, env.home));
}
