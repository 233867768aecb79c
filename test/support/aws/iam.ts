/** Identity and Access Management of the double: roles, users and their policies. Query protocol. */
import type { PolicyDocument } from './policy.js';
import { type QueryCall, structList } from './query.js';
import { AwsFault, list, type XmlValue } from './reply.js';
import { authorize, type ManagedPolicy, type Principal, page, partitionOf, randomId } from './world.js';

type Kind = 'Role' | 'User';

export const iamActions: Record<string, (call: QueryCall) => XmlValue> = {
  GetRole: (call) => ({ Role: describe(principalOf(call, 'GetRole', 'Role')) }),
  GetUser: (call) => ({ User: describe(call.params.UserName ? principalOf(call, 'GetUser', 'User') : self(call)) }),

  CreatePolicy(call) {
    const { world, params } = call;
    const name = params.PolicyName ?? '';
    const arn = `arn:${partitionOf(world.region)}:iam::${call.caller.principal.accountId}:policy${params.Path ?? '/'}${name}`;
    may(call, 'CreatePolicy', arn);
    if (world.policies.has(arn)) {
      throw new AwsFault(
        'EntityAlreadyExists',
        `A policy called ${name} already exists. Duplicate names are not allowed.`,
      );
    }
    const policy: ManagedPolicy = {
      arn,
      name,
      id: `ANPA${randomId()}`,
      description: params.Description,
      tags: Object.fromEntries(structList(params, 'Tags').map((tag) => [tag.Key ?? '', tag.Value ?? ''])),
      createdAt: new Date(world.now()),
      versions: [
        { id: 'v1', document: managed(params.PolicyDocument), isDefault: true, createdAt: new Date(world.now()) },
      ],
      nextVersion: 2,
    };
    world.policies.set(arn, policy);
    return { Policy: describePolicy(call, policy) };
  },
  GetPolicy: (call) => ({ Policy: describePolicy(call, policyOf(call, 'GetPolicy')) }),
  GetPolicyVersion(call) {
    const policy = policyOf(call, 'GetPolicyVersion');
    const version = policy.versions.find((one) => one.id === call.params.VersionId);
    if (!version)
      throw missing(`Policy ${policy.arn} version ${call.params.VersionId} does not exist or is not attachable.`);
    return { PolicyVersion: { Document: encodeURIComponent(version.document), ...describeVersion(version) } };
  },
  ListPolicyVersions(call) {
    const versions = policyOf(call, 'ListPolicyVersions').versions.map(describeVersion);
    return { Versions: list('member', versions.reverse()), IsTruncated: false };
  },
  CreatePolicyVersion(call) {
    const policy = policyOf(call, 'CreatePolicyVersion');
    if (policy.versions.length >= 5) {
      throw new AwsFault(
        'LimitExceeded',
        'A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.',
      );
    }
    const isDefault = call.params.SetAsDefault === 'true';
    if (isDefault) for (const one of policy.versions) one.isDefault = false;
    const version = {
      id: `v${policy.nextVersion++}`,
      document: managed(call.params.PolicyDocument),
      isDefault,
      createdAt: new Date(call.world.now()),
    };
    policy.versions.push(version);
    return { PolicyVersion: describeVersion(version) };
  },
  DeletePolicyVersion(call) {
    const policy = policyOf(call, 'DeletePolicyVersion');
    const version = policy.versions.find((one) => one.id === call.params.VersionId);
    if (!version)
      throw missing(`Policy ${policy.arn} version ${call.params.VersionId} does not exist or is not attachable.`);
    if (version.isDefault) throw new AwsFault('DeleteConflict', 'Cannot delete the default version of a policy.');
    policy.versions.splice(policy.versions.indexOf(version), 1);
    return undefined;
  },
  ...forKind('Role'),
  ...forKind('User'),
};

