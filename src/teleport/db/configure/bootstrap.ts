/** `teleport db configure bootstrap`: the IAM permissions that a configuration file needs. Source: database-service.md 12. */

import { IAM_TYPES, type IamType, parseIamTypes } from '../../../aws/iam-types.js';
import { splitAwsHost } from '../../../aws/partitions.js';
import type { Env } from '../../../cli/env.js';
import { printLine } from '../../../cli/output.js';
import type { AwsMatcher } from '../../../cloud/matchers.js';
import { hostOf } from '../../../host-port.js';
import { databaseType } from '../../../resources/database-type.js';
import { databaseWithDefaults } from '../../../resources/defaults.js';
import type { Database } from '../../../resources/types.js';
import { readConfigFile } from '../../config.js';
import { awsMatchers, type DatabaseConfig, databaseConfig } from '../../config-databases.js';
import { applyPlan, showPlan } from './apply.js';
import {
  notesOnPlaceholders,
  PLACEHOLDER_USER,
  type Plan,
  planPolicies,
  type Served,
  UNKNOWN_ACCOUNT,
} from './plan.js';
import { askedTarget, targetOf } from './target.js';

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
  const { raw } = readConfigFile(args.config);
  const served = servedBy(databaseConfig(raw), awsMatchers(raw.discovery_service?.aws));
  const { assumesRoles, policyName } = args;
  if (args.manual) {
    const bearer = target ?? ({ kind: 'user', name: PLACEHOLDER_USER } as const);
    const plan = planPolicies(served, { bearer, assumesRoles, policyName });
    printAccount(env, plan);
    return showPlan(env, { ...plan, notes: [...plan.notes, ...notesOnPlaceholders(plan)] });
  }
  const { bearer, region } = await askedTarget(target);
  const plan = { ...planPolicies(served, { bearer, assumesRoles, policyName }), bearer };
  printAccount(env, plan);
  await applyPlan(env, plan, { region, isConfirmed: args.confirm });
}

function printAccount(env: Env, { bearer, policies }: Plan): void {
  if (policies.length === 0) return;
  printLine(env);
  printLine(env, `Configure AWS for Database Service for accounts: [${bearer.accountId ?? UNKNOWN_ACCOUNT}]`);
}

/** Types and roles of the sections `db_service` and `discovery_service`. */
function servedBy({ databases, resources, aws }: DatabaseConfig, discovery: readonly AwsMatcher[]): Served {
  const typesIn = ({ types }: AwsMatcher) =>
    parseIamTypes(types.filter((type) => IAM_TYPES.some((known) => known === type)));
  // A role for looking is the role for entering what was found.
  const matchers = [...aws, ...discovery.filter(({ assume_role_arn }) => assume_role_arn)];
  return {
    databases: databases.map((database) => ({
      type: iamType(database),
      roleArn: database.spec.aws?.assume_role_arn ?? '',
    })),
    matchers: matchers.map((matcher) => ({ types: typesIn(matcher), roleArn: matcher.assume_role_arn ?? '' })),
    searches: discovery.filter(({ assume_role_arn }) => !assume_role_arn).flatMap(typesIn),
    resources: resources.map(({ aws }) => ({ roleArn: aws?.assume_role_arn ?? '' })),
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
