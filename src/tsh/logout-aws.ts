/** `tsh logout --aws`: forget AWS logins and everything that was cached for them. AWS itself is not asked. */
import { join } from 'node:path';
import { personalIdentities } from '../access/aws/identities.js';
import { secretsFolder } from '../access/aws/open.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import type { AwsIdentity } from '../profile/aws-identity.js';
import { deleteEntries, secretOpener } from '../profile/key-places.js';
import { pgServicePaths, profileBase } from '../profile/paths.js';
import { deletePgServicesOf } from '../profile/pg-service-file.js';
import { everyOne, wipe } from '../profile/wipe.js';

/** @param args.awsProfile  the logins of this profile only, with whatever role; default all */
export async function run(env: Env, { awsProfile }: { awsProfile?: string | undefined }): Promise<number> {
  const identities = personalIdentities(env);
  const read = await identities.list();
  const all = (await identities.names())
    // Of one whose file cannot be read the name is enough to remove it.
    .map((name): Known => read.find((one) => one.name === name) ?? { name, awsProfile: name.split('+')[0]! })
    .filter((one) => !awsProfile || isOf(one, awsProfile));
  if (all.length === 0) {
    printLine(env, awsProfile ? `AWS profile ${awsProfile} already logged out.` : 'No AWS login.');
    return awsProfile ? 1 : 0;
  }
  await everyOne(all, async (identity) => {
    await everyOne([() => forgetAws(env, identity), () => identities.delete(identity.name)], (work) => work());
    printLine(env, `Logged out AWS profile ${identity.name}.`);
  });
  return 0;
}

type Known = Pick<AwsIdentity, 'name' | 'awsProfile'>;

function isOf({ name, awsProfile = 'default' }: Known, profile: string): boolean {
  return awsProfile === profile || name === profile || name.startsWith(`${profile}+`);
}

/** Sections of libpq's service file, and cached passwords. */
export async function forgetAws(env: Env, { name }: Pick<AwsIdentity, 'name'>): Promise<void> {
  const base = profileBase(env.vars, env.home);
  const folder = secretsFolder(name);
  await deletePgServicesOf(pgServicePaths(env), join(base, folder), (text) => printWarning(env, text));
  const open = secretOpener(base, { signal: env.signal, vars: env.vars });
  const files = async () => {
    const secrets = await open('file');
    await everyOne(await secrets.list(folder), (account) => secrets.delete(account));
    // What else lies there: links, what a command that was killed had not written to its end.
    await wipe(base, join(base, folder));
  };
  // Both places, whatever the login says: it may have been moved, or be unreadable.
  const entries = () => deleteEntries(open, folder, () => true);
  await everyOne([files, entries], (forget) => forget());
}
