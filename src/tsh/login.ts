/**
 * `tsh login`: a new session, another cluster for the one there is, or a file for a program. Spec: cli.md 3.1;
 * login-and-profile.md 2 and 7.
 *
 *     valid session, same proxy and cluster    ask whether it counts, status
 *     valid session, another cluster           new certificates for the same keys
 *     valid session, an access request         new certificates for the same keys, once it is approved
 *     everything else                          password and code, or a browser; certificates, profile
 */
import { userInfo } from 'node:os';
import { type AwsArgs, hasAwsFlag } from '../access/args.js';
import { personalIdentities } from '../access/aws/identities.js';
import { isAccepted } from '../access/login/accepted.js';
import type { LoginArgs } from '../access/login/args.js';
import { headlessArgs, headlessRefused, isHeadless } from '../access/login/headless.js';
import { reissueLogin } from '../access/login/reissue.js';
import { askProxy, personalStore, readIdentity, selectedCluster } from '../access/login/session.js';
import { type SignedIn, saveSignIn, signIn } from '../access/login/sign-in.js';
import type { Env } from '../cli/env.js';
import { printable } from '../cli/printable.js';
import { acknowledge } from '../cli/prompt.js';
import { isTeleportError, settingAtFault, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import { type Profile, profileName } from '../profile/profile.js';
import type { CredentialStoreKind } from '../profile/secret.js';
import { LoginNeeded, type LoginSession, openSession, sessionOf, usableKeys } from '../profile/session.js';
import type { ProfileStore } from '../profile/store.js';
import { parseProxy, proxyHostOf } from '../profile/typed-proxy.js';
import { printAlerts } from './alerts.js';
import { prepareCredentialStore, refuseKeyFile } from './credential-store.js';
import { checkPlaces, identityFormat, writeIdentity } from './identity-out.js';
import { type LoginRequestArgs, requestAtLogin, requestForLogin, wantsRequest } from './request/at-login.js';
import { isLive, otherSessions, printStatus } from './status.js';

export interface LoginCommandArgs extends LoginRequestArgs, AwsArgs {
  cluster?: string | undefined;
  out?: string | undefined;
  format: string;
  overwrite: boolean;
  verbose: boolean;
  credentialStore?: CredentialStoreKind | undefined;
  scope?: string | undefined;
}

const ALERTS_TIMEOUT_MS = 5_000;

export async function run(env: Env, args: LoginCommandArgs): Promise<void> {
  if (hasAwsFlag(args)) return await (await import('./login-aws.js')).run(env, args);
  checkFlags(args);
  if (isHeadless(args)) return await headlessLogin(env, headlessArgs(env, args));
  const store = personalStore(env);
  if (args.out && !args.identity) return await loginToFile(env, args, store, args.out);
  await prepareCredentialStore(env, store, args);
  if (args.identity) return await flatten(env, args, store, args.identity);
  const current = await currentLogin(store);
  const cluster = selectedCluster(env, args);
  const isSameProxy = current !== undefined && (!args.proxy || proxyHostOf(args.proxy) === current.name);
  const isSameUser = current !== undefined && (!args.user || !args.proxy || args.user === current.user);
  let session: LoginSession;
  const isGood = current?.certs?.sshCert && isLive(current, env.now()) && isSameProxy && isSameUser;
  if (isGood && (await hasKeys(env, current)) && (await isAccepted(env, current, args.insecure))) {
    session = await keepSession(env, args, current, cluster);
    if (wantsRequest(args)) session = await requestForLogin(env, args, session);
    return await showStatus(env, args, session);
  }
  session = await requestAtLogin(env, args, await newSession(env, args, store, cluster));
  await showStatus(env, args, session);
  await printAlerts(env, session, {
    severity: 'low',
    labels: { 'teleport.internal/alert-on-login': 'yes' },
    insecure: args.insecure,
    timeoutMs: ALERTS_TIMEOUT_MS,
  });
}

/** The login of the current profile; a profile that is named and not there counts as none. */
async function currentLogin(store: ProfileStore): Promise<LoginSession | undefined> {
  if ((await store.currentName()) === undefined) return undefined;
  return await openSession(store).catch((error: unknown) => {
    if (isTeleportError(error, 'NotFound')) return undefined;
    throw error;
  });
}

/** False when the keys are gone from where they were kept, so that a new login is needed. */
async function hasKeys(env: Env, session: LoginSession): Promise<boolean> {
  try {
    return Boolean(await usableKeys(session, env.now()));
  } catch (error) {
    if (error instanceof LoginNeeded) return false;
    throw error;
  }
}

/** The session is good: look whether the proxy is there, and choose another cluster when one is asked for. */
async function keepSession(
  env: Env,
  args: LoginCommandArgs,
  session: LoginSession,
  cluster: string | undefined,
): Promise<LoginSession> {
  const proxy = await reachProxy(env, args, session.profile);
  proxy.client[Symbol.dispose]();
  const { store, name } = session;
  const isOther = cluster !== undefined && cluster !== session.profile.cluster;
  if (isOther) {
    await reissueLogin(env, session, { insecure: args.insecure, cluster, certFormat: args.certFormat });
  }
  if (!isOther && !args.proxy) return session;
  const profile: Profile = {
    ...session.profile,
    ...(args.proxy && profileName(proxy.profile) === name ? proxy.profile : {}),
    ...(isOther ? { cluster } : {}),
  };
  await store.saveProfile(profile);
  return await sessionOf(store, name, profile);
}

async function newSession(
  env: Env,
  args: LoginCommandArgs,
  store: ProfileStore,
  cluster: string | undefined,
): Promise<LoginSession> {
  await store.prepare();
  const name = args.proxy ? proxyHostOf(args.proxy) : await store.currentName();
  const known = name === undefined ? undefined : await store.readProfile(name);
  const { profile, signedIn } = await exchange(env, args, known, { cluster });
  return await saveSignIn(env, store, profile, signedIn, { ...args, auth: args.auth || known?.authConnector });
}

/** `--out`: nothing is stored, the certificates go to a file. */
async function loginToFile(env: Env, args: LoginCommandArgs, store: ProfileStore, out: string): Promise<void> {
  const format = identityFormat(args.format);
  await refuseKeyFile(env, store, args);
  if (!args.proxy) throw new TeleportError('BadParameter', 'No proxy address specified, missed --proxy flag?');
  await checkPlaces(env, { out, format });
  const { profile, signedIn } = await exchange(env, args, undefined, {
    cluster: args.cluster,
    oneKey: format === 'file',
  });
  await writeIdentity(env, { out, format, overwrite: args.overwrite }, { profile, signedIn, insecure: args.insecure });
}

async function exchange(
  env: Env,
  args: LoginCommandArgs,
  known: Profile | undefined,
  options: { cluster: string | undefined; oneKey?: boolean },
): Promise<{ profile: Profile; signedIn: SignedIn }> {
  const proxy = await reachProxy(env, args, known);
  using client = proxy.client;
  if (proxy.ping.auth?.has_motd) await showMessageOfTheDay(env, await client.motd());
  const user = args.user || known?.user || localUser(env);
  if (args.user && (proxy.ping.auth?.type ?? 'local') !== 'local') warnOfUser(env, args.user);
  const signedIn = await signIn(env, proxy, {
    user,
    isUserGiven: Boolean(args.user),
    routeToCluster: options.cluster ?? known?.cluster ?? '',
    ttlMs: args.ttl === undefined ? undefined : args.ttl * 60_000,
    oneKey: options.oneKey ?? false,
    insecure: args.insecure,
    browser: args,
  });
  return { profile: proxy.profile, signedIn };
}

async function showMessageOfTheDay(env: Env, text: string): Promise<void> {
  if (text === '') return;
  env.stderr.write(`${printable(text.trimEnd())}\n`);
  await acknowledge(env);
}

/** Whom the identity provider knows is for it to say. */
function warnOfUser(env: Env, user: string): void {
  env.stderr.write(
    `WARNING: Ignoring Teleport user (${user}) for Single Sign-On (SSO) login.\nProvide the user name during the SSO flow instead. Use --auth=local if you did not intend to login with SSO.\n`,
  );
}

/** What real tsh says to it, in the same order: who the person is, whether the cluster has it, and that a login is not for it. */
async function headlessLogin(env: Env, args: LoginCommandArgs): Promise<never> {
  const proxy = await reachProxy(env, args, undefined);
  proxy.client[Symbol.dispose]();
  throw headlessRefused(proxy.ping);
}

/** `login -i FILE`: an identity file made into a profile on disk. */
async function flatten(env: Env, args: LoginCommandArgs, store: ProfileStore, path: string): Promise<void> {
  if (!args.proxy) throw new TeleportError('BadParameter', 'tsh --identity also requires --proxy');
  const { user, cluster, keys, hostCas } = await readIdentity(env, path);
  const proxy = await reachProxy(env, args, undefined);
  proxy.client[Symbol.dispose]();
  const profile: Profile = { ...proxy.profile, user, cluster, mfaMode: args.mfaMode, privateKeyPolicy: 'none' };
  const name = profileName(profile);
  await store.saveKeys(name, user, cluster, keys);
  await store.saveHostCas(name, hostCas);
  await store.saveProfile(profile);
  env.stdout.write(`Successfully flattened Identity file ${JSON.stringify(path)} into a tsh profile.\n`);
  await showStatus(env, args, await sessionOf(store, name, profile));
}

async function showStatus(env: Env, args: LoginCommandArgs, session: LoginSession): Promise<void> {
  // From now on commands go to this cluster, whatever login at AWS there was.
  await personalIdentities(env).stepBack();
  const others = await otherSessions(session.store, session.name);
  await printStatus(env, { format: 'text', verbose: args.verbose }, session, others);
}

/** Who answers at the proxy's address, or what a person reads when nobody does. */
async function reachProxy(env: Env, args: LoginArgs, known: Profile | undefined) {
  try {
    return await askProxy(env, args, { known });
  } catch (error) {
    const setting = settingAtFault(error);
    if (setting) throw setting;
    const typed = args.proxy ? parseProxy(args.proxy) : undefined;
    // Without a port several addresses were tried, and the error names them.
    const isRace = typed !== undefined && typed.port === undefined && known === undefined;
    if (!isTeleportError(error, 'ConnectionProblem') || isRace) throw error;
    const address = typed?.port === undefined ? known!.webProxyAddr : joinHostPort(typed.host, typed.port);
    throw new TeleportError('ConnectionProblem', `Teleport proxy not available at ${address}.`, { cause: error });
  }
}

function checkFlags(args: LoginCommandArgs): void {
  if (args.certFormat && args.certFormat !== 'standard' && args.certFormat !== 'oldssh') {
    throw new TeleportError('BadParameter', `invalid certificate format parameter: ${JSON.stringify(args.certFormat)}`);
  }
  if (args.out) identityFormat(args.format);
  if (args.out && wantsRequest(args)) {
    throw new TeleportError('BadParameter', 'a file of --out cannot carry an access request', {
      hint: 'Take up the request without --out, or have "tctl auth sign" write a file with the roles.',
    });
  }
  if (args.scope) {
    throw new TeleportError('NotImplemented', '--scope is not supported', {
      hint: 'Log in with the roles that the user has.',
    });
  }
}

function localUser(env: Env): string {
  return env.vars.USER || env.vars.LOGNAME || env.vars.USERNAME || userInfo().username;
}
