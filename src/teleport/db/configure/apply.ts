/**
 * A plan as numbered steps: held against what IAM has, shown, and carried out as far as something is to do. Source:
 * database-service.md 12.3, 12.5.
 */
import type { FoundBearer, IamPolicy, PolicyState } from '../../../aws/iam.js';
import { formatPolicy } from '../../../aws/policy-document.js';
import type { Env } from '../../../cli/env.js';
import { printLine } from '../../../cli/output.js';
import { confirm } from '../../../cli/prompt.js';
import { isTeleportError, messageOf, TeleportError } from '../../../errors.js';
import { type Plan, UNKNOWN_ACCOUNT } from './plan.js';

interface Step {
  /** `[123456789012] Create IAM Policy "DatabaseAccess"` */
  what: string;
  /** JSON. */
  text?: string;
  /** Undefined: it is so already. */
  act?: (() => Promise<void>) | undefined;
}

const NOTHING_TO_DO = "The agent doesn't require any extra configuration.";

/** What is to do, without asking AWS. */
export function showPlan(env: Env, { bearer, policies, notes }: Plan): void {
  const account = bearer.accountId ?? UNKNOWN_ACCOUNT;
  const nothing = async () => {};
  const made = policies.map(({ name, statements }) => ({
    what: making('unknown', account, name),
    text: formatPolicy(statements),
    act: nothing,
  }));
  showSteps(env, made.length === 0 ? [] : [...made, { what: attaching(account, bearer.name), act: nothing }], notes);
}

/**
 * Look at what IAM has, show the steps, ask, and take those that are not taken yet.
 *
 * @param region  any of the partition: IAM is one for all
 * @throws NotFound for a role or user that does not exist, AlreadyExists for a policy of somebody else, both before anything
 * is changed; ConnectionProblem after the first step that failed, and what was done before stays
 */
export async function applyPlan(
  env: Env,
  plan: Plan & { bearer: FoundBearer },
  options: { region: string; isConfirmed: boolean },
): Promise<void> {
  const { steps, notes } = await stepsOf(plan, options.region);
  showSteps(env, steps, [...plan.notes, ...notes]);
  if (steps.length === 0) return;
  const open = steps.flatMap(({ what, act }) => (act === undefined ? [] : [{ what, act }]));
  printLine(env);
  if (open.length === 0) return printLine(env, `Nothing to change: "${plan.bearer.name}" has these permissions.`);
  if (!options.isConfirmed && !(await confirm(env, 'Confirm?'))) return;
  for (const step of open) await take(env, step);
}

async function stepsOf(
  { bearer, policies: planned }: Plan & { bearer: FoundBearer },
  region: string,
): Promise<{ steps: Step[]; notes: string[] }> {
  if (planned.length === 0) return { steps: [], notes: [] };
  const { attachedPolicies, attachPolicy, policyArn, policyState, putPolicy } = await import('../../../aws/iam.js');
  const client = { region };
  const { accountId: account, name: target } = bearer;
  const policies = planned.map(({ name, statements }): IamPolicy => {
    return { arn: policyArn(bearer, name), name, document: formatPolicy(statements) };
  });
  const attached = await attachedPolicies(client, bearer);
  const steps: Step[] = [];
  for (const policy of policies) {
    const state = await policyState(client, policy);
    const what = making(state, account, policy.name);
    if (state === 'current') steps.push({ what });
    else steps.push({ what, text: policy.document, act: () => putPolicy(client, policy) });
  }
  const loose = policies.filter(({ arn }) => !attached?.includes(arn));
  const attach = async () => {
    for (const { arn } of loose) await attachPolicy(client, arn, bearer);
  };
  if (loose.length > 0) steps.push({ what: attaching(account, target), act: attach });
  else steps.push({ what: `[${account}] IAM policies are attached to "${target}"` });
  return { steps, notes: leftovers(attached ?? [], policies) };
}

/** Parts that an earlier, larger policy needed. */
function leftovers(attached: readonly string[], policies: readonly IamPolicy[]): string[] {
  const [{ arn: first } = { arn: '' }] = policies;
  const isOld = (arn: string) => arn.startsWith(`${first}-`) && /^\d+$/.test(arn.slice(first.length + 1));
  return attached
    .filter((arn) => isOld(arn) && !policies.some((one) => one.arn === arn))
    .map((arn) => `${arn} is attached too and not needed any more: detach it.`);
}

function showSteps(env: Env, steps: readonly Step[], notes: readonly string[]): void {
  if (steps.length === 0) printLine(env, NOTHING_TO_DO);
  for (const [i, { what, text }] of steps.entries()) {
    printLine(env, `${i + 1}. ${what}${text === undefined ? '.' : `:\n${text}\n`}`);
  }
  if (notes.length > 0) printLine(env, ['', ...notes.map((note) => `NOTE: ${note}`)].join('\n'));
}

async function take(env: Env, { what, act }: { what: string; act: () => Promise<void> }): Promise<void> {
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

function making(state: PolicyState, account: string, name: string): string {
  if (state === 'current') return `[${account}] IAM Policy "${name}" is up to date`;
  return `[${account}] ${state === 'outdated' ? 'Update' : 'Create'} IAM Policy "${name}"`;
}

function attaching(account: string, target: string): string {
  return `[${account}] Attach IAM policies to "${target}"`;
}
