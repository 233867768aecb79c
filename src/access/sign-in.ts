/**
 * Password login, as `tsh` does it with any second-factor setting: the challenge decides what is asked.
 *
 *     password ── begin ──> challenge ── OTP code ── finish ──> certificates ──> store ── GetCertAuthorities ──> store
 *
 * Questions go to the terminal of `env`; nothing secret is kept. Spec: login-and-profile reference, 2.
 */
import type { KeyObject } from 'node:crypto';
import { parseDuration } from '../cli/duration.js';
import type { Env } from '../cli/env.js';
import { waitingFor } from '../cli/progress.js';
import { askSecret } from '../cli/prompt.js';
import { isTeleportError, TeleportError } from '../errors.js';
import { generateKey, openSshPrivateKeyPem, privateKeyPem, publicKeyPem, sameKey } from '../pki/keys.js';
import { authorizedKeyLine, readSshCertificate } from '../pki/ssh.js';
import { keyFor, type SignatureAlgorithmSuite, SUITES, suiteOfNumber } from '../pki/suites.js';
import { publicKeyOf } from '../pki/x509.js';
import { type Profile, profileName } from '../profile/profile.js';
import { type Session, sessionOf } from '../profile/session.js';
import type { HostCa, ProfileStore, UserKeys } from '../profile/store.js';
import { connectCluster } from './cluster-client.js';
import { fetchHostCas, hostCasOfAnswer } from './host-cas.js';
import type { Ping } from './proxy-addresses.js';
import type { AskedProxy, LoginArgs } from './session.js';

export interface SignInOptions {
  user: string;
  /** The person named the user; otherwise a refusal says how. */
  isUserGiven: boolean;
  /** `''` = root. */
  routeToCluster: string;
  /** Undefined: the cluster's default. */
  ttlMs?: number | undefined;
  /** One key for SSH and TLS, as identity files have it. */
  oneKey?: boolean;
  insecure?: boolean;
}

export interface SignedIn {
  user: string;
  /** The cluster asked for, else the root. */
  cluster: string;
  keys: UserKeys;
  hostCas: HostCa[];
  defaultRelayAddr?: string;
}

const DEFAULT_TTL_MS = 12 * 3_600_000;

/**
 * Ask for password and code, and exchange them for certificates. Nothing is stored.
 *
 * @throws TeleportError `BadParameter` without a terminal, `AccessDenied` with the proxy's text, `NotImplemented` for a
 *   login that needs a browser or a security key
 */
export async function signIn(env: Env, proxy: AskedProxy, options: SignInOptions): Promise<SignedIn> {
  const { client, ping } = proxy;
  checkIsLocal(ping);
  const making = loginKeys(ping, options.oneKey ?? false);
  making.catch(() => {});
  const password = await askSecret(env, `Enter password for Teleport user ${options.user}`, {
    withoutTerminal: 'cannot perform password login without a terminal',
  });
  if (options.insecure) {
    env.stderr.write(`WARNING: You are using insecure connection to Teleport proxy https://${client.address}\n`);
  }
  try {
    const challenge = await waitingFor(env, 'the proxy', client.begin(options.user, password));
    const isOtp = challenge.totp_challenge === true;
    if (!isOtp && challenge.webauthn_challenge) throw onlySecurityKeys();
    const totpCode = isOtp ? (await askSecret(env, 'Enter an OTP code from a device')).trim() : '';
    const keys = await making;
    const answer = await waitingFor(
      env,
      'the certificates',
      client.finish({
        user: options.user,
        password,
        totpCode,
        sshPublicKey: authorizedKeyLine(keys.ssh),
        tlsPublicKeyPem: publicKeyPem(keys.tls),
        ttlMs: options.ttlMs ?? defaultTtlMs(ping),
        routeToCluster: options.routeToCluster,
      }),
    );
    const { sshCert, tlsCertPem } = answer;
    if (!sshCert) throw new TeleportError('Protocol', 'SSH cert not found');
    if (!sameKey(publicKeyOf(tlsCertPem), keys.tls) || !sameKey(readSshCertificate(sshCert).key, keys.ssh)) {
      throw new TeleportError('Protocol', 'the proxy answered with certificates for other keys than ours');
    }
    return {
      user: answer.username,
      cluster: options.routeToCluster || answer.hostSigners[0]!.clusterName,
      keys: {
        tlsKeyPem: privateKeyPem(keys.tls),
        tlsCertPem,
        sshKeyPem: openSshPrivateKeyPem(keys.ssh),
        sshPublicKey: authorizedKeyLine(keys.ssh),
        sshCert,
      },
      hostCas: hostCasOfAnswer(answer.hostSigners, profileName(proxy.profile)),
      ...(answer.defaultRelayAddr ? { defaultRelayAddr: answer.defaultRelayAddr } : {}),
    };
  } catch (error) {
    if (isTeleportError(error, 'AccessDenied') && !options.isUserGiven) {
      env.stderr.write(`Logging in as "${options.user}". If that is not your Teleport user, name it with --user.\n`);
    }
    throw error;
  }
}

