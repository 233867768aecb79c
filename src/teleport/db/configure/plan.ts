/**
 * Which permissions an IAM identity needs for a configuration: pure, from the database types, the roles to assume and who the
 * identity is.
 *
 * One that a database or matcher assumes needs what these databases need. Any other is the Database Service's own: it needs
 * what all databases without a role need, and may assume every role. Source: Teleport's guide to Redshift Serverless,
 * "Bootstrapping with assume_role_arn"; database-service.md 12.4.
 */
import { isArn, parseArn } from '../../../aws/arn.js';
import { checkPolicyName, checkRoles, type PolicyBearer, parseBearer } from '../../../aws/iam-names.js';
import { agentStatements, type IamPlace, leftOut, PLACEHOLDERS, searchStatements } from '../../../aws/iam-policy.js';
import type { IamType } from '../../../aws/iam-types.js';
import { formatPolicy, type PolicyStatement, splitPolicy } from '../../../aws/policy-document.js';
import { TeleportError } from '../../../errors.js';

/** Stands for the target in what is printed when neither a role nor a user was named. */
export const PLACEHOLDER_USER = 'username';
/** Stands for an account in what is printed when it is not known. */
export const UNKNOWN_ACCOUNT = '*';

/** What a configuration serves. A role is an ARN; empty: the service's own identity. */
export interface Served {
  databases: readonly { type: IamType | undefined; roleArn: string }[];
  matchers: readonly { types: readonly IamType[]; roleArn: string }[];
  /** What a Discovery Service looks for as itself; other agents enter what it finds. */
  searches: readonly IamType[];
  /** Roles of `db_service.resources`, whose databases are not in the file. */
  resources: readonly { roleArn: string }[];
}

/** Policies, and who gets them. */
export interface Plan {
  bearer: PolicyBearer;
  policies: { name: string; statements: PolicyStatement[] }[];
  /** Sentences for the person. */
  notes: string[];
}

export interface PlanOptions {
  bearer: PolicyBearer;
  policyName: string;
  /** More roles that it may assume: those that people enter databases as. Names or ARNs. */
  assumesRoles?: readonly string[];
}

/** @throws BadParameter when a short name could be any of several roles, and for roles of another partition */
export function planPolicies(served: Served, options: PlanOptions): Plan {
  const { assumesRoles = [], policyName } = options;
  const roles = rolesOf(served);
  const role = configuredRole(roles, options.bearer);
  const bearer = role === undefined ? options.bearer : { ...options.bearer, ...parseBearer('role', role) };
  checkRoles([...roles, ...assumesRoles], bearer.partition);
  const types = typesOf(served, role ?? '');
  const assumed = [...(role === undefined ? roles : []), ...assumesRoles];
  const place = anyIn(bearer, roles);
  const searched = role === undefined ? served.searches.filter((type) => !types.includes(type)) : [];
  const statements = [
    ...agentStatements({ types, place, assumesRoles: assumed, discovers: true }),
    ...searchStatements(searched),
  ];
  return {
    bearer,
    policies: namedPolicies(policyName, statements),
    notes: [
      ...(role !== undefined && options.bearer.arn === undefined
        ? [`"${options.bearer.name}" is the role ${role} of the configuration.`]
        : []),
      ...(role === undefined ? roles.map((one) => `The configuration assumes ${one}: run this once for it too.`) : []),
      ...notesOnRoles(types, assumed),
      ...(statements.length === 0 && served.resources.some(({ roleArn }) => roleArn === (role ?? ''))
        ? ['The databases of "resources" are not in the file: "teleport db configure aws" takes their types.']
        : []),
    ],
  };
}

/** As many policies as AWS's limit of size asks for: NAME, NAME-2, … @throws BadParameter for what cannot be a name */
export function namedPolicies(name: string, statements: readonly PolicyStatement[]): Plan['policies'] {
  const parts = splitPolicy(statements).map((part, i) => ({
    name: i === 0 ? name : `${name}-${i + 1}`,
    statements: part,
  }));
  checkPolicyName(parts.at(-1)?.name ?? name);
  return parts;
}

/** What is left out where no role to assume is known. */
export function notesOnRoles(types: readonly IamType[], assumed: readonly string[]): string[] {
  const sids = assumed.length === 0 ? leftOut(types) : [];
  if (sids.length === 0) return [];
  return [
    `No role that people enter as is known, which leaves out ${sids.join(', ')}. Name such roles with --assumes-roles.`,
  ];
}

/** Which words of a plan that AWS was not asked about somebody has to replace. */
export function notesOnPlaceholders({ bearer, policies }: Plan): string[] {
  const hasAccount = policies.some(({ statements }) => formatPolicy(statements).includes(PLACEHOLDERS.accountId));
  return [
    ...(hasAccount
      ? [`"${PLACEHOLDERS.accountId}" is a placeholder: your AWS account; --attach-to-role ARN fills it in.`]
      : []),
    ...(bearer.name === PLACEHOLDER_USER && policies.length > 0
      ? [
          `"${PLACEHOLDER_USER}" is a placeholder: the role or user of the Database Service; --attach-to-role or --attach-to-user fills it in.`,
        ]
      : []),
  ];
}

/** Every region and every cluster in the account of a bearer. */
export function anyIn({ accountId, partition }: PolicyBearer, roles: readonly string[] = []): IamPlace {
  return {
    partition: partition ?? roles.map((role) => parseArn(role)?.partition).find(Boolean) ?? 'aws',
    accountId: accountId ?? PLACEHOLDERS.accountId,
    region: '*',
    replicationGroup: '*',
    workgroupId: '*',
  };
}

function typesOf({ databases, matchers }: Served, roleArn: string): IamType[] {
  return [
    ...matchers.filter((one) => one.roleArn === roleArn).flatMap(({ types }) => types),
    ...databases.filter((one) => one.roleArn === roleArn).flatMap(({ type }) => type ?? []),
  ];
}

/** Every role of the configuration, once, in its order. */
function rolesOf({ databases, matchers, resources }: Served): string[] {
  const roles = [...matchers, ...databases, ...resources].map(({ roleArn }) => roleArn);
  return [...new Set(roles)].filter((role) => role !== '');
}

/** The one of these roles that the bearer is; undefined for the service's own identity. */
function configuredRole(roles: readonly string[], { kind, name, arn, accountId }: PolicyBearer): string | undefined {
  if (kind !== 'role') return undefined;
  if (arn !== undefined) return roles.find((role) => role === arn);
  const named = roles.filter((role) => {
    const own = isArn(role) ? parseBearer('role', role) : undefined;
    return own?.name === name && (accountId === undefined || own.accountId === accountId);
  });
  if (named.length < 2) return named[0];
  throw new TeleportError(
    'BadParameter',
    `"${name}" could be any of ${named.join(', ')}, please specify the full role ARN`,
  );
}
