/**
 * Policies looked at, made and attached in IAM, for `teleport db configure bootstrap` and `create-iam`, and who the
 * credentials of this process are in IAM's terms. A call that is denied is named, with the statement that would allow it.
 *
 * Source: database-service.md 12.2 and 12.5; IAM API reference.
 */
import { isTeleportError, TeleportError } from '../errors.js';
import { arnText, parseArn, parseSessionArn } from './arn.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';
import { checkPartition, type PolicyBearer } from './iam-names.js';
import { policyText, refused } from './refusal.js';
import { callerIdentity } from './sts.js';

/** A role or user whose account was asked of AWS; without ARN where its path could not be. */
export interface FoundBearer extends PolicyBearer {
  accountId: string;
  partition: string;
}

export interface IamPolicy {
  arn: string;
  name: string;
  /** JSON. */
  document: string;
}

/** `unknown`: the credentials may not ask. */
export type PolicyState = 'missing' | 'outdated' | 'current' | 'unknown';

const DESCRIPTION = 'Used by Teleport database agents for accessing AWS-hosted databases.';
/** Marks the policies that are ours to change. */
const TAG = { Key: 'teleport', Value: '' };
/** IAM's limit of versions of one policy. */
const MAX_VERSIONS = 5;
/** Pages of the policies of one role, which can have 20. Our own limit. */
const MAX_PAGES = 20;

/** @throws BadParameter for the root user, or when the role of a session cannot be looked up */
export async function currentIdentity(options: ClientOptions): Promise<FoundBearer> {
  const { arn, accountId } = await callerIdentity(options);
  const { partition = 'aws', resource = '' } = parseArn(arn) ?? {};
  const user = /^user\/(?:.*\/)?([^/]+)$/.exec(resource)?.[1];
  if (user !== undefined) return { kind: 'user', name: user, arn, accountId, partition };
  const role = parseSessionArn(arn)?.name;
  if (role === undefined)
    throw new TeleportError(
      'BadParameter',
      `the credentials belong to ${arn}, which is neither an IAM role nor a user`,
    );
  try {
    return { kind: 'role', name: role, arn: await arnOf(options, { kind: 'role', name: role }), accountId, partition };
  } catch (cause) {
    throw new TeleportError('BadParameter', `could not resolve assumed-role ${arn} to a full role ARN.`, {
      cause,
      hint: 'Name the target: --attach-to-role or --attach-to-user, of create-iam --role or --user. Or allow iam:GetRole on this role.',
    });
  }
}

/**
 * A role or user as IAM knows it, in the account of the credentials.
 *
 * @throws BadParameter for one of another account or partition, or with another path; NotFound when it does not exist
 */
export async function findBearer(options: ClientOptions, wanted: PolicyBearer): Promise<FoundBearer> {
  const { arn: own, accountId } = await callerIdentity(options);
  const { partition = 'aws' } = parseArn(own) ?? {};
  const { kind, name } = wanted;
  const text = wanted.arn ?? name;
  if (wanted.partition) checkPartition(`IAM ${kind} ${text}`, wanted.partition, partition);
  if (wanted.accountId !== undefined && wanted.accountId !== accountId) {
    throw new TeleportError(
      'BadParameter',
      `IAM ${kind} ${text} is in account ${wanted.accountId}, the credentials belong to account ${accountId}`,
      { hint: `Take credentials of account ${wanted.accountId}, or only print what is needed.` },
    );
  }
  const bearer = { kind, name, accountId, partition };
  const arn = await arnOf(options, wanted).catch((error: unknown) => {
    if (isTeleportError(error, 'NotFound')) throw notThere(bearer, error);
    if (isDenied(error)) return wanted.arn;
    throw error;
  });
  if (wanted.arn !== undefined && arn !== wanted.arn) {
    throw new TeleportError('BadParameter', `IAM ${kind} ${wanted.arn} does not exist; ${name} is ${arn}`);
  }
  return { ...bearer, arn };
}

/** The policy's ARN where a bearer is. */
export function policyArn({ accountId, partition }: FoundBearer, name: string): string {
  return arnText({ partition, accountId, service: 'iam', resource: `policy/${name}` });
}

/** What IAM has under a policy's name. @throws AlreadyExists for a policy of somebody else */
export async function policyState(options: ClientOptions, { arn, name, document }: IamPolicy): Promise<PolicyState> {
  return await withIam(options, async (client, sdk) => {
    try {
      const { Policy } = await aws(() => client.send(new sdk.GetPolicyCommand({ PolicyArn: arn })));
      checkOurs(name, Policy?.Tags);
      const version = { PolicyArn: arn, VersionId: Policy?.DefaultVersionId };
      const { PolicyVersion } = await aws(() => client.send(new sdk.GetPolicyVersionCommand(version)));
      return isSameJson(PolicyVersion?.Document ?? '', document) ? 'current' : 'outdated';
    } catch (error) {
      if (isTeleportError(error, 'NotFound')) return 'missing';
      if (isDenied(error)) return 'unknown';
      throw error;
    }
  });
}

/** ARNs of the managed policies of a role or user; undefined when the credentials may not ask. @throws NotFound */
export async function attachedPolicies(options: ClientOptions, bearer: FoundBearer): Promise<string[] | undefined> {
  return await withIam(options, async (client, sdk) => {
    const arns: string[] = [];
    let Marker: string | undefined;
    try {
      for (let page = 0; page < MAX_PAGES; page++) {
        const answer = await aws(() =>
          bearer.kind === 'role'
            ? client.send(new sdk.ListAttachedRolePoliciesCommand({ RoleName: bearer.name, Marker }))
            : client.send(new sdk.ListAttachedUserPoliciesCommand({ UserName: bearer.name, Marker })),
        );
        arns.push(...(answer.AttachedPolicies ?? []).flatMap(({ PolicyArn }) => PolicyArn ?? []));
        Marker = answer.Marker;
        if (!Marker) break;
      }
      return arns;
    } catch (error) {
      if (isTeleportError(error, 'NotFound')) throw notThere(bearer, error);
      if (isDenied(error)) return undefined;
      throw error;
    }
  });
}

