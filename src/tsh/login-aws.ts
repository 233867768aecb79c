/**
 * `tsh login --aws`: ask AWS who this is and remember it beside the cluster profiles. From then on `tsh db` commands use it,
 * until the next login at a cluster.
 */
import { resolve } from 'node:path';
import type { AwsArgs } from '../access/args.js';
import { personalIdentities } from '../access/aws/identities.js';
import { identityName, principalOf } from '../access/aws/open.js';
import { checkRegion } from '../aws/clients.js';
import { notAssumed } from '../aws/refusal.js';
import { defaultRegion } from '../aws/region.js';
import { callerIdentity } from '../aws/sts.js';
import type { Env } from '../cli/env.js';
import { waitingFor } from '../cli/progress.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { readCertificateFile } from '../pki/certificate-file.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { type CredentialStoreArgs, prepareAwsStore } from './credential-store.js';
import { forgetAws } from './logout-aws.js';
import { printAwsIdentities } from './status-aws.js';

interface LoginAwsArgs extends AwsArgs, CredentialStoreArgs {
  out?: string | undefined;
}

export async function run(env: Env, args: LoginAwsArgs): Promise<void> {
  if (args.out) {
    throw new TeleportError('BadParameter', '--out is for clusters: with --aws there are no certificates', {
      hint: 'Programs find your AWS identity as tsh does: give them AWS_PROFILE, or a role.',
    });
  }
  for (const region of args.region ?? []) checkRegion(region);
  const identities = personalIdentities(env);
  const awsProfile = args.awsProfile || env.vars.AWS_PROFILE || undefined;
  const regions = args.region?.length ? [...new Set(args.region)] : [await defaultRegion(awsProfile)];
  const { chain = [] } = principalOf(env, args);
  const name = identityName(args, env.vars);
  const caFile = args.caFile ? resolve(env.cwd, args.caFile) : undefined;
  if (caFile) readCertificateFile(caFile, '--ca-file');
  await identities.prepare();
  const before = await identities.read(name).catch(() => undefined);
  const credentialStore = await prepareAwsStore(env, args, before);
  const asked = { region: regions[0]!, chain, profile: awsProfile };
  const who = await waitingFor(env, 'AWS', callerIdentity(asked)).catch((error: unknown) => {
    if (chain.length === 0 || !isTeleportError(error, 'AccessDenied') || error.hint) throw error;
    throw notAssumed('Could not assume the role:', error, { ...asked, asker: 'person' });
  });
  // Passwords and databases belong to the former identity; another identity begins without.
  if (before && before.arn !== who.arn) await forgetAws(env, before);
  const identity: AwsIdentity = {
    name,
    ...(awsProfile ? { awsProfile } : {}),
    regions,
    ...(args.assumeRole ? { assumeRole: args.assumeRole } : {}),
    ...(args.externalId ? { externalId: args.externalId } : {}),
    ...(caFile ? { caFile } : {}),
    accountId: who.accountId,
    arn: who.arn,
    ...(credentialStore ? { credentialStore } : {}),
    databases: [],
  };
  printAwsIdentities(env, [await identities.save(identity)], name);
}
