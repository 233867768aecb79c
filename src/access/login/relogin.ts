/**
 * A login that has run out is made anew: by password, or in the browser, or taken as another terminal has renewed it. When, and
 * what is repeated: `login.ts`. Spec: cli.md 3.2; auth-grpc-and-routing.md 3.3.
 */
import { isExpiredCredentials } from '../../api/status.js';
import type { Env } from '../../cli/env.js';
import { waitingFor } from '../../cli/progress.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { LoginNeeded, type LoginSession, sessionOf } from '../../profile/session.js';
import type { ProfileStore } from '../../profile/store.js';
import type { LoginArgs } from './args.js';
import { askProxy, personalStore, pinnedHint } from './session.js';
import { saveSignIn, signIn, ssoConnector } from './sign-in.js';

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
export async function relogin(env: Env, args: LoginArgs, session: LoginSession, error: unknown): Promise<LoginSession> {
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
function explained(error: unknown, { facts }: LoginSession): unknown {
  if (!facts?.pinnedIp || !isTeleportError(error, 'AccessDenied') || !error.message.startsWith('pinned IP'))
    return error;
  return new TeleportError(error.code, error.message, { hint: pinnedHint(facts.pinnedIp) });
}

/** The same login, if somebody has renewed it on disk since it was read: another terminal, for a proxy that stays up. */
async function renewedElsewhere(env: Env, session: LoginSession): Promise<LoginSession | undefined> {
  const { store, name, user, cluster } = session;
  const profile = await store.readProfile(name);
  if (profile?.user !== user) return undefined;
  const stored = await sessionOf(store, name, profile, cluster);
  const now = env.now();
  const isLive = stored.facts !== undefined && stored.facts.expiresAt > now && stored.facts.tlsExpiresAt > now;
  return isLive && stored.certs?.tlsCertPem !== session.certs?.tlsCertPem ? stored : undefined;
}
