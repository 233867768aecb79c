/**
 * Policies made and attached in IAM, for `teleport db configure bootstrap` and `create-iam`, and who the credentials of
 * this process are in IAM's terms. Source: database-service.md 12.2 and 12.5; IAM API reference.
 */
import { isTeleportError, TeleportError } from '../errors.js';
import { arnText, parseArn, parseSessionArn } from './arn.js';
import { aws, type ClientOptions, clientConfig } from './clients.js';
import { callerIdentity } from './sts.js';

/** What a policy is attached to. `name` is without path. */
export interface IamPrincipal {
  kind: 'role' | 'user';
  name: string;
}

export interface IamIdentity extends IamPrincipal {
  /** `arn:aws:iam::123456789012:role/path/name` */
  arn: string;
  accountId: string;
  partition: string;
}

const DESCRIPTION = 'Used by Teleport database agents for accessing AWS-hosted databases.';
/** Marks the policies that are ours to change. */
const TAG = { Key: 'teleport', Value: '' };
/** IAM's limit of versions of one policy. */
const MAX_VERSIONS = 5;

/** @throws BadParameter for the root user, or when the role of a session cannot be looked up */
export async function currentIdentity(options: ClientOptions): Promise<IamIdentity> {
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
    return { kind: 'role', name: role, arn: await roleArn(options, role), accountId, partition };
  } catch (cause) {
    throw new TeleportError('BadParameter', `could not resolve assumed-role ${arn} to a full role ARN.`, {
      cause,
      hint: 'Name the target with --attach-to-role or --attach-to-user, or allow iam:GetRole on this role.',
    });
  }
}

/** Make the policy, or give the one that exists a new default version. Its ARN. @throws AlreadyExists for a foreign one */
export async function putPolicy(
  options: ClientOptions,
  policy: { name: string; document: string; accountId: string; partition: string },
): Promise<string> {
  const { name, document } = policy;
  return await withIam(options, async (client, sdk) => {
    try {
      const { Policy } = await aws(() =>
        client.send(
          new sdk.CreatePolicyCommand({
            PolicyName: name,
            PolicyDocument: document,
            Description: DESCRIPTION,
            Tags: [TAG],
          }),
        ),
      );
      return Policy?.Arn ?? '';
    } catch (error) {
      if (!isTeleportError(error, 'AlreadyExists')) throw error;
    }
    const PolicyArn = arnText({ ...policy, service: 'iam', resource: `policy/${name}` });
    const { Policy } = await aws(() => client.send(new sdk.GetPolicyCommand({ PolicyArn })));
    if (!Policy?.Tags?.some(({ Key, Value }) => Key === TAG.Key && Value === TAG.Value)) {
      throw new TeleportError('AlreadyExists', `policy "${name}" doesn't have the tag ${TAG.Key}=""`, {
        hint: 'Somebody else made it. Choose another name with --policy-name.',
      });
    }
    const { Versions = [] } = await aws(() => client.send(new sdk.ListPolicyVersionsCommand({ PolicyArn })));
    if (Versions.length >= MAX_VERSIONS) {
      const [oldest] = Versions.filter((one) => !one.IsDefaultVersion).sort(
        (a, b) => (a.CreateDate?.getTime() ?? 0) - (b.CreateDate?.getTime() ?? 0) || numberOf(a) - numberOf(b),
      );
      await aws(() => client.send(new sdk.DeletePolicyVersionCommand({ PolicyArn, VersionId: oldest?.VersionId })));
    }
    await aws(() =>
      client.send(new sdk.CreatePolicyVersionCommand({ PolicyArn, PolicyDocument: document, SetAsDefault: true })),
    );
    return PolicyArn;
  });
}

/** Nothing changes when it is attached already. */
export async function attachPolicy(options: ClientOptions, policyArn: string, target: IamPrincipal): Promise<void> {
  await withIam(options, async (client, sdk) => {
    if (target.kind === 'role') {
      const command = new sdk.AttachRolePolicyCommand({ RoleName: target.name, PolicyArn: policyArn });
      await aws(() => client.send(command));
    } else {
      const command = new sdk.AttachUserPolicyCommand({ UserName: target.name, PolicyArn: policyArn });
      await aws(() => client.send(command));
    }
  });
}

/** A session's ARN leaves the role's path out. */
async function roleArn(options: ClientOptions, name: string): Promise<string> {
  return await withIam(options, async (client, sdk) => {
    const { Role } = await aws(() => client.send(new sdk.GetRoleCommand({ RoleName: name })));
    return Role?.Arn ?? '';
  });
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
