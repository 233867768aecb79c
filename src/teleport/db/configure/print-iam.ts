/** `teleport db configure aws print-iam`: the policy of an agent, offline. Source: cli.md 7.6, database-service.md 12. */
import { parseIamTypes, printIam } from '../../../aws/iam-policy.js';
import type { Env } from '../../../cli/env.js';
import { print, printLine } from '../../../cli/output.js';
import { refuseSecrets } from '../../../cli/refuse-secrets.js';
import { targetOf } from './bootstrap.js';

export interface PrintIamArgs {
  types: string[];
  role?: string | undefined;
  user?: string | undefined;
  policyName: string;
  policy: boolean;
  boundary: boolean;
  assumesRoles: string[];
}

export async function run(env: Env, args: PrintIamArgs): Promise<void> {
  refuseSecrets({ ...args });
  targetOf(args, ['--role', '--user']);
  if (args.boundary) {
    return printLine(
      env,
      'The --boundary flag is deprecated. The IAM permissions model that Teleport uses no longer requires a boundary policy.',
    );
  }
  const { role, user, policyName, assumesRoles } = args;
  const types = parseIamTypes(args.types);
  print(env, printIam({ types, role, user, policyName, assumesRoles, policyOnly: args.policy }));
}
