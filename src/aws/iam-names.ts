/**
 * What people type of IAM, checked before AWS sees it: names and ARNs of roles and users, KMS keys, names of policies. Pure.
 *
 * Source: AWS, "IAM identifiers" and "IAM and AWS STS quotas"; AWS KMS, "Key identifiers".
 */
import { TeleportError } from '../errors.js';
import { type Arn, arnText, isAccountId, isArn, parseArn, parseSessionArn, roleArnText } from './arn.js';
import { isPartition } from './partitions.js';

/** A role or a user: who gets a policy. What is not known is left out. */
export interface PolicyBearer {
  kind: 'role' | 'user';
  /** Without path. */
  name: string;
  arn?: string | undefined;
  accountId?: string | undefined;
  partition?: string | undefined;
}

const NAME = /^[\w+=,.@-]+$/;
/** Characters. */
const LONGEST_NAME = { role: 64, user: 64, policy: 128 } as const;

/** @param text  name, with its path or without, or ARN. @throws BadParameter for what can be neither */
export function parseBearer(kind: PolicyBearer['kind'], text: string): PolicyBearer {
  if (!isArn(text)) {
    const name = text.slice(text.lastIndexOf('/') + 1);
    checkName(kind, name);
    return { kind, name };
  }
  const arn = parseArn(text);
  const [, found, name = ''] = /^(role|user)\/(?:.+\/)?([^/]+)$/.exec(arn?.resource ?? '') ?? [];
  if (arn?.service !== 'iam' || arn.region !== '' || found !== kind) {
    const session = parseSessionArn(text);
    const hint =
      session && `It is a session of a role. Give the role: ${roleArnText(session)}, with its path if it has one.`;
    throw new TeleportError('BadParameter', `${JSON.stringify(text)} is not the ARN of an IAM ${kind}`, { hint });
  }
  checkPlace(text, arn);
  checkName(kind, name);
  return { kind, name, arn: text, accountId: arn.accountId, partition: arn.partition };
}

/**
 * Roles as people name them.
 *
 * @param partition  of who assumes them, when it is known
 * @throws BadParameter for what is not the name or ARN of a role, and for a role of another partition
 */
export function checkRoles(roles: readonly string[], partition: string | undefined): void {
  for (const role of roles) {
    const { arn, partition: own } = parseBearer('role', isArn(role) ? role : role.replace(/^role\//, ''));
    if (arn !== undefined && own !== undefined) checkPartition(`IAM role ${arn}`, own, partition);
  }
}

/** @throws BadParameter, since no role is assumed and no key used from another partition */
export function checkPartition(what: string, own: string, wanted: string | undefined): void {
  if (wanted === undefined || wanted === own) return;
  throw new TeleportError(
    'BadParameter',
    `${what} is in the partition ${own}, the Database Service in ${wanted}; one partition cannot reach the other`,
  );
}

/**
 * A KMS key's ARN from its id, or as it is.
 *
 * @param place.placeholder  may stand for an id
 * @throws BadParameter for an alias, which does not count in a policy, and for what cannot be a key
 */
export function kmsKeyArn(
  text: string,
  { partition, accountId, placeholder }: { partition: string; accountId: string; placeholder?: string | undefined },
): string {
  if (!isArn(text)) {
    if (text !== placeholder) checkKeyId(text, text);
    return arnText({ partition, service: 'kms', region: '*', accountId, resource: `key/${text}` });
  }
  const arn = parseArn(text);
  if (arn?.service !== 'kms') {
    throw new TeleportError('BadParameter', `${JSON.stringify(text)} is not the ARN of a KMS key`);
  }
  checkKeyId(text, arn.resource.replace(/^key\//, ''));
  checkPlace(text, arn);
  checkPartition(`KMS key ${text}`, arn.partition, partition);
  return text;
}

/** @throws BadParameter */
export function checkPolicyName(name: string): void {
  checkName('policy', name);
}

const KEY_ID = /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})$/i;

function checkKeyId(text: string, id: string): void {
  if (KEY_ID.test(id)) return;
  const hint = id.startsWith('alias/')
    ? 'A policy needs the key itself, not an alias: aws kms describe-key shows its KeyId and Arn.'
    : 'Keys look like 1234abcd-12ab-34cd-56ef-1234567890ab.';
  throw new TeleportError('BadParameter', `${JSON.stringify(text)} is not the id or ARN of a KMS key`, { hint });
}

function checkPlace(text: string, { partition, accountId }: Arn): void {
  if (!isPartition(partition)) {
    throw new TeleportError(
      'BadParameter',
      `${JSON.stringify(text)}: AWS has no partition ${JSON.stringify(partition)}`,
    );
  }
  if (!isAccountId(accountId)) {
    throw new TeleportError('BadParameter', `${JSON.stringify(text)}: an AWS account has 12 digits`);
  }
}

function checkName(kind: keyof typeof LONGEST_NAME, name: string): void {
  const most = LONGEST_NAME[kind];
  if (NAME.test(name) && name.length <= most) return;
  throw new TeleportError('BadParameter', `${JSON.stringify(name)} cannot be the name of an IAM ${kind}`, {
    hint: `IAM takes 1 to ${most} letters, digits and + = , . @ _ -`,
  });
}
