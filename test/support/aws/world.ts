/**
 * What the AWS double knows: principals, keys, policies, clusters, workgroups and the database passwords it has made.
 * The services beside this file read and change it; every question of "may this caller" is asked here.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { BOTOCORE } from './botocore.js';
import { decide, type PolicyDocument, trusts } from './policy.js';
import { AwsFault } from './reply.js';

export interface Principal {
  kind: 'user' | 'role';
  arn: string;
  name: string;
  path: string;
  id: string;
  accountId: string;
  createdAt: Date;
  /** Inline policies by name. */
  inline: Map<string, PolicyDocument>;
  /** ARNs of managed policies. */
  attached: Set<string>;
  /** Of roles. */
  trust: PolicyDocument | undefined;
  /** Of roles, seconds. */
  maxSession: number;
}

export interface ManagedPolicy {
  arn: string;
  name: string;
  id: string;
  description: string | undefined;
  tags: Record<string, string>;
  createdAt: Date;
  versions: { id: string; document: string; isDefault: boolean; createdAt: Date }[];
  nextVersion: number;
}

export interface Caller {
  /** As shown in messages. */
  arn: string;
  principal: Principal;
  userId: string;
  /** Tags of the session, and which of them pass on to the next role. */
  tags: Record<string, string>;
  transitiveTags: string[];
  sessionPolicy: PolicyDocument | undefined;
}

export interface AccessKey {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string | undefined;
  expiresAtMs: number;
  caller: Caller;
}

export interface Cluster {
  id: string;
  region: string;
  accountId: string;
  endpoint: { address: string; port: number } | undefined;
  tags: Record<string, string>;
  status: string;
  dbName: string;
  masterUser: string;
  vpcId: string;
  /** Redshift-managed VPC endpoints of it. */
  vpcEndpoints?: { name: string; address: string }[];
  namespaceArn: string;
  createdAt: Date;
}

export interface Workgroup {
  id: string;
  name: string;
  arn: string;
  namespace: string;
  region: string;
  accountId: string;
  endpoint: { address: string; port: number } | undefined;
  tags: Record<string, string>;
  status: string;
  vpcId: string | undefined;
  createdAt: Date;
}

export interface VpcEndpoint {
  name: string;
  arn: string;
  workgroup: string;
  region: string;
  address: string;
  port: number;
  status: string;
  vpcId: string;
}

/** A name of its owner in front of a cluster or a workgroup. */
export interface CustomDomain {
  name: string;
  region: string;
  clusterId: string | undefined;
  workgroup: string | undefined;
}

/** A database password that a call has made. */
export interface Grant {
  clusterId: string | undefined;
  workgroup: string | undefined;
  /** With its prefix, as the driver must send it. */
  user: string;
  password: string;
  /** undefined: any database. */
  database: string | undefined;
  groups: string[];
  /** The user is made when it is missing. */
  autoCreate: boolean;
  /** The role's name in the database. */
  databaseUser: string;
  expiresAtMs: number;
}

export interface World {
  accountId: string;
  region: string;
  now(): number;
  principals: Map<string, Principal>;
  policies: Map<string, ManagedPolicy>;
  keys: Map<string, AccessKey>;
  clusters: Cluster[];
  workgroups: Workgroup[];
  endpoints: VpcEndpoint[];
  customDomains: CustomDomain[];
  grants: Grant[];
  webIdentities: Map<string, { provider: string; subject: string; audience: string }>;
  /** Most elements on one page of a listing. */
  pageSize: number;
  /** Name of the role that the metadata service hands out. */
  instanceProfile: string | undefined;
}

/** What botocore knows of a region's partition: the double must not learn it from what it tests. */
export function partitionFacts(region: string) {
  return BOTOCORE.find(({ regionRegex }) => new RegExp(regionRegex).test(region)) ?? BOTOCORE[0]!;
}

export function partitionOf(region: string): string {
  return partitionFacts(region).id;
}

export function addPrincipal(
  world: World,
  kind: 'user' | 'role',
  name: string,
  options: { accountId?: string; path?: string; trust?: PolicyDocument; maxSession?: number } = {},
): Principal {
  const accountId = options.accountId ?? world.accountId;
  const path = options.path ?? '/';
  const principal: Principal = {
    kind,
    name,
    path,
    accountId,
    arn: `arn:${partitionOf(world.region)}:iam::${accountId}:${kind}${path}${name}`,
    id: `${kind === 'user' ? 'AIDA' : 'AROA'}${randomId()}`,
    createdAt: new Date(world.now()),
    inline: new Map(),
    attached: new Set(),
    trust: options.trust,
    maxSession: options.maxSession ?? 3600,
  };
  world.principals.set(principal.arn, principal);
  return principal;
}

