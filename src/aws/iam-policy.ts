/**
 * The IAM permissions of a Database Service and of the roles that people enter databases as, by database type, as data.
 *
 * Statements of the published IAM reference carry its Sids, in its order. What an agent needs beyond that page, to
 * look for databases in AWS, has no Sid. Source: the reference page "Database Access AWS IAM", database-service.md 12.
 */
import { arnText, isArn, roleArnText } from './arn.js';
import { IAM_TYPES, type IamType, pageSpelling } from './iam-types.js';
import type { PolicyStatement, TrustStatement } from './policy-document.js';

/** What ARNs are made for. Each part can be a placeholder or, in resources, `*`. */
export interface IamPlace {
  partition: string;
  accountId: string;
  region: string;
  /** A replication group of ElastiCache, a cluster of MemoryDB. */
  replicationGroup: string;
  workgroupId: string;
}

/** The reference page's placeholders, for what is not known. */
export const PLACEHOLDERS = {
  accountId: 'aws-account-id',
  region: 'us-east-2',
  replicationGroup: 'replication-group',
  workgroupId: 'workgroup-id',
  kmsKey: 'your-kms-id',
  externalAccountId: 'external-aws-account-id',
  externalId: 'example-external-id',
  role: 'teleport-db-service-role',
} as const;

/** A part of an ARN that `filled` puts in. */
const mark = (part: keyof IamPlace) => `{${part}}`;
/** Stands in a type's statements where the roles to assume belong. */
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
const here = (service: string, resource: string, region = mark('region')) =>
  arnText({ partition: mark('partition'), service, region, accountId: mark('accountId'), resource });
const assumes = (sid: string) => on(sid, 'sts:AssumeRole', [ROLES]);
const connects = (sid: string, service: string) =>
  on(sid, `${service}:Connect`, [
    here(service, `replicationgroup:${mark('replicationGroup')}`),
    here(service, 'user:*'),
  ]);
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
    [here('secretsmanager', 'secret:teleport/*', '*')],
  );

/** Of the Database Service. */
const AGENT: Record<IamType, readonly PolicyStatement[]> = {
  rds: [
    on('RDSAutoEnableIAMAuth', ['rds:ModifyDBCluster', 'rds:ModifyDBInstance']),
    on('RDSConnect', 'rds-db:connect'),
    on('RDSFetchMetadata', ['rds:DescribeDBClusters', 'rds:DescribeDBInstances']),
  ],
  rdsproxy: [
    on('RDSProxyConnect', 'rds-db:connect'),
    on('RDSProxyFetchMetadata', ['rds:DescribeDBProxies', 'rds:DescribeDBProxyEndpoints']),
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
  ],
  elasticache: [
    on('ElastiCacheDescribeUsers', 'elasticache:DescribeUsers'),
    connects('ElastiCacheConnect', 'elasticache'),
    on('ElastiCacheManageUsers', [
      'elasticache:DescribeUsers',
      'elasticache:ModifyUser',
      'elasticache:ListTagsForResource',
    ]),
    passwords('ElastiCacheManagePasswords'),
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
    connects('MemoryDBConnect', 'memorydb'),
    on('MemoryDBManageUsers', ['memorydb:DescribeUsers', 'memorydb:UpdateUser', 'memorydb:ListTags']),
    passwords('MemoryDBManagePasswords'),
  ],
  keyspace: [assumes('KeyspacesConnectAsIAMRole')],
  dynamodb: [assumes('DynamoDBConnectAsIAMRole'), on('DynamoDBSessionTagging', 'sts:TagSession', ['*'])],
  opensearch: [on('OpenSearchCheckDomainURL', 'es:DescribeDomains', ['*']), assumes('OpenSearchConnectAsIAMRole')],
  docdb: [assumes('DocumentDBConnectAsIAMRole'), on('DocumentDBCheckDomainURL', 'rds:DescribeDBClusters')],
};

/** What looking for databases, and reading their tags, needs beside that. */
const DISCOVERY: Partial<Record<IamType, PolicyStatement>> = {
  rdsproxy: on(undefined, 'rds:ListTagsForResource'),
  'redshift-serverless': on(undefined, [
    'redshift-serverless:ListWorkgroups',
    'redshift-serverless:ListEndpointAccess',
    'redshift-serverless:ListTagsForResource',
  ]),
  elasticache: on(undefined, [
    'elasticache:DescribeReplicationGroups',
    'elasticache:DescribeCacheClusters',
    'elasticache:DescribeCacheSubnetGroups',
  ]),
  memorydb: on(undefined, ['memorydb:DescribeClusters', 'memorydb:DescribeSubnetGroups']),
  opensearch: on(undefined, ['es:ListDomainNames', 'es:ListTags']),
};

/** Of a role that people enter as. What it may do in DynamoDB and the like is not said by the page. */
const USER_ROLE: Partial<Record<IamType, PolicyStatement>> = {
  redshift: on('RedshiftConnectWithIAM', 'redshift:GetClusterCredentialsWithIAM'),
  'redshift-serverless': on(
    'RedshiftServerlessConnect',
    'redshift-serverless:GetCredentials',
    here('redshift-serverless', `workgroup/${mark('workgroupId')}`),
  ),
};

