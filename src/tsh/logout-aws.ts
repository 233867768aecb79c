/** `tsh logout --aws`: forget AWS logins and everything that was cached for them. AWS itself is not asked. */
import { join } from 'node:path';
import { secretsFolder } from '../access/aws-open.js';
import { personalIdentities } from '../access/open.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { pgServicePaths, profileBase } from '../profile/paths.js';
import { deletePgServicesOf } from '../profile/pg-service-file.js';
import { openSecrets } from '../profile/secret-store.js';

/** @param args.awsProfile  the logins of this profile only, with whatever role; default all */
export async function run(env: Env, { awsProfile }: { awsProfile?: string | undefined }): Promise<number> {
  const identities = personalIdentities(env);
  const all = (await identities.list()).filter((one) => !awsProfile || isOf(one, awsProfile));
  for (const identity of all) {
    await forgetAws(env, identity);
    await identities.delete(identity.name);
  }
  if (all.length === 0) {
    printLine(env, awsProfile ? `AWS profile ${awsProfile} already logged out.` : 'No AWS login.');
    return awsProfile ? 1 : 0;
  }
  for (const { name } of all) printLine(env, `Logged out AWS profile ${name}.`);
  return 0;
}

function isOf({ name, awsProfile = 'default' }: AwsIdentity, profile: string): boolean {
  return awsProfile === profile || name === profile;
}

/** Sections of libpq's service file, and cached passwords. */
export async function forgetAws(env: Env, identity: AwsIdentity): Promise<void> {
  const base = profileBase(env.vars, env.home);
  const folder = secretsFolder(identity.name);
  await deletePgServicesOf(pgServicePaths(env), join(base, folder), (text) => printWarning(env, text));
  const secrets = await openSecrets(identity.credentialStore ?? 'file', base, { signal: env.signal, vars: env.vars });
  for (const account of await secrets.list(folder)) await secrets.delete(account);
}
