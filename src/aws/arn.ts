/**
 * ARNs, taken apart and written: the one place that knows what they look like. What database users mean is in
 * `resources/database-user.ts`. Pure. Source: AWS's ARN formats.
 */

export interface Arn {
  partition: string;
  service: string;
  region: string;
  accountId: string;
  resource: string;
}

/** An IAM role, or a session of it, whose ARN does not say the path. */
export interface RoleArn {
  partition: string;
  accountId: string;
  /** In front of the name, `''` for none. */
  path: string;
  name: string;
}

/** Whether a text is meant as an ARN. */
export function isArn(text: string): boolean {
  return text.startsWith('arn:');
}

/** `arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE`, or undefined. */
export function parseArn(text: string): Arn | undefined {
  const [, partition, service, region, accountId, resource] =
    /^arn:([^:]+):([^:]+):([^:]*):([^:]*):(.+)$/.exec(text) ?? [];
  if (!partition || !service || region === undefined || accountId === undefined || !resource) return undefined;
  return { partition, service, region, accountId, resource };
}

export function arnText({
  partition,
  service,
  region = '',
  accountId,
  resource,
}: Omit<Arn, 'region'> & { region?: string }): string {
  return `arn:${partition}:${service}:${region}:${accountId}:${resource}`;
}

/** The account that an ARN names, if it does. */
export function accountOf(arn: string): string | undefined {
  return parseArn(arn)?.accountId || undefined;
}

const ROLE = /^arn:([^:]+):iam::([^:]*):role\/(.+)$/;
const SESSION = /^arn:([^:]+):sts::([^:]*):assumed-role\/([^/]+)(?:\/.*)?$/;
const [ROLE_ANY_CASE, SESSION_ANY_CASE] = [new RegExp(ROLE, 'i'), new RegExp(SESSION, 'i')];

/** `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`, or undefined. */
export function parseRoleArn(text: string): RoleArn | undefined {
  return roleIn(ROLE.exec(text));
}

/** `arn:PARTITION:sts::ACCOUNT:assumed-role/NAME/SESSION`, or undefined. */
export function parseSessionArn(text: string): RoleArn | undefined {
  return roleIn(SESSION.exec(text));
}

/** The role of either, in whichever case it is written: IAM does not tell them apart. */
export function readRoleArn(text: string): RoleArn | undefined {
  return roleIn(ROLE_ANY_CASE.exec(text) ?? SESSION_ANY_CASE.exec(text));
}

function roleIn(match: RegExpExecArray | null): RoleArn | undefined {
  if (!match) return undefined;
  const parts = match[3]!.split('/').filter((part) => part !== '');
  return { partition: match[1]!, accountId: match[2]!, path: parts.slice(0, -1).join('/'), name: parts.at(-1) ?? '' };
}

/** The ARN of an IAM role; without a path the name may have one in front of it. */
export function roleArnText({
  partition,
  accountId,
  name,
  path = '',
}: Omit<RoleArn, 'path'> & { path?: string }): string {
  return arnText({ partition, service: 'iam', accountId, resource: `role/${path === '' ? '' : `${path}/`}${name}` });
}

/** The ARN of all sessions of a role: theirs begin with it. */
export function sessionsArnText({ partition, accountId, name }: Omit<RoleArn, 'path'>): string {
  return arnText({ partition, service: 'sts', accountId, resource: `assumed-role/${name}/` });
}

/** 12 digits. */
export function isAccountId(text: string): boolean {
  return /^\d{12}$/.test(text);
}

/** An ARN of a user, a role or a session of one, in which `*` and `?` may stand for what varies. */
export function isIdentityPattern(text: string): boolean {
  return /^arn:[\w*?-]+:(sts|iam)::[\d*?]+:./.test(text);
}