/** Types whose secrets are in Secrets Manager. */
export const SECRET_TYPES: readonly IamType[] = ['elasticache', 'memorydb'];
/** Types that people enter as an IAM role. */
export const ROLE_TYPES = IAM_TYPES.filter((type) => AGENT[type].some(({ resources }) => resources.includes(ROLES)));
/** Those whose role has a policy that the page shows. */
export const USER_ROLE_TYPES = IAM_TYPES.filter((type) => type in USER_ROLE);

/** The page's placeholder for the role that people enter databases of a type as: `redshift-user-role`. */
export function exampleRole(type: IamType): string {
  return `${pageSpelling(type)}-user-role`;
}

/** `NAME` → the ARN of that role in this place; an ARN stays. Sorted, each once. */
export function roleResources(roles: readonly string[], { partition, accountId }: IamPlace): string[] {
  const arns = roles.map((role) =>
    isArn(role) ? role : roleArnText({ partition, accountId, name: role.replace(/^role\//, '') }),
  );
  return [...new Set(arns)].sort();
}

export interface AgentPolicyOptions {
  types: readonly IamType[];
  place: IamPlace;
  /** Names or ARNs. */
  assumesRoles?: readonly string[];
  /** Without roles to assume, the page's placeholders stand for them; else what needs them is left out. */
  hasExamples?: boolean;
  /** Also what looking for databases needs. */
  discovers?: boolean;
  /** ARN of the KMS key of the secrets. */
  kmsKey?: string | undefined;
}

/** What a Database Service may do that serves these types and assumes these roles; every statement as the page has it. */
export function agentStatements(options: AgentPolicyOptions): PolicyStatement[] {
  const { place, assumesRoles = [], hasExamples = false, discovers = false, kmsKey } = options;
  const types = IAM_TYPES.filter((type) => options.types.includes(type));
  const rolesOf = (type: IamType) => (assumesRoles.length === 0 && hasExamples ? [exampleRole(type)] : assumesRoles);
  const written = types.flatMap((type) => {
    const roles = roleResources(rolesOf(type), place);
    const own = AGENT[type].flatMap((statement) => withRoles(statement, roles));
    const discovery = discovers ? DISCOVERY[type] : undefined;
    return [...own, ...(discovery ? [discovery] : [])];
  });
  // No type had a place of its own for them.
  if (assumesRoles.length > 0 && !types.some((type) => ROLE_TYPES.includes(type))) {
    written.push(assumeRoles(roleResources(assumesRoles, place)));
  }
  if (kmsKey !== undefined) written.push(on(undefined, ['kms:Decrypt', 'kms:GenerateDataKey'], [kmsKey]));
  return written.map((statement) => filled(statement, place));
}

/** What may only look for databases of these types, and leaves entering them to others: as much as there is to find. */
export function searchStatements(types: readonly IamType[]): PolicyStatement[] {
  const redshift = AGENT.redshift.filter(({ sid }) => sid === 'RedshiftFetchMetadata');
  const serverless = [DISCOVERY['redshift-serverless']!];
  return [
    ...(types.includes('redshift') ? redshift : []),
    ...(types.includes('redshift-serverless') ? serverless : []),
  ];
}

/** Sids of the statements that `agentStatements` left out because it knew no role to assume. */
export function leftOut(types: readonly IamType[]): string[] {
  return types.flatMap((type) => AGENT[type]).flatMap(({ sid, resources }) => (resources.includes(ROLES) ? sid! : []));
}

/** What a role may do that people enter databases of these types as; other types than `USER_ROLE_TYPES` add nothing. */
export function userRoleStatements(types: readonly IamType[], place: IamPlace): PolicyStatement[] {
  return USER_ROLE_TYPES.filter((type) => types.includes(type)).map((type) => filled(USER_ROLE[type]!, place));
}

/** What the permissions boundary of a Database Service has to have in it, beside its other permissions. */
export function boundaryStatements(): PolicyStatement[] {
  return [assumeRoles(['*'])];
}

function assumeRoles(resources: string[]): PolicyStatement {
  return { effect: 'Allow', actions: ['sts:AssumeRole'], resources };
}

export type TrustName = 'role' | 'account' | 'external-account' | 'ec2';

/**
 * The ways in which a role that people enter as can trust the Database Service: its role (or user), its account, its role from
 * another account, and its role together with EC2 instances that have the role themselves.
 *
 * @param principal  ARN of the Database Service's role or user
 * @param external.principal  the same, seen from another account
 * Source: the reference page, "Configure Trust Relationships"; the guide to Redshift Serverless, step 1
 */
export function trusts(
  principal: string,
  { partition, accountId }: IamPlace,
  external: { principal: string; externalId: string },
): Record<TrustName, TrustStatement> {
  const actions = ['sts:AssumeRole'];
  return {
    role: { principal, actions },
    account: { principal: arnText({ partition, service: 'iam', accountId, resource: 'root' }), actions },
    'external-account': { ...external, actions },
    ec2: { sid: 'Statement1', principal, service: 'ec2.amazonaws.com', actions },
  };
}

function withRoles(statement: PolicyStatement, roles: readonly string[]): PolicyStatement[] {
  if (!statement.resources.includes(ROLES)) return [statement];
  return roles.length === 0 ? [] : [{ ...statement, resources: roles }];
}

function filled(statement: PolicyStatement, place: IamPlace): PolicyStatement {
  const resources = statement.resources.map((text) =>
    text.replace(/\{(\w+)\}/g, (text, part: string) => place[part as keyof IamPlace] ?? text),
  );
  return { ...statement, resources };
}