/** Make the policy, or give the one that exists a new default version. @throws AlreadyExists for a foreign one */
export async function putPolicy(options: ClientOptions, { arn, name, document }: IamPolicy): Promise<void> {
  await withIam(options, async (client, sdk) => {
    const PolicyDocument = document;
    const made = { PolicyName: name, PolicyDocument, Description: DESCRIPTION, Tags: [TAG] };
    try {
      await asked('CreatePolicy', arn, () => client.send(new sdk.CreatePolicyCommand(made)));
      return;
    } catch (error) {
      if (!isTeleportError(error, 'AlreadyExists')) throw error;
    }
    const PolicyArn = arn;
    const { Policy } = await asked('GetPolicy', arn, () => client.send(new sdk.GetPolicyCommand({ PolicyArn })));
    checkOurs(name, Policy?.Tags);
    const { Versions = [] } = await asked('ListPolicyVersions', arn, () =>
      client.send(new sdk.ListPolicyVersionsCommand({ PolicyArn })),
    );
    if (Versions.length >= MAX_VERSIONS) {
      const [oldest] = Versions.filter((one) => !one.IsDefaultVersion).sort(
        (a, b) => (a.CreateDate?.getTime() ?? 0) - (b.CreateDate?.getTime() ?? 0) || numberOf(a) - numberOf(b),
      );
      const old = { PolicyArn, VersionId: oldest?.VersionId };
      await asked('DeletePolicyVersion', arn, () => client.send(new sdk.DeletePolicyVersionCommand(old)));
    }
    const version = { PolicyArn, PolicyDocument, SetAsDefault: true };
    await asked('CreatePolicyVersion', arn, () => client.send(new sdk.CreatePolicyVersionCommand(version)));
  });
}

/** Nothing changes when it is attached already. */
export async function attachPolicy(options: ClientOptions, arn: string, bearer: FoundBearer): Promise<void> {
  const { kind, name, accountId, partition } = bearer;
  const target = bearer.arn ?? arnText({ partition, accountId, service: 'iam', resource: `${kind}/${name}` });
  await withIam(options, async (client, sdk) => {
    if (kind === 'role') {
      const command = new sdk.AttachRolePolicyCommand({ RoleName: name, PolicyArn: arn });
      await asked('AttachRolePolicy', target, () => client.send(command));
    } else {
      const command = new sdk.AttachUserPolicyCommand({ UserName: name, PolicyArn: arn });
      await asked('AttachUserPolicy', target, () => client.send(command));
    }
  });
}

/** Its full ARN; that of a session leaves the role's path out. */
async function arnOf(options: ClientOptions, { kind, name }: PolicyBearer): Promise<string> {
  return await withIam(options, async (client, sdk) => {
    if (kind === 'user') {
      const { User } = await aws(() => client.send(new sdk.GetUserCommand({ UserName: name })));
      return User?.Arn ?? '';
    }
    const { Role } = await aws(() => client.send(new sdk.GetRoleCommand({ RoleName: name })));
    return Role?.Arn ?? '';
  });
}

/** One call; a denial says what would allow it. */
async function asked<T>(action: string, resource: string, call: () => Promise<T>): Promise<T> {
  try {
    return await aws(call);
  } catch (error) {
    if (!isDenied(error)) throw error;
    throw refused(`The credentials may not call iam:${action}:`, error, [
      'This statement would allow it:',
      '',
      policyText([`iam:${action}`], [resource]),
    ]);
  }
}

/** By a policy. Credentials that AWS does not know, or that have expired, come with a hint. */
function isDenied(error: unknown): boolean {
  return isTeleportError(error, 'AccessDenied') && error.hint === undefined;
}

function notThere({ kind, name, accountId }: FoundBearer, cause: unknown): TeleportError {
  return new TeleportError('NotFound', `IAM ${kind} "${name}" does not exist in account ${accountId}`, {
    cause,
    hint: `Check its name, and whose credentials these are: aws sts get-caller-identity`,
  });
}

function checkOurs(name: string, tags: readonly { Key?: string | undefined; Value?: string | undefined }[] = []): void {
  if (tags.some(({ Key, Value }) => Key === TAG.Key && Value === TAG.Value)) return;
  throw new TeleportError('AlreadyExists', `policy "${name}" doesn't have the tag ${TAG.Key}=""`, {
    hint: 'Somebody else made it. Choose another name for the policy.',
  });
}

/** @param encoded  as IAM gives documents: percent-encoded JSON */
function isSameJson(encoded: string, document: string): boolean {
  try {
    return JSON.stringify(JSON.parse(decodeURIComponent(encoded))) === JSON.stringify(JSON.parse(document));
  } catch {
    return false;
  }
}

function numberOf({ VersionId }: { VersionId?: string | undefined }): number {
  return Number(VersionId?.slice(1) ?? 0);
}

type Sdk = typeof import('./sdk/iam.js');

async function withIam<T>(
  options: ClientOptions,
  work: (client: InstanceType<Sdk['IAMClient']>, sdk: Sdk) => Promise<T>,
): Promise<T> {
  const sdk = await import('./sdk/iam.js');
  const client = new sdk.IAMClient(await clientConfig(options));
  try {
    return await work(client, sdk);
  } finally {
    client.destroy();
  }
}
