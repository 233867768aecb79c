/** `tsh logout --aws`: forget AWS logins and everything that was cached for them. AWS itself is not asked. */
import { secretsFolder } from '../access/aws-open.js';
import { personalIdentities } from '../access/open.js';
import type { Env } from '../cli/env.js';
import { printLine } from '../cli/output.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { pgServicePath, profileBase } from '../profile/paths.js';
import { deletePgServices, pgServiceName } from '../profile/pg-service-file.js';
import { openSecrets } from '../profile/secret-store.js';

/** @param profile  one only; default all */
export async function run(env: Env, { awsProfile }: { awsProfile?: string | undefined }): Promise<number> {
  const identities = personalIdentities(env);
  const all = (await identities.list()).filter(({ name }) => !awsProfile || name === awsProfile);
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

/** Cached passwords, and sections of `~/.pg_service.conf`. */
export async function forgetAws(env: Env, identity: AwsIdentity): Promise<void> {
  const base = profileBase(env.vars, env.home);
  const secrets = await openSecrets(identity.credentialStore ?? 'file', base, { signal: env.signal, vars: env.vars });
  for (const account of await secrets.list(secretsFolder(identity.name))) await secrets.delete(account);
  await deletePgServices(
    pgServicePath(env.home),
    identity.databases.map(({ name }) => pgServiceName(identity.name, name)),
  );
}
