/** A plan shown as numbered actions, and carried out in IAM. Source: database-service.md 12.3, 12.5. */
import { attachPolicy, putPolicy } from '../../../aws/iam.js';
import { formatPolicy } from '../../../aws/policy-document.js';
import type { Env } from '../../../cli/env.js';
import { printLine } from '../../../cli/output.js';
import { confirm } from '../../../cli/prompt.js';
import { isTeleportError, messageOf, TeleportError } from '../../../errors.js';
import type { Pass, Plan, PolicyBearer } from './plan.js';

/** IAM is one for all regions; the SDK wants one all the same. */
const ANY_REGION = 'us-east-1';

/** Lines of the plan. */
export function showPlan(env: Env, { passes, skipped }: Plan, policyName: string): void {
  for (const line of skipped) printLine(env, line);
  if (passes.length === 0) printLine(env, "The agent doesn't require any extra configuration.");
  passes.forEach((pass, i) => {
    printLine(env, `${2 * i + 1}. ${creating(pass, policyName)}:`);
    printLine(env, formatPolicy(pass.statements));
    printLine(env);
    printLine(env, `${2 * i + 2}. ${attaching(pass)}.`);
  });
}

/** The accounts of a plan, each once. */
export function accountsOf({ passes }: Plan): string {
  return [...new Set(passes.map(({ accountId }) => accountId))].join(', ');
}

/**
 * Ask, then make and attach each policy.
 *
 * @throws TeleportError after the first action that failed; what was done before stays
 */
export async function applyPlan(
  env: Env,
  { passes }: Plan,
  options: { policyName: string; identity: PolicyBearer; region?: string | undefined; isConfirmed: boolean },
): Promise<void> {
  const { policyName, identity } = options;
  if (passes.length === 0) return;
  printLine(env);
  if (!options.isConfirmed && !(await confirm(env, 'Confirm?'))) return;
  for (const pass of passes) {
    const { as, target, accountId } = pass;
    const client = {
      region: options.region || ANY_REGION,
      ...(as ? { chain: [{ roleArn: as.roleArn, externalId: as.externalId }] } : {}),
    };
    let policyArn = '';
    await step(env, creating(pass, policyName), async () => {
      const document = formatPolicy(pass.statements);
      policyArn = await putPolicy(client, { name: policyName, document, accountId, partition: identity.partition });
    });
    await step(env, attaching(pass), () => attachPolicy(client, policyArn, target));
  }
}

async function step(env: Env, what: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (cause) {
    printLine(env, `❌[AWS] ${what}... failed.`);
    printLine(env, `Failure reason: ${messageOf(cause)}`);
    throw new TeleportError('ConnectionProblem', 'bootstrap failed to execute, check logs above to see the cause', {
      hint: isTeleportError(cause) ? cause.hint : undefined,
    });
  }
  printLine(env, `✅[AWS] ${what}... done.`);
}

function creating({ accountId }: Pass, policyName: string): string {
  return `[${accountId}] Create IAM Policy "${policyName}"`;
}

function attaching({ accountId, target }: Pass): string {
  return `[${accountId}] Attach IAM policies to "${target.name}"`;
}