/**
 * Keep a login: keys and authorities, then (the cluster must answer) all authorities it trusts, then the profile, which
 * becomes current.
 */
export async function saveSignIn(
  env: Env,
  store: ProfileStore,
  announced: Profile,
  signedIn: SignedIn,
  args: LoginArgs & { mfaMode?: string | undefined },
): Promise<Session> {
  const name = profileName(announced);
  const { user, cluster, keys } = signedIn;
  const profile: Profile = {
    ...announced,
    user,
    cluster,
    mfaMode: args.mfaMode ?? 'auto',
    ...(args.auth ? { authConnector: args.auth } : {}),
    ...(signedIn.defaultRelayAddr ? { defaultRelayAddr: signedIn.defaultRelayAddr } : {}),
  };
  await store.saveKeys(name, user, cluster, keys);
  await store.saveHostCas(name, signedIn.hostCas);
  const session = await sessionOf(store, name, profile);
  await using client = await connectCluster(session, {
    vars: env.vars,
    insecure: args.insecure ?? false,
    cluster: session.rootCluster,
    now: env.now(),
    signal: env.signal,
  });
  const cas = await waitingFor(env, 'the cluster', fetchHostCas(client.api, name));
  if (cas.length > 0) await store.saveHostCas(name, cas);
  await store.saveProfile(profile);
  return session;
}

/** How long certificates live when nothing was typed: the ping's `default_session_ttl`, else 12 h. */
export function defaultTtlMs(ping: Ping): number {
  return parseDuration(ping.auth?.default_session_ttl ?? '') || DEFAULT_TTL_MS;
}

/** The suite that a ping announces. Absent is `legacy`; an unknown word is an error, as for real tsh. */
export function suiteOfPing(ping: Ping): SignatureAlgorithmSuite {
  const suite = ping.auth?.signature_algorithm_suite;
  if (suite === undefined || suite === '') return 'legacy';
  if (typeof suite === 'number') return suiteOfNumber(suite);
  const known = SUITES.find((one) => one === suite);
  if (known) return known;
  throw new TeleportError('NotImplemented', `the cluster asks for the unknown signature algorithm suite "${suite}"`);
}

async function loginKeys(ping: Ping, oneKey: boolean): Promise<{ ssh: KeyObject; tls: KeyObject }> {
  const suite = suiteOfPing(ping);
  const tls = await generateKey(keyFor(suite, 'user-tls'));
  if (oneKey || suite === 'legacy') return { ssh: tls, tls };
  return { ssh: await generateKey(keyFor(suite, 'user-ssh')), tls };
}

function checkIsLocal(ping: Ping): void {
  const type = ping.auth?.type ?? 'local';
  const name = ping.auth?.local?.name ?? '';
  if (type === 'local' && (name === '' || name === 'local')) return;
  const what = type === 'local' ? name : `single sign-on (${type})`;
  throw new TeleportError('NotImplemented', `login with ${what} is not supported`, {
    hint: 'What works: a local user with password and one-time code (--auth=local), or an identity file (-i FILE).',
  });
}

function onlySecurityKeys(): TeleportError {
  return new TeleportError('NotImplemented', 'this user logs in with a security key, which is not supported', {
    hint: 'What works: a one-time code. Add such a device to the user, or use an identity file (-i FILE).',
  });
}
