/** `tsh logout`: one user of one proxy, or everybody. Asks no server. Spec: cli reference, 3.3. */
import { type AwsArgs, hasAwsFlag, personalIdentities } from '../access/open.js';
import { personalStore } from '../access/session.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import { pgServicePaths, profileBase, userPaths } from '../profile/paths.js';
import { deletePgServicesOf } from '../profile/pg-service-file.js';
import { proxyHostOf, type Session, sessionOf } from '../profile/session.js';
import type { ProfileStore } from '../profile/store.js';
import type { GlobalArgs } from './flags.js';
import { isLive } from './status.js';

export async function run(env: Env, args: GlobalArgs & AwsArgs): Promise<number> {
  if (hasAwsFlag(args)) return await (await import('./logout-aws.js')).run(env, args);
  const store = personalStore(env);
  const { user } = args;
  const proxy = args.proxy ? proxyHostOf(args.proxy) : undefined;
  if (proxy && user) return await logoutOne(env, store, proxy, user);
  if (proxy) {
    printLine(
      env,
      `Specify --user to log out a specific user from "${proxy}" or remove the --proxy flag to log out all users from all proxies.`,
    );
    return 0;
  }
  if (user) {
    printLine(
      env,
      `Specify --proxy to log out user "${user}" from a specific proxy or remove the --user flag to log out all users from all proxies.`,
    );
    return 0;
  }
  const aws = await personalIdentities(env).list();
  const base = profileBase(env.vars, env.home);
  await deletePgServicesOf(pgServicePaths(env), base, (text) => printWarning(env, text));
  if ((await store.currentName()) === undefined && (await store.names()).length === 0) {
    await store.deleteAll();
    if (aws.length === 0) printLine(env, 'All users logged out.');
    for (const { name } of aws) printLine(env, `Logged out AWS profile ${name}.`);
    return 0;
  }
  for (const name of await store.names()) {
    const session = await readable(store, name);
    if (session === undefined) continue;
    if (session.certs && !isLive(session, env.now())) {
      env.stderr.write(`Credentials expired for proxy "${session.profile.webProxyAddr}", skipping...\n`);
    }
  }
  await store.deleteAll();
  printLine(env, 'Logged out all users from all proxies.');
  for (const { name } of aws) printLine(env, `Logged out AWS profile ${name}.`);
  return 0;
}

async function logoutOne(env: Env, store: ProfileStore, proxy: string, user: string): Promise<number> {
  await forgetServices(env, proxy, user);
  if (!(await store.deleteUser(proxy, user))) {
    printLine(env, `User ${user} already logged out from ${proxy}.`);
    return 1;
  }
  printLine(env, `Logged out ${user} from ${proxy}.`);
  return 0;
}

/** Sections of libpq's service file for a user's databases on all clusters behind a proxy, also those that have expired. */
export async function forgetServices(env: Env, proxyHost: string, user: string): Promise<void> {
  const { dbFolders } = userPaths(profileBase(env.vars, env.home), proxyHost, user);
  await deletePgServicesOf(pgServicePaths(env), dbFolders, (text) => printWarning(env, text));
}

/** A broken profile must not keep anybody from logging out. */
async function readable(store: ProfileStore, name: string): Promise<Session | undefined> {
  try {
    const profile = await store.readProfile(name);
    return profile && (await sessionOf(store, name, profile));
  } catch {
    return undefined;
  }
}
