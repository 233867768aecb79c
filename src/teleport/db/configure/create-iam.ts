/** `teleport db configure aws create-iam`: the same policy made in AWS and attached. Source: database-service.md 12. */
import { checkRoles } from '../../../aws/iam-names.js';
import { agentStatements } from '../../../aws/iam-policy.js';
import { parseIamTypes } from '../../../aws/iam-types.js';
import type { Env } from '../../../cli/env.js';
import { applyPlan } from './apply.js';
import { checkPlaceFlags, checkWanted, type IamArgs, keyIn } from './iam-args.js';
import { anyIn, namedPolicies, notesOnRoles } from './plan.js';
import { askedTarget, targetOf } from './target.js';

export interface CreateIamArgs extends IamArgs {
  name: string;
  confirm: boolean;
}

export async function run(env: Env, args: CreateIamArgs): Promise<void> {
  const target = targetOf(args, ['--role', '--user']);
  const types = parseIamTypes(args.types);
  const { assumesRoles, discovery: discovers } = args;
  checkWanted(args, types);
  checkPlaceFlags(args, types);
  const { bearer, region } = await askedTarget(target);
  checkRoles(assumesRoles, bearer.partition);
  const place = { ...anyIn(bearer), ...(args.region ? { region: args.region } : {}) };
  const statements = agentStatements({ types, place, assumesRoles, discovers, kmsKey: keyIn(place, args) });
  const plan = { bearer, policies: namedPolicies(args.name, statements), notes: notesOnRoles(types, assumesRoles) };
  await applyPlan(env, plan, { region, isConfirmed: args.confirm });
}
