/**
 * A command that finds its login expired asks for the password, or opens the browser, and does its work once more. Spec: cli reference, 3.2;
 * auth-grpc-and-routing reference, 3.3.
 */
import { isExpiredCredentials } from '../../api/status.js';
import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { LoginNeeded, type Session, sessionOf } from '../../profile/session.js';
import type { ProfileStore } from '../../profile/store.js';
import { askProxy, type LoginArgs, personalStore, pinnedHint } from './session.js';
import { saveSignIn, signIn, ssoConnector } from './sign-in.js';

export { currentSession as sessionFor, type LoginArgs } from './session.js';

/**
 * Work with a login. When it has run out and somebody sits at the terminal, log in again and repeat the work once.
 *
 * @param work  gets the session given, the second time the new one
 * @throws the work's own error when nobody can be asked; with an identity file under `cannot relogin …`
 */
export async function withRelogin<T>(
  env: Env,
  args: LoginArgs,
  session: Session,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  try {
    return await work(session);
  } catch (error) {
    return await work(await relogin(env, args, session, error));
  }
}

/** True for an error that a new login can put right. */
export function isLoginNeeded(error: unknown): boolean {
  return error instanceof LoginNeeded || isExpiredCredentials(error);
}

/** Where keys go is tried before a password is asked for. */
async function checkCredentialStore(env: Env, store: ProfileStore, name: string): Promise<void> {
  if ((await store.credentialStore(name)) !== 'keychain') return;
  await waitingFor(env, 'the system keychain', store.setCredentialStore(name, 'keychain'));
}

/**
 * Log in again as the same user for the same cluster.
 *
 * @param error  why; thrown again when a login cannot help or nobody can be asked
 */
export async function relogin(env: Env, args: LoginArgs, session: Session, error: unknown): Promise<Session> {
  if (!isLoginNeeded(error)) throw explained(error, session);
  if (session.store.isVirtual) {
    throw new TeleportError('AccessDenied', 'cannot relogin in non-interactive session', { cause: error });
  }
  const elsewhere = await renewedElsewhere(env, session);
  if (elsewhere) return elsewhere;
  // A password is typed at a terminal; single sign-on needs none.
  if (!env.isTty.stdin && !session.profile.ssoHost) throw error;
  const store = personalStore(env);
  await checkCredentialStore(env, store, session.name);
  const proxy = await askProxy(env, args, { known: session.profile });
  using client = proxy.client;
  if (!env.isTty.stdin && ssoConnector(proxy.ping) === undefined) throw error;
  const signedIn = await signIn(
    env,
    { ...proxy, client },
    {
      user: session.user,
      isUserGiven: true,
      routeToCluster: session.profile.cluster ?? '',
      ttlMs: args.ttl === undefined ? undefined : args.ttl * 60_000,
      insecure: args.insecure ?? false,
      browser: args,
    },
  );
  const saved = await saveSignIn(env, store, proxy.profile, signedIn, {
    ...args,
    auth: args.auth ?? session.profile.authConnector,
  });
  return args.cluster ? await sessionOf(store, saved.name, saved.profile, session.cluster) : saved;
}

/** A refusal because of the address comes with the one that would do. */
function explained(error: unknown, { facts }: Session): unknown {
  if (!facts?.pinnedIp || !isTeleportError(error, 'AccessDenied') || !error.message.startsWith('pinned IP'))
    return error;
  return new TeleportError(error.code, error.message, { hint: pinnedHint(facts.pinnedIp) });
}

/** The same login, if somebody has renewed it on disk since it was read: another terminal, for a proxy that stays up. */
async function renewedElsewhere(env: Env, session: Session): Promise<Session | undefined> {
  const { store, name, user, cluster } = session;
  const profile = await store.readProfile(name);
  if (profile?.user !== user) return undefined;
  const stored = await sessionOf(store, name, profile, cluster);
  const now = env.now();
  const isLive = stored.facts !== undefined && stored.facts.expiresAt > now && stored.facts.tlsExpiresAt > now;
  return isLive && stored.certs?.tlsCertPem !== session.certs?.tlsCertPem ? stored : undefined;
}
