/** `teleport db configure aws create-iam`: the same policy made in AWS and attached. Source: database-service.md 12. */
import { IAM_TYPES, parseIamTypes } from '../../../aws/iam-policy.js';
import type { Env } from '../../../cli/env.js';
import { TeleportError } from '../../../errors.js';
import { applyPlan, showPlan } from './apply.js';
import { identityOf, targetOf } from './bootstrap.js';
import { planPolicies } from './plan.js';

export interface CreateIamArgs {
  types: string[];
  role?: string | undefined;
  user?: string | undefined;
  name: string;
  confirm: boolean;
  assumesRoles: string[];
}

export async function run(env: Env, args: CreateIamArgs): Promise<void> {
  const target = targetOf(args, ['--role', '--user']);
  const types = parseIamTypes(args.types);
  const { assumesRoles, name: policyName } = args;
  if (types.length === 0 && assumesRoles.length === 0) {
    throw new TeleportError(
      'BadParameter',
      `at least one of --assumes-roles or --types should be provided. Valid --types: ${IAM_TYPES.join(',')}`,
    );
  }
  const region = env.vars.AWS_REGION || env.vars.AWS_DEFAULT_REGION;
  const identity = await identityOf(region, target);
  const served = { databases: [], matchers: [{ types, roleArn: '' }], resources: [] };
  const plan = planPolicies(served, { identity, target, assumesRoles, manual: false });
  showPlan(env, plan, policyName);
  await applyPlan(env, plan, { policyName, identity, region, isConfirmed: args.confirm });
}