/** The actions that exist for roles and for users alike. */
function forKind(kind: Kind): typeof iamActions {
  return {
    [`Attach${kind}Policy`](call) {
      const principal = principalOf(call, `Attach${kind}Policy`, kind);
      const arn = call.params.PolicyArn ?? '';
      if (!call.world.policies.has(arn)) throw missing(`Policy ${arn} does not exist or is not attachable.`);
      principal.attached.add(arn);
      return undefined;
    },
    [`Detach${kind}Policy`](call) {
      principalOf(call, `Detach${kind}Policy`, kind).attached.delete(call.params.PolicyArn ?? '');
      return undefined;
    },
    [`ListAttached${kind}Policies`](call) {
      const attached = [...principalOf(call, `ListAttached${kind}Policies`, kind).attached];
      const { items, next } = page(attached, call.params.Marker, call.world.pageSize);
      const entries = items.map((arn) => ({ PolicyName: call.world.policies.get(arn)?.name, PolicyArn: arn }));
      return { AttachedPolicies: list('member', entries), IsTruncated: next !== undefined, Marker: next };
    },
    [`Get${kind}Policy`](call) {
      const principal = principalOf(call, `Get${kind}Policy`, kind);
      const name = call.params.PolicyName ?? '';
      const document = principal.inline.get(name);
      if (!document) throw missing(`The ${kind.toLowerCase()} policy with name ${name} cannot be found.`);
      return {
        [`${kind}Name`]: principal.name,
        PolicyName: name,
        PolicyDocument: encodeURIComponent(JSON.stringify(document)),
      };
    },
    [`Put${kind}Policy`](call) {
      const document = parsed(call.params.PolicyDocument);
      principalOf(call, `Put${kind}Policy`, kind).inline.set(call.params.PolicyName ?? '', JSON.parse(document));
      return undefined;
    },
    [`Delete${kind}Policy`](call) {
      const name = call.params.PolicyName ?? '';
      if (principalOf(call, `Delete${kind}Policy`, kind).inline.delete(name)) return undefined;
      throw missing(`The ${kind.toLowerCase()} policy with name ${name} cannot be found.`);
    },
    [`List${kind}Policies`](call) {
      const names = [...principalOf(call, `List${kind}Policies`, kind).inline.keys()];
      return { PolicyNames: list('member', names), IsTruncated: false };
    },
  };
}

function may(call: QueryCall, action: string, resource: string): void {
  authorize(call.world, call.caller, `iam:${action}`, [resource]);
}

function self(call: QueryCall): Principal {
  may(call, 'GetUser', call.caller.principal.arn);
  return call.caller.principal;
}

function principalOf(call: QueryCall, action: string, kind: Kind): Principal {
  const { world, params, caller } = call;
  const name = params[`${kind}Name`] ?? '';
  const { accountId } = caller.principal;
  const found = [...world.principals.values()].find(
    (one) => one.kind === kind.toLowerCase() && one.name === name && one.accountId === accountId,
  );
  may(call, action, found?.arn ?? `arn:${partitionOf(world.region)}:iam::${accountId}:${kind.toLowerCase()}/${name}`);
  if (!found) throw missing(`The ${kind.toLowerCase()} with name ${name} cannot be found.`);
  return found;
}

function policyOf(call: QueryCall, action: string): ManagedPolicy {
  const arn = call.params.PolicyArn ?? '';
  may(call, action, arn);
  const policy = call.world.policies.get(arn);
  if (!policy) throw missing(`Policy ${arn} was not found.`);
  return policy;
}

function parsed(document: string | undefined): string {
  try {
    const { Statement } = JSON.parse(document ?? '') as PolicyDocument;
    const sids = [Statement].flat().flatMap((one) => one?.Sid ?? []);
    if (Statement !== undefined && new Set(sids).size === sids.length) return document!;
  } catch {
    // Falls through to AWS's answer.
  }
  throw new AwsFault('MalformedPolicyDocument', 'Syntax errors in policy.');
}

/** Of a managed policy: AWS counts its characters without white space. */
function managed(document: string | undefined): string {
  const text = parsed(document);
  if (text.replace(/\s/g, '').length > 6144) {
    throw new AwsFault('LimitExceeded', 'Cannot exceed quota for PolicySize: 6144');
  }
  return text;
}

const missing = (text: string) => new AwsFault('NoSuchEntity', text);

function describe(principal: Principal): XmlValue {
  const role = principal.kind === 'role';
  const named = role ? 'Role' : 'User';
  return {
    Path: principal.path,
    [`${named}Name`]: principal.name,
    [`${named}Id`]: principal.id,
    Arn: principal.arn,
    CreateDate: principal.createdAt,
    AssumeRolePolicyDocument: role ? encodeURIComponent(JSON.stringify(principal.trust ?? {})) : undefined,
    MaxSessionDuration: role ? principal.maxSession : undefined,
  };
}

function describePolicy({ world }: QueryCall, policy: ManagedPolicy): XmlValue {
  const tags = Object.entries(policy.tags).map(([Key, Value]) => ({ Key, Value }));
  return {
    PolicyName: policy.name,
    PolicyId: policy.id,
    Arn: policy.arn,
    Path: '/',
    DefaultVersionId: policy.versions.find((one) => one.isDefault)?.id,
    AttachmentCount: [...world.principals.values()].filter((one) => one.attached.has(policy.arn)).length,
    IsAttachable: true,
    Description: policy.description,
    CreateDate: policy.createdAt,
    UpdateDate: policy.versions.at(-1)?.createdAt,
    Tags: list('member', tags),
  };
}

const describeVersion = (version: ManagedPolicy['versions'][number]) => ({
  VersionId: version.id,
  IsDefaultVersion: version.isDefault,
  CreateDate: version.createdAt,
});
