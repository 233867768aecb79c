/** The Security Token Service of the double: who am I, and sessions of roles. Query protocol. */
import { type PolicyDocument, trusts } from './policy.js';
import { type QueryCall, structList, valueList } from './query.js';
import { AwsFault, type XmlValue } from './reply.js';
import { type AccessKey, addKey, authorizeAssume, type Principal } from './world.js';

export const stsActions: Record<string, (call: QueryCall) => XmlValue> = {
  GetCallerIdentity: ({ caller }) => ({
    Arn: caller.arn,
    UserId: caller.userId,
    Account: caller.principal.accountId,
  }),

  AssumeRole({ world, caller, params }) {
    const roleArn = params.RoleArn!;
    if (!/^arn:[\w-]+:iam::\d{12}:role\/.+$/.test(roleArn)) {
      throw new AwsFault('ValidationError', `${roleArn} is invalid`);
    }
    const tags = Object.fromEntries(structList(params, 'Tags').map((tag) => [tag.Key ?? '', tag.Value ?? '']));
    const transitive = valueList(params, 'TransitiveTagKeys');
    const passedOn = Object.fromEntries(caller.transitiveTags.map((key) => [key, caller.tags[key] ?? '']));
    const clash = Object.keys(tags).find((key) => key in passedOn);
    if (clash !== undefined) {
      throw new AwsFault(
        'InvalidParameterValue',
        `One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.`,
      );
    }
    const context = {
      'sts:externalid': params.ExternalId,
      'sts:rolesessionname': params.RoleSessionName,
      ...Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:requesttag/${key.toLowerCase()}`, value])),
    };
    const role = authorizeAssume(world, caller, roleArn, 'sts:AssumeRole', context);
    if (Object.keys(tags).length > 0) authorizeAssume(world, caller, roleArn, 'sts:TagSession', context);
    const chained = caller.principal.kind === 'role';
    const seconds = duration(params, chained ? 3600 : role.maxSession, chained);
    const name = params.RoleSessionName!;
    const key = addKey(world, role, {
      name,
      seconds,
      tags: { ...passedOn, ...tags },
      transitiveTags: [...Object.keys(passedOn), ...transitive],
      sessionPolicy: params.Policy ? (JSON.parse(params.Policy) as PolicyDocument) : undefined,
    });
    return session(key, role, name);
  },

  AssumeRoleWithWebIdentity({ world, params }) {
    const identity = world.webIdentities.get(params.WebIdentityToken!);
    if (!identity)
      throw new AwsFault('InvalidIdentityToken', 'No OpenIDConnect provider found in your account for this token');
    const role = world.principals.get(params.RoleArn!);
    const { provider, subject, audience } = identity;
    const host = provider.replace(/^https:\/\//, '');
    const trust =
      role?.trust &&
      trusts(
        role.trust,
        { federated: `arn:aws:iam::${role.accountId}:oidc-provider/${host}` },
        { action: 'sts:AssumeRoleWithWebIdentity', context: { [`${host}:sub`]: subject, [`${host}:aud`]: audience } },
      );
    if (!role || trust !== 'direct') {
      throw new AwsFault('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity');
    }
    const name = params.RoleSessionName!;
    const key = addKey(world, role, { name, seconds: duration(params, role.maxSession, false) });
    return {
      ...session(key, role, name),
      SubjectFromWebIdentityToken: subject,
      Audience: audience,
      Provider: provider,
    };
  },
};

function session(key: AccessKey, role: Principal, name: string): Record<string, XmlValue> {
  return {
    Credentials: {
      AccessKeyId: key.accessKeyId,
      SecretAccessKey: key.secretAccessKey,
      SessionToken: key.sessionToken,
      Expiration: new Date(key.expiresAtMs),
    },
    AssumedRoleUser: { AssumedRoleId: `${role.id}:${name}`, Arn: key.caller.arn },
  };
}

function duration(params: Record<string, string>, max: number, chained: boolean): number {
  const seconds = Number(params.DurationSeconds ?? Math.min(3600, max));
  if (seconds <= max) return seconds;
  throw new AwsFault(
    'ValidationError',
    chained
      ? 'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining'
      : 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
  );
}
