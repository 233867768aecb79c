/**
 * The IAM permissions of an agent, by database type, as data, and how `teleport db configure aws print-iam` shows them.
 *
 * Statements of the published IAM reference carry its Sids, in its order. What an agent needs beyond that page, to
 * discover databases, follows without Sid. Source: the reference page "Database Access AWS IAM", database-service.md 12.
 */
import { TeleportError } from '../errors.js';
import { arnText, isArn, roleArnText } from './arn.js';
import { formatPolicy, type PolicyStatement } from './policy-document.js';

export const IAM_TYPES = [
  'rds',
  'rdsproxy',
  'redshift',
  'redshift-serverless',
  'elasticache',
  'elasticache-serverless',
  'memorydb',
  'keyspace',
  'dynamodb',
  'opensearch',
  'docdb',
] as const;
export type IamType = (typeof IAM_TYPES)[number];

/** Other spellings of types, as the reference page has them. */
const ALIASES: Record<string, IamType> = { documentdb: 'docdb', keyspaces: 'keyspace' };

export const DEFAULT_POLICY_NAME = 'DatabaseAccess';
/** Stands for the target when neither a role nor a user was named. */
export const PLACEHOLDER_USER = 'username';
export const PLACEHOLDER_ARN = arnText({
  partition: '*',
  service: 'iam',
  accountId: '*',
  resource: `user/${PLACEHOLDER_USER}`,
});

/** Stands in a type's statements where the roles to assume belong; without such roles the statement is left out. */
const ROLES = 'ROLES';

const on = (
  sid: string | undefined,
  actions: string | string[],
  resources: string | string[] = '*',
): PolicyStatement => ({
  ...(sid === undefined ? {} : { sid }),
  effect: 'Allow',
  actions: [actions].flat(),
  resources: [resources].flat(),
  ...(Array.isArray(resources) ? { keepsList: true } : {}),
});
const assumes = (sid: string) => on(sid, 'sts:AssumeRole', [ROLES]);
const passwords = (sid: string) =>
  on(
    sid,
    [
      'CreateSecret',
      'DeleteSecret',
      'DescribeSecret',
      'GetSecretValue',
      'PutSecretValue',
      'TagResource',
      'UpdateSecret',
    ].map((name) => `secretsmanager:${name}`),
    [
      arnText({
        partition: '*',
        service: 'secretsmanager',
        region: '*',
        accountId: '*',
        resource: 'secret:teleport/*',
      }),
    ],
  );

const STATEMENTS: Record<IamType, readonly PolicyStatement[]> = {
  rds: [
    on('RDSAutoEnableIAMAuth', ['rds:ModifyDBCluster', 'rds:ModifyDBInstance']),
    on('RDSConnect', 'rds-db:connect'),
    on('RDSFetchMetadata', ['rds:DescribeDBClusters', 'rds:DescribeDBInstances']),
  ],
  rdsproxy: [
    on('RDSProxyConnect', 'rds-db:connect'),
    on('RDSProxyFetchMetadata', ['rds:DescribeDBProxies', 'rds:DescribeDBProxyEndpoints']),
    on(undefined, 'rds:ListTagsForResource'),
  ],
  redshift: [
    on('RedshiftConnectAsDBUser', 'redshift:GetClusterCredentials'),
    assumes('RedshiftConnectAsIAMRole'),
    on('RedshiftFetchMetadata', 'redshift:DescribeClusters'),
  ],
  'redshift-serverless': [
    assumes('RedshiftServerlessConnectAsIAMRole'),
    on('RedshiftServerlessFetchMetadata', [
      'redshift-serverless:GetEndpointAccess',
      'redshift-serverless:GetWorkgroup',
    ]),
    on(undefined, [
      'redshift-serverless:ListWorkgroups',
      'redshift-serverless:ListEndpointAccess',
      'redshift-serverless:ListTagsForResource',
    ]),
  ],
  elasticache: [
    on('ElastiCacheDescribeUsers', 'elasticache:DescribeUsers'),
    on('ElastiCacheConnect', 'elasticache:Connect'),
    on('ElastiCacheManageUsers', [
      'elasticache:DescribeUsers',
      'elasticache:ModifyUser',
      'elasticache:ListTagsForResource',
    ]),
    passwords('ElastiCacheManagePasswords'),
    on(undefined, [
      'elasticache:DescribeReplicationGroups',
      'elasticache:DescribeCacheClusters',
      'elasticache:DescribeCacheSubnetGroups',
    ]),
  ],
  'elasticache-serverless': [
    on(undefined, [
      'ec2:DescribeSubnets',
      'elasticache:DescribeServerlessCaches',
      'elasticache:ListTagsForResource',
      'elasticache:Connect',
      'elasticache:DescribeUsers',
    ]),
  ],
  memorydb: [
    on('MemoryDBDescribeUsers', 'memorydb:DescribeUsers'),
    on('MemoryDBConnect', 'memorydb:Connect'),
    on('MemoryDBManageUsers', ['memorydb:DescribeUsers', 'memorydb:UpdateUser', 'memorydb:ListTags']),
    passwords('MemoryDBManagePasswords'),
    on(undefined, ['memorydb:DescribeClusters', 'memorydb:DescribeSubnetGroups']),
  ],
  keyspace: [assumes('KeyspacesConnectAsIAMRole')],
  dynamodb: [assumes('DynamoDBConnectAsIAMRole'), on('DynamoDBSessionTagging', 'sts:TagSession', ['*'])],
  opensearch: [
    on('OpenSearchCheckDomainURL', 'es:DescribeDomains', ['*']),
    assumes('OpenSearchConnectAsIAMRole'),
    on(undefined, ['es:ListDomainNames', 'es:ListTags']),
  ],
  docdb: [assumes('DocumentDBConnectAsIAMRole'), on('DocumentDBCheckDomainURL', 'rds:DescribeDBClusters')],
};

