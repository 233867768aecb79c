/**
 * IAM policies as documents and as text: JSON with four spaces, keys in AWS's order. A list of one element is a plain string,
 * unless the statement keeps its list.
 *
 * Source: database-service.md 12.6; of trust policies: the pages on IAM roles in AWS's and Teleport's guides.
 */

export interface PolicyStatement {
  sid?: string;
  effect: 'Allow' | 'Deny';
  actions: readonly string[];
  resources: readonly string[];
  /** Write `Resource` as a list though it has one element. */
  keepsList?: boolean;
}

/** Who may become a role, without the role's name. */
export interface TrustStatement {
  sid?: string;
  /** ARN of a role, a user or an account's root. */
  principal: string;
  /** An AWS service beside it: `ec2.amazonaws.com`. */
  service?: string;
  actions: readonly string[];
  externalId?: string;
}

/** What IAM takes as JSON. */
export interface PolicyDocument {
  Version: string;
  Statement: object[];
}

export function policyDocument(statements: readonly PolicyStatement[]): PolicyDocument {
  const Statement = statements.map(({ sid, effect, actions, resources, keepsList }) => ({
    ...(sid === undefined ? {} : { Sid: sid }),
    Effect: effect,
    Action: single(actions),
    Resource: keepsList ? resources : single(resources),
  }));
  return { Version: '2012-10-17', Statement };
}

/** A trust policy with one statement. */
export function trustDocument({ sid, principal, service, actions, externalId }: TrustStatement): PolicyDocument {
  const Condition = externalId === undefined ? {} : { Condition: { StringEquals: { 'sts:ExternalId': externalId } } };
  const statement = {
    ...(sid === undefined ? {} : { Sid: sid }),
    Effect: 'Allow',
    Principal: { AWS: principal, ...(service === undefined ? {} : { Service: service }) },
    Action: single(actions),
    ...Condition,
  };
  return { Version: '2012-10-17', Statement: [statement] };
}

/** Without a line break at the end. */
export function documentText(document: PolicyDocument): string {
  return JSON.stringify(document, null, 4);
}

/** Without a line break at the end. */
export function formatPolicy(statements: readonly PolicyStatement[]): string {
  return documentText(policyDocument(statements));
}

/** Without a line break at the end. */
export function formatTrustPolicy(trust: TrustStatement): string {
  return documentText(trustDocument(trust));
}

/** Most characters of a managed policy, white space not counted. Source: AWS, "IAM and AWS STS quotas". */
export const MAX_POLICY_SIZE = 6144;

/**
 * The statements in as many policies as AWS's limit asks for, in their order. A statement that is too large for a policy of its
 * own is divided by its resources.
 */
export function splitPolicy(statements: readonly PolicyStatement[], limit = MAX_POLICY_SIZE): PolicyStatement[][] {
  const policies: PolicyStatement[][] = [];
  for (const piece of statements.flatMap((statement) => pieces(statement, limit))) {
    const last = policies.at(-1);
    if (last !== undefined && sizeOf([...last, piece]) <= limit) last.push(piece);
    else policies.push([piece]);
  }
  return policies;
}

/** Each piece but the last is as large as can be, so that no two come into one policy, where their Sid would stand twice. */
function pieces(statement: PolicyStatement, limit: number): PolicyStatement[] {
  const { resources } = statement;
  if (resources.length === 1 || sizeOf([statement]) <= limit) return [statement];
  const first = (count: number) => ({ ...statement, resources: resources.slice(0, count) });
  let count = 1;
  while (sizeOf([first(count + 1)]) <= limit) count++;
  return [first(count), ...pieces({ ...statement, resources: resources.slice(count) }, limit)];
}

function sizeOf(statements: readonly PolicyStatement[]): number {
  return formatPolicy(statements).replace(/\s/g, '').length;
}

function single(list: readonly string[]): string | readonly string[] {
  return list.length === 1 ? list[0]! : list;
}
