/**
 * An IAM policy as text: JSON with four spaces, keys in AWS's order. A list of one element is a plain string, unless the
 * statement keeps its list.
 *
 * Source: database-service.md section 12.6.
 */

export interface PolicyStatement {
  sid?: string;
  effect: 'Allow' | 'Deny';
  actions: readonly string[];
  resources: readonly string[];
  /** Write `Resource` as a list though it has one element. */
  keepsList?: boolean;
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
