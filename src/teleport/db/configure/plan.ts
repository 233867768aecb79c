/**
 * Which IAM identity needs which permissions for a configuration: pure, from the database types, the roles to assume and
 * the target that was named. One pass is one policy and what it is attached to.
 *
 * Source: database-service.md 12.4; Teleport's guide on bootstrapping with assume_role_arn.
 */
import { accountOf, isArn, roleArnText } from '../../../aws/arn.js';
import { agentStatements, type IamType, PLACEHOLDER_ARN, PLACEHOLDER_USER } from '../../../aws/iam-policy.js';
import type { PolicyStatement } from '../../../aws/policy-document.js';
import { TeleportError } from '../../../errors.js';

export interface Assumed {
  /** Empty: the service's own identity. */
  roleArn: string;
  externalId?: string | undefined;
}

/** What a configuration serves. */
export interface Served {
  databases: readonly (Assumed & { type: IamType | undefined })[];
  matchers: readonly (Assumed & { types: readonly IamType[] })[];
  /** Roles of `db_service.resources`. */
  resources: readonly Assumed[];
}

export interface PolicyBearer {
  kind: 'role' | 'user';
  name: string;
  arn: string;
  /** `*` when nobody was asked. */
  accountId: string;
  partition: string;
}

export interface Target {
  kind: 'role' | 'user';
  /** Name, or ARN. */
  name: string;
}

export interface Pass {
  accountId: string;
  statements: PolicyStatement[];
  target: { kind: 'role' | 'user'; name: string };
  /** Act as this role: it is not the one of our credentials. */
  as?: Assumed;
}

export interface Plan {
  passes: Pass[];
  /** Lines for the person. */
  skipped: string[];
}

export interface PlanOptions {
  identity: PolicyBearer;
  target?: Target | undefined;
  /** More roles that the service's own identity may assume, names or ARNs. */
  assumesRoles?: readonly string[];
  manual: boolean;
}

/** Who stands for the caller as long as AWS is not asked. */
export const NOBODY: PolicyBearer = {
  kind: 'user',
  name: PLACEHOLDER_USER,
  arn: PLACEHOLDER_ARN,
  accountId: '*',
  partition: '*',
};

/** @throws BadParameter when a short role name could be any of several roles */
export function planPolicies(served: Served, options: PlanOptions): Plan {
  const { identity, target } = options;
  const roles = rolesOf(served);
  if (target?.kind !== 'role') return plan(defaultPasses(served, options), []);
  const named = fullRoleArn(target.name, roles, options);
  const base = { ...basePass(served, options), target: { kind: 'role' as const, name: shortName(target.name) } };
  if (named === undefined) return plan([base], []);
  const match = roles.find(({ roleArn }) => roleArn === named);
  const hasBase = served.matchers.length === 0 || served.matchers.some(({ roleArn }) => roleArn === '');
  if (accountIn(named) !== identity.accountId && (match === undefined || hasBase || !options.manual)) {
    const line = `⚠️ Skipping matchers with identity "${identity.name}": policy target "${named}" is unreachable from assumed role "${identity.arn}"`;
    return plan(match !== undefined && options.manual ? [rolePass(served, match)] : [], [line]);
  }
  if (match === undefined) return plan([base], []);
  const { as: _as, ...own } = rolePass(served, match);
  return plan([own], []);
}

function plan(passes: Pass[], skipped: string[]): Plan {
  return { passes: passes.filter(({ statements }) => statements.length > 0), skipped };
}

/** The base identity, unless every matcher has a role; then each role of a matcher. */
function defaultPasses(served: Served, options: PlanOptions): Pass[] {
  const { target } = options;
  const matcherRoles = unique(served.matchers.filter(({ roleArn }) => roleArn !== ''));
  const hasBase = served.matchers.length === 0 || served.matchers.some(({ roleArn }) => roleArn === '');
  const passes = [...(hasBase ? [basePass(served, options)] : []), ...matcherRoles.map((r) => rolePass(served, r))];
  return target ? passes.map((pass) => ({ ...pass, target: { ...target, name: shortName(target.name) } })) : passes;
}

/** What the service itself needs: everything without a role, and to assume every role. */
function basePass(served: Served, { identity, assumesRoles = [] }: PlanOptions): Pass {
  return {
    accountId: identity.accountId,
    statements: agentStatements({
      types: typesOf(served, ''),
      assumesRoles: [...rolesOf(served).map(({ roleArn }) => roleArn), ...assumesRoles],
    }),
    target: { kind: identity.kind, name: identity.name },
  };
}

function rolePass(served: Served, role: Assumed): Pass {
  return {
    accountId: accountIn(role.roleArn),
    statements: agentStatements({ types: typesOf(served, role.roleArn) }),
    target: { kind: 'role', name: shortName(role.roleArn) },
    as: role,
  };
}

function typesOf({ databases, matchers }: Served, roleArn: string): IamType[] {
  return [
    ...matchers.filter((one) => one.roleArn === roleArn).flatMap(({ types }) => types),
    ...databases.filter((one) => one.roleArn === roleArn).flatMap(({ type }) => type ?? []),
  ];
}

/** Every role of the configuration, once, in its order. */
function rolesOf({ databases, matchers, resources }: Served): Assumed[] {
  return unique([...matchers, ...databases, ...resources].filter(({ roleArn }) => roleArn !== ''));
}

/** The target as ARN; undefined where only its name is known and that is enough. */
function fullRoleArn(name: string, roles: readonly Assumed[], options: PlanOptions): string | undefined {
  if (isArn(name)) return name;
  if (roles.length === 0) return undefined;
  if (options.manual) {
    throw new TeleportError(
      'BadParameter',
      `unable to determine required permissions for policy attachment target "${name}" in manual mode, please specify the full role ARN`,
    );
  }
  const { accountId, partition } = options.identity;
  const known = roles.find(({ roleArn }) => accountIn(roleArn) === accountId && shortName(roleArn) === shortName(name));
  return known?.roleArn ?? roleArnText({ partition, accountId, name });
}

function unique(roles: readonly Assumed[]): Assumed[] {
  return roles
    .filter((one, i) => roles.findIndex(({ roleArn }) => roleArn === one.roleArn) === i)
    .map(({ roleArn, externalId }) => ({ roleArn, externalId }));
}

function accountIn(roleArn: string): string {
  return accountOf(roleArn) ?? '*';
}

/** Last part of an ARN or path. */
function shortName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