/** A key of a user (without end) or of a session of a role. */
export function addKey(
  world: World,
  principal: Principal,
  session?: { name: string; seconds: number } & Partial<Pick<Caller, 'tags' | 'transitiveTags' | 'sessionPolicy'>>,
): AccessKey {
  const sessionArn = principal.arn
    .replace(':iam:', ':sts:')
    .replace(`:role${principal.path}`, ':assumed-role/')
    .concat(`/${session?.name}`);
  const key: AccessKey = {
    accessKeyId: `${session ? 'ASIA' : 'AKIA'}${randomId()}`,
    secretAccessKey: randomBytes(30).toString('base64'),
    sessionToken: session ? randomBytes(180).toString('base64') : undefined,
    expiresAtMs: session ? world.now() + session.seconds * 1000 : Number.POSITIVE_INFINITY,
    caller: {
      arn: session ? sessionArn : principal.arn,
      principal,
      userId: session ? `${principal.id}:${session.name}` : principal.id,
      tags: session?.tags ?? {},
      transitiveTags: session?.transitiveTags ?? [],
      sessionPolicy: session?.sessionPolicy,
    },
  };
  world.keys.set(key.accessKeyId, key);
  return key;
}

/** Throws AWS's AccessDenied unless the caller's own policies allow the action on every resource. */
export function authorize(world: World, caller: Caller, action: string, resources: string[], context = {}): void {
  for (const resource of resources) {
    const decision = identityDecision(world, caller, action, resource, context);
    if (decision === 'allow') continue;
    const why =
      decision === 'deny'
        ? 'with an explicit deny in an identity-based policy'
        : `because no identity-based policy allows the ${action} action`;
    throw new AwsFault('AccessDenied', `${refusal(caller, action, resource)} ${why}`);
  }
}

/** Throws AWS's AccessDenied unless role and caller agree that the caller may take the role. */
export function authorizeAssume(
  world: World,
  caller: Caller,
  roleArn: string,
  action: 'sts:AssumeRole' | 'sts:TagSession',
  context: Record<string, string | undefined>,
): Principal {
  const denied = new AwsFault('AccessDenied', refusal(caller, action, roleArn));
  const role = world.principals.get(roleArn);
  if (role?.kind !== 'role' || role.trust === undefined) throw denied;
  const who = { arn: caller.arn, principalArn: caller.principal.arn, accountId: caller.principal.accountId };
  const full = { ...context, 'aws:principalarn': caller.principal.arn };
  const trust = trusts(role.trust, who, { action, context: full });
  if (trust === 'none' || trust === 'deny') throw denied;
  const own = identityDecision(world, caller, action, roleArn, context);
  const sameAccount = role.accountId === caller.principal.accountId;
  // Within one account it is enough that the role names the caller itself; otherwise the caller must be allowed too.
  if (own === 'deny' || (own === 'none' && !(sameAccount && trust === 'direct'))) throw denied;
  return role;
}

function identityDecision(world: World, caller: Caller, action: string, resource: string, context: object) {
  const tags = Object.entries(caller.tags).map(([key, value]) => [`aws:principaltag/${key.toLowerCase()}`, value]);
  const question = { action, resource, context: { ...Object.fromEntries(tags), ...context } };
  const decision = decide(documentsOf(world, caller.principal), question);
  if (decision !== 'allow' || caller.sessionPolicy === undefined) return decision;
  return decide([caller.sessionPolicy], question);
}

function documentsOf(world: World, principal: Principal): PolicyDocument[] {
  const managed = [...principal.attached].map((arn) => world.policies.get(arn)?.versions.find((one) => one.isDefault));
  return [
    ...principal.inline.values(),
    ...managed.filter((one) => one !== undefined).map((one) => JSON.parse(one.document) as PolicyDocument),
  ];
}

const refusal = (caller: Caller, action: string, resource: string) =>
  `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${resource}`;

/** 16 capital letters and digits. */
export function randomId(): string {
  return randomUUID().replaceAll('-', '').toUpperCase().slice(0, 16);
}

/** One page of a listing and the marker of the next. */
export function page<T>(all: T[], marker: string | undefined, size: number): { items: T[]; next: string | undefined } {
  const from = marker ? Number(marker.replace(/^marker-/, '')) : 0;
  if (!Number.isInteger(from) || from < 0) throw new AwsFault('InvalidParameterValue', `Invalid Marker: ${marker}`);
  return { items: all.slice(from, from + size), next: from + size < all.length ? `marker-${from + size}` : undefined };
}
