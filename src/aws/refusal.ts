/**
 * What to tell whom AWS refused a database password: Teleport's sentences, AWS's own words, and the statements that may be
 * missing as JSON to paste.
 *
 * Source: database-service.md 4.4 and 12.6; the guides' "Not authorized to perform sts:AssumeRole".
 */
import { TeleportError } from '../errors.js';
import { arnText, parseSessionArn, roleArnText } from './arn.js';
import type { AssumeRole } from './clients.js';
import { fromAws } from './errors.js';
import { partitionOf } from './partitions.js';
import { formatPolicy, formatTrustPolicy } from './policy-document.js';

/** Whom a refusal speaks to: the owner of an agent, or the person whose own credentials were used. */
export type Asker = 'agent' | 'person';

export interface AskedPlace {
  region: string;
  accountId?: string | undefined;
  /** Roles to assume; for the two IAM-role calls the last one is the user's. */
  chain: readonly AssumeRole[];
  asker?: Asker | undefined;
}

/** Nothing was refused: AWS was not reached, or is busy. No policy mends that. */
const UNANSWERED = new Set(['ConnectionProblem', 'LimitExceeded']);

/** `title`, AWS's words, advice; with the code and hint of AWS's error. */
export function refused(title: string, error: unknown, advice: readonly string[]): TeleportError {
  const { code, hint, message } = fromAws(error);
  const isAdvised = advice.length > 0 && !UNANSWERED.has(code);
  const text = [title, '', `  ${message}`, ...(isAdvised ? ['', ...advice] : [])].join('\n');
  return new TeleportError(code, `${text}\n`, { cause: error, hint });
}

/** A role of the chain could not be assumed: another thing to mend than a role that lacks a permission. */
export function notAssumed(title: string, error: unknown, place: AskedPlace): TeleportError {
  const { message } = fromAws(error);
  const step = failedStep(message, place.chain);
  const whom = place.asker === 'person' ? 'your IAM identity' : "Teleport database agent's IAM identity";
  const role = JSON.stringify(step?.roleArn ?? place.chain.at(-1)?.roleArn ?? '');
  return refused(title, error, [
    `Make sure that IAM role ${role} has a trust relationship with ${whom}.`,
    ...(step ? missingTrust(message, step) : []),
  ]);
}

/** The identity that made the call may not make it. */
export function lacksPermission(title: string, error: unknown, place: AskedPlace, policy: string): TeleportError {
  const role = place.chain.at(-1)?.roleArn;
  const isOwn = role === undefined && place.asker === 'person';
  const who = isOwn ? 'your IAM identity' : `IAM role ${JSON.stringify(role ?? '')}`;
  return refused(title, error, [
    `Make sure that ${who} has permissions to generate credentials. Here is a sample IAM policy:`,
    '',
    policy,
  ]);
}

/** A policy with one statement, as `teleport db configure aws print-iam` prints policies. */
export function policyText(actions: readonly string[], resources: readonly string[]): string {
  return formatPolicy([{ effect: 'Allow', actions, resources }]);
}

/** Unknown parts stay as placeholders in braces. */
export function resourceArn({ region, accountId }: AskedPlace, service: string, resource: string): string {
  const partition = region ? partitionOf(region) : '{partition}';
  return arnText({
    partition,
    service,
    region: region || '{region}',
    accountId: accountId || '{account_id}',
    resource,
  });
}

const REFUSED_STEP =
  /User: (arn:\S+) is not authorized to perform: sts:(?:AssumeRole|TagSession) on resource: (arn:\S+)/;

/** The role that AWS names in its refusal. */
function failedStep(message: string, chain: readonly AssumeRole[]): AssumeRole | undefined {
  const arn = REFUSED_STEP.exec(message)?.[2];
  return chain.find(({ roleArn }) => roleArn === arn);
}

/** AWS does not say which of the two sides lacks its statement, so both are shown. */
function missingTrust(message: string, step: AssumeRole): string[] {
  const caller = principalOf(REFUSED_STEP.exec(message)?.[1] ?? '');
  const actions = ['sts:AssumeRole', ...(Object.keys(step.tags ?? {}).length > 0 ? ['sts:TagSession'] : [])];
  const trust = { principal: caller, actions, ...(step.externalId ? { externalId: '{external_id}' } : {}) };
  return [
    '',
    `The trust policy of ${step.roleArn} needs:`,
    '',
    formatTrustPolicy(trust),
    '',
    `${caller} needs, unless both are in one account and the trust policy names it in full:`,
    '',
    policyText(actions, [step.roleArn]),
  ];
}

/** A session of a role as the role, the way policies name it. A path that the role may have is not in a session's ARN. */
function principalOf(arn: string): string {
  const role = parseSessionArn(arn);
  return role ? roleArnText(role) : arn;
}
