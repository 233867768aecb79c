/**
 * `tsh logout`: everybody, or those whom `--proxy` and `--user` (or TELEPORT_PROXY and TELEPORT_USER) name. Asks no server.
 * What cannot be removed does not keep the rest, and is said in the end. Spec: cli.md 3.3.
 */
import { type AwsArgs, hasAwsFlag } from '../access/args.js';
import { personalIdentities } from '../access/aws/identities.js';
import { personalStore } from '../access/login/session.js';
import type { Env } from '../cli/env.js';
import { printLine, printWarning } from '../cli/output.js';
import { TeleportError } from '../errors.js';
import { pgServicePaths, profileBase, userPaths } from '../profile/paths.js';
import { deletePgServicesOf } from '../profile/pg-service-file.js';
import { type LoginSession, sessionOf } from '../profile/session.js';
import type { ProfileStore, StoredLogin } from '../profile/store.js';
import { proxyHostOf } from '../profile/typed-proxy.js';
import { everyOne } from '../profile/wipe.js';
import { redactValue } from '../redact.js';
import type { GlobalArgs } from './flags.js';
import { isLive } from './status.js';

export async function run(env: Env, args: GlobalArgs & AwsArgs): Promise<number> {
  if (hasAwsFlag(args)) return await (await import('./logout-aws.js')).run(env, args);
  const store = personalStore(env);
  const proxy = args.proxy ? proxyHostOf(args.proxy) : undefined;
  const user = args.user || undefined;
  if (proxy || user) return await logoutSome(env, store, { proxy, user });
  await logoutAll(env, store);
  return 0;
}

async function logoutAll(env: Env, store: ProfileStore): Promise<void> {
  const names = await store.names();
  const isAnybody = names.length > 0 || (await store.logins()).length > 0;
  const aws = await personalIdentities(env).names();
  for (const name of names) {
    const session = await readable(store, name);
    if (session?.certs && !isLive(session, env.now()))
      env.stderr.write(`Credentials expired for proxy "${session.profile.webProxyAddr}", skipping...\n`);
  }
  const base = profileBase(env.vars, env.home);
  await deletePgServicesOf(pgServicePaths(env), base, (text) => printWarning(env, text));
  await store.deleteAll();
  if (isAnybody) printLine(env, 'Logged out all users from all proxies.');
  else if (aws.length === 0) printLine(env, 'All users logged out.');
  for (const name of aws) printLine(env, `Logged out AWS profile ${name}.`);
}

async function logoutSome(
  env: Env,
  store: ProfileStore,
  whom: { [Key in keyof StoredLogin]: StoredLogin[Key] | undefined },
): Promise<number> {
  const { user } = whom;
  const all = await store.logins();
  // Names of hosts are the same in capitals.
  const proxy = all.find((one) => one.proxy.toLowerCase() === whom.proxy?.toLowerCase())?.proxy ?? whom.proxy;
  const meant = all.filter((one) => (!proxy || one.proxy === proxy) && (!user || one.user === user));
  let count = 0;
  // Where both are named, also what only the keychain still has.
  await everyOne(proxy && user ? [{ proxy, user }] : meant, async (login) => {
    await forgetServices(env, login.proxy, login.user);
    if (!(await store.deleteUser(login.proxy, login.user))) return;
    count += 1;
    printLine(env, `Logged out ${login.user} from ${login.proxy}.`);
  });
  if (count > 0) return 0;
  if (proxy && user) {
    printLine(env, `User ${user} already logged out from ${redactValue(proxy)}.`);
    return 1;
  }
  throw new TeleportError(
    'NotFound',
    proxy ? `nobody is logged in at ${proxy}` : `${user} is not logged in at any proxy`,
    {
      hint: await whoIsLoggedIn(env, all),
    },
  );
}

/** What else there is to log out of. */
async function whoIsLoggedIn(env: Env, all: readonly StoredLogin[]): Promise<string> {
  const people = all.map(({ proxy, user }) => `${user} at ${proxy}`);
  const aws = (await personalIdentities(env).names()).map((name) => `AWS profile ${name}`);
  if (people.length + aws.length === 0) return 'Nobody is logged in.';
  return `Logged in: ${[...people, ...aws].join(', ')}. "tsh logout" without --proxy, --user, TELEPORT_PROXY and TELEPORT_USER logs out of all.`;
}

/** Sections of libpq's service file for a user's databases on all clusters behind a proxy, also those that have expired. */
export async function forgetServices(env: Env, proxyHost: string, user: string): Promise<void> {
  const { dbFolders } = userPaths(profileBase(env.vars, env.home), proxyHost, user);
  await deletePgServicesOf(pgServicePaths(env), dbFolders, (text) => printWarning(env, text));
}

/** A broken profile must not keep anybody from logging out. */
async function readable(store: ProfileStore, name: string): Promise<LoginSession | undefined> {
  try {
    const profile = await store.readProfile(name);
    return profile && (await sessionOf(store, name, profile));
  } catch {
    return undefined;
  }
}