/**
 * The types of a `--types` flag, in AWS's fixed order, each once.
 *
 * @throws TeleportError `BadParameter` with the accepted names
 */
export function parseIamTypes(flag: readonly string[]): IamType[] {
  const names = flag
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
  const wanted = names.map((name) => {
    const type = ALIASES[name] ?? IAM_TYPES.find((one) => one === name);
    if (type !== undefined) return type;
    throw new TeleportError(
      'BadParameter',
      `--types ${JSON.stringify(name)} not supported. supported types are: ${IAM_TYPES.join(', ')}`,
    );
  });
  return IAM_TYPES.filter((type) => wanted.includes(type));
}

/** `NAME` → `arn:*:iam::*:role/NAME`; an ARN stays. Sorted, each once. */
export function roleResources(roles: readonly string[]): string[] {
  const arns = roles.map((role) =>
    isArn(role) ? role : roleArnText({ partition: '*', accountId: '*', name: role.replace(/^role\//, '') }),
  );
  return [...new Set(arns)].sort();
}

/**
 * What an agent may do that serves these types and assumes these roles. Within a type every statement stands as the
 * reference has it; an action that an earlier type already has on the same resources is not repeated.
 */
export function agentStatements(options: {
  types: readonly IamType[];
  assumesRoles?: readonly string[];
}): PolicyStatement[] {
  const roles = roleResources(options.assumesRoles ?? []);
  const types = IAM_TYPES.filter((type) => options.types.includes(type));
  const written: PolicyStatement[] = [];
  for (const [index, type] of types.entries()) {
    const own = STATEMENTS[type].flatMap((statement) => withRoles(statement, roles));
    written.push(...own.flatMap((statement) => withoutKnown(statement, index === 0 ? [] : written, own)));
  }
  const assumed = written.some(({ actions }) => actions.includes('sts:AssumeRole'));
  // No type had a place of its own for it: Teleport writes it after the first type.
  if (roles.length > 0 && !assumed) {
    const first = types[0] === undefined ? 0 : STATEMENTS[types[0]].length;
    written.splice(Math.min(first, written.length), 0, on(undefined, 'sts:AssumeRole', roles));
  }
  return written;
}

function withRoles(statement: PolicyStatement, roles: readonly string[]): PolicyStatement[] {
  if (!statement.resources.includes(ROLES)) return [statement];
  return roles.length === 0 ? [] : [{ ...statement, resources: roles }];
}

function withoutKnown(
  statement: PolicyStatement,
  written: readonly PolicyStatement[],
  own: readonly PolicyStatement[],
): PolicyStatement[] {
  const earlier = written.filter((one) => !own.includes(one));
  const known = (action: string) =>
    earlier.some((one) => one.actions.includes(action) && String(one.resources) === String(statement.resources));
  const actions = statement.actions.filter((action) => !known(action));
  return actions.length === 0 ? [] : [{ ...statement, actions }];
}

export interface PrintIamOptions {
  types: readonly IamType[];
  assumesRoles?: readonly string[];
  /** Name of the role or the user that gets the policy; at most one of the two. */
  role?: string | undefined;
  user?: string | undefined;
  policyName?: string | undefined;
  /** Only the JSON. */
  policyOnly?: boolean | undefined;
}

/**
 * The output of `print-iam`, with its last line break.
 *
 * @throws TeleportError `BadParameter` without types and roles, or with both targets
 */
export function printIam(options: PrintIamOptions): string {
  const { types, assumesRoles = [], role, user, policyName = DEFAULT_POLICY_NAME } = options;
  if (types.length === 0 && assumesRoles.length === 0) {
    throw new TeleportError(
      'BadParameter',
      `at least one of --assumes-roles or --types should be provided. Valid --types: ${IAM_TYPES.join(',')}`,
    );
  }
  if (role && user) throw new TeleportError('BadParameter', '--role and --user exclude each other');
  const target = role || user || PLACEHOLDER_USER;
  const statements = agentStatements({ types, assumesRoles });
  if (options.policyOnly) return `${formatPolicy(statements)}\n`;
  const nothing = "The agent doesn't require any extra configuration.\n";
  // Offline nobody knows our account, so an ARN may lie in another one.
  if (isArn(target)) {
    const who = JSON.stringify(PLACEHOLDER_USER);
    const reach = `policy target ${JSON.stringify(target)} is unreachable from assumed role "${PLACEHOLDER_ARN}"`;
    return `⚠️ Skipping matchers with identity ${who}: ${reach}\n${nothing}`;
  }
  if (statements.length === 0) return nothing;
  return `1. [*] Create IAM Policy "${policyName}":\n${formatPolicy(statements)}\n\n2. [*] Attach IAM policies to "${target}".\n`;
}
