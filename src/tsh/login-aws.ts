/**
 * `tsh login --aws`: ask AWS who one is and remember it beside the cluster profiles. From then on `tsh db` commands use it,
 * until the next login at a cluster.
 */
import { resolve } from 'node:path';
import { identityName, principalOf } from '../access/aws-open.js';
import { type AwsArgs, personalIdentities } from '../access/open.js';
import { defaultRegion } from '../aws/region.js';
import { callerIdentity } from '../aws/sts.js';
import type { Env } from '../cli/env.js';
import { waitingFor } from '../cli/progress.js';
import { TeleportError } from '../errors.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { type CredentialStoreArgs, prepareAwsStore } from './credential-store.js';
import { printAwsIdentities } from './status-aws.js';

/** `us-east-1`, `us-gov-west-1`, `cn-north-1`. */
const REGION = /^[a-z]{2}(-[a-z]+)+-\d+$/;

export async function run(env: Env, args: AwsArgs & CredentialStoreArgs): Promise<void> {
  for (const region of args.region ?? []) {
    if (!REGION.test(region)) {
      throw new TeleportError('BadParameter', `--region: ${JSON.stringify(region)} is not an AWS region`, {
        hint: 'Regions are written like us-east-1; several are separated by commas.',
      });
    }
  }
  const identities = personalIdentities(env);
  const awsProfile = args.awsProfile || env.vars.AWS_PROFILE || undefined;
  const regions = args.region?.length ? [...args.region] : [await defaultRegion(awsProfile)];
  const { chain } = principalOf(env, args);
  const name = identityName(args, env.vars);
  const before = await identities.read(name).catch(() => undefined);
  const credentialStore = await prepareAwsStore(env, args, before);
  const who = await waitingFor(env, 'AWS', callerIdentity({ region: regions[0]!, chain, profile: awsProfile }));
  const isSame = before?.arn === who.arn;
  const identity: AwsIdentity = {
    name,
    ...(awsProfile ? { awsProfile } : {}),
    regions,
    ...(args.assumeRole ? { assumeRole: args.assumeRole } : {}),
    ...(args.externalId ? { externalId: args.externalId } : {}),
    ...(args.caFile ? { caFile: resolve(env.cwd, args.caFile) } : {}),
    accountId: who.accountId,
    arn: who.arn,
    ...(credentialStore ? { credentialStore } : {}),
    // Databases belong to whom one was; another identity begins without.
    databases: isSame ? before.databases : [],
  };
  await identities.save(identity);
  await printAwsIdentities(env, [identity], identity.name);
}
