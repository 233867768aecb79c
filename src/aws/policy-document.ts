/**
 * An IAM policy as text: JSON with four spaces, keys in AWS's order. A list of one element is a plain string, unless the
 * statement keeps its list.
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

/** A trust policy with one statement: who may become the role, without the role's name. No line break at the end. */
export function formatTrustPolicy(trust: {
  principal: string;
  actions: readonly string[];
  externalId?: string;
}): string {
  const { principal, actions, externalId } = trust;
  const Condition = externalId === undefined ? {} : { Condition: { StringEquals: { 'sts:ExternalId': externalId } } };
  const Statement = [{ Effect: 'Allow', Principal: { AWS: principal }, Action: single(actions), ...Condition }];
  return JSON.stringify({ Version: '2012-10-17', Statement }, null, 4);
}

/** Without a line break at the end. */
export function formatPolicy(statements: readonly PolicyStatement[]): string {
  const Statement = statements.map(({ sid, effect, actions, resources, keepsList }) => ({
    ...(sid === undefined ? {} : { Sid: sid }),
    Effect: effect,
    Action: single(actions),
    Resource: keepsList ? resources : single(resources),
  }));
  return JSON.stringify({ Version: '2012-10-17', Statement }, null, 4);
}

function single(list: readonly string[]): string | readonly string[] {
  return list.length === 1 ? list[0]! : list;
}
