/** `teleport db configure bootstrap`: the IAM permissions that a configuration file needs. Source: database-service.md 12. */

import { parseArn } from '../../../aws/arn.js';
import { IAM_TYPES, type IamType, parseIamTypes } from '../../../aws/iam-policy.js';
import { splitAwsHost } from '../../../aws/partitions.js';
import type { Env } from '../../../cli/env.js';
import { printLine } from '../../../cli/output.js';
import { TeleportError } from '../../../errors.js';
import { hostOf } from '../../../host-port.js';
import { databaseType } from '../../../resources/database-type.js';
import { databaseWithDefaults } from '../../../resources/defaults.js';
import type { Database } from '../../../resources/types.js';
import { readConfigFile } from '../../config.js';
import { type DatabaseConfig, databaseConfig } from '../../config-databases.js';
import { accountsOf, applyPlan, showPlan } from './apply.js';
import { NOBODY, planPolicies, type Served, type Target } from './plan.js';

export interface BootstrapArgs {
  config: string;
  manual: boolean;
  policyName: string;
  confirm: boolean;
  attachToRole?: string | undefined;
  attachToUser?: string | undefined;
  assumesRoles: string[];
}

export async function run(env: Env, args: BootstrapArgs): Promise<void> {
  const target = targetOf({ role: args.attachToRole, user: args.attachToUser }, [
    '--attach-to-role',
    '--attach-to-user',
  ]);
  printLine(env, `Reading configuration at "${args.config}"...`);
  const served = servedBy(databaseConfig(readConfigFile(args.config).raw));
  const region = env.vars.AWS_REGION || env.vars.AWS_DEFAULT_REGION;
  const identity = args.manual ? NOBODY : await identityOf(region, target);
  const { manual, assumesRoles } = args;
  const plan = planPolicies(served, { identity, target, assumesRoles, manual });
  if (plan.passes.length > 0) {
    printLine(env);
    printLine(env, `Configure AWS for Database Service for accounts: [${accountsOf(plan)}]`);
  }
  showPlan(env, plan, args.policyName);
  if (manual) return;
  await applyPlan(env, plan, { policyName: args.policyName, identity, region, isConfirmed: args.confirm });
}

/** Whose credentials these are; with a target, the name of the role does not matter, so no lookup that may be denied. */
export async function identityOf(region: string | undefined, target: Target | undefined) {
  const options = { region: region || 'us-east-1' };
  if (target === undefined) {
    const { currentIdentity } = await import('../../../aws/iam.js');
    return await currentIdentity(options);
  }
  const { callerIdentity } = await import('../../../aws/sts.js');
  const { arn, accountId } = await callerIdentity(options);
  const { partition = 'aws', resource = '' } = parseArn(arn) ?? {};
  const [kind, name = ''] = resource.split('/');
  const known = { name, arn, accountId, partition };
  return { kind: kind === 'user' ? ('user' as const) : ('role' as const), ...known };
}

/** @throws BadParameter when both were given */
export function targetOf(
  { role, user }: { role?: string | undefined; user?: string | undefined },
  [roleFlag, userFlag]: readonly [string, string],
): Target | undefined {
  if (role && user)
    throw new TeleportError('BadParameter', `only one of ${roleFlag} or ${userFlag} should be provided`);
  if (role) return { kind: 'role', name: role };
  return user ? { kind: 'user', name: user } : undefined;
}

/** Types and roles of the section `db_service`. */
export function servedBy({ databases, resources, aws }: DatabaseConfig): Served {
  return {
    databases: databases.map((database) => ({
      type: iamType(database),
      roleArn: database.spec.aws?.assume_role_arn ?? '',
      externalId: database.spec.aws?.external_id,
    })),
    matchers: aws.map(({ types, assume_role_arn, external_id }) => ({
      types: parseIamTypes(types.filter((type) => IAM_TYPES.some((known) => known === type))),
      roleArn: assume_role_arn ?? '',
      externalId: external_id,
    })),
    resources: resources.flatMap(({ aws }) =>
      aws?.assume_role_arn ? [{ roleArn: aws.assume_role_arn, externalId: aws.external_id }] : [],
    ),
  };
}

function iamType(database: Database): IamType | undefined {
  const type = databaseType(databaseWithDefaults(database));
  const known = IAM_TYPES.find((one) => one === type);
  if (known !== undefined) return known;
  // The region is asked from AWS later; the endpoint says enough here.
  const labels = splitAwsHost(hostOf(database.spec.uri))?.labels ?? [];
  if (!labels.includes('rds')) return undefined;
  return labels[1]?.startsWith('proxy-') ? 'rdsproxy' : 'rds';
}
