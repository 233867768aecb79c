/**
 * A login from the first question to the files: which way it goes is the Proxy's to say, what comes of it is the same.
 *
 *     ping ── password and code, or single sign-on ──> certificates ──> store ── GetCertAuthorities ──> store
 *
 * Spec: login-and-profile.md 2 and 3.
 */

import type { KeyObject } from 'node:crypto';
import type { Env } from '../../cli/env.js';
import { printWarning } from '../../cli/output.js';
import { waitingFor } from '../../cli/progress.js';
import { goDurationMs } from '../../duration.js';
import { TeleportError } from '../../errors.js';
import { generateKey, openSshPrivateKeyPem, privateKeyPem, publicKeyPem, sameKey } from '../../pki/keys.js';
import { authorizedKeyLine, readSshCertificate } from '../../pki/ssh/certificate.js';
import { keyFor, SIGNATURE_SUITES, type SignatureSuite, suiteOfNumber } from '../../pki/suites.js';
import { publicKeyOf } from '../../pki/x509.js';
import { type Profile, profileName } from '../../profile/profile.js';
import { type LoginSession, sessionOf } from '../../profile/session.js';
import type { HostCa, ProfileStore, UserKeys } from '../../profile/store.js';
import { type Ping, SSO_TYPES } from '../../webapi/addresses.js';
import type { BrowserArgs, LoginArgs } from './args.js';
import { connectRoot } from './client.js';
import { headlessRefused } from './headless.js';
import { fetchHostCas, hostCasOfAnswer } from './host-cas.js';
import type { AskedProxy } from './session.js';
import type { SsoConnector } from './sso.js';

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
  /** For single sign-on. */
  browser: BrowserArgs;
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
 * Exchange what the person proves for certificates. Nothing is stored.
 *
 * @throws TeleportError `BadParameter` without a terminal for a password, `AccessDenied` with the text of the Proxy or the
 *   identity provider, `NotImplemented` for a login that needs a security key
 */
export async function signIn(env: Env, proxy: AskedProxy, options: SignInOptions): Promise<SignedIn> {
  const { client, ping } = proxy;
  const connector = ssoConnector(ping);
  const making = loginKeys(ping, options.oneKey ?? false);
  making.catch(() => {});
  const asking = making.then((keys) => ({
    sshPublicKey: authorizedKeyLine(keys.ssh),
    tlsPublicKeyPem: publicKeyPem(keys.tls),
    ttlMs: options.ttlMs ?? defaultTtlMs(ping),
    routeToCluster: options.routeToCluster,
  }));
  asking.catch(() => {});
  const warn = () => {
    if (!options.insecure) return;
    printWarning(env, `You are using insecure connection to Teleport proxy https://${client.address}`);
  };
  const bySso = async (to: SsoConnector) => {
    const { signInBySso } = await import('./sso.js');
    const wish = await asking;
    warn();
    return await signInBySso(env, proxy, to, wish, options.browser);
  };
  const byPassword = async () => {
    const { signInByPassword } = await import('./password.js');
    const takesCodes = ping.auth?.second_factor !== 'webauthn';
    return await signInByPassword(env, client, asking, { ...options, takesCodes, onPassword: warn });
  };
  const answer = await (connector ? bySso(connector) : byPassword());
  const keys = await making;
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
): Promise<LoginSession> {
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
  await using client = await connectRoot(env, session, args.insecure);
  const cas = await waitingFor(env, 'the cluster', fetchHostCas(client.api, name, leftOutWarning(env)));
  if (cas.length > 0) await store.saveHostCas(name, cas, { areAll: true });
  await store.saveProfile(profile);
  return session;
}

/** Says of each authority that is left out that it is. */
export const leftOutWarning = (env: Env) => (what: string) => printWarning(env, `left out: ${what}`);

/** How long certificates live when nothing was typed: the ping's `default_session_ttl`, else 12 h. */
export function defaultTtlMs(ping: Ping): number {
  return goDurationMs(ping.auth?.default_session_ttl ?? '') || DEFAULT_TTL_MS;
}

/** The suite that a ping announces. Absent is `legacy`; an unknown word is an error, as for real tsh. */
export function suiteOfPing(ping: Ping): SignatureSuite {
  const suite = ping.auth?.signature_algorithm_suite;
  if (suite === undefined || suite === '') return 'legacy';
  if (typeof suite === 'number') return suiteOfNumber(suite);
  const known = SIGNATURE_SUITES.find((one) => one === suite);
  if (known) return known;
  throw new TeleportError('NotImplemented', `the cluster asks for the unknown signature algorithm suite "${suite}"`);
}

async function loginKeys(ping: Ping, oneKey: boolean): Promise<{ ssh: KeyObject; tls: KeyObject }> {
  const suite = suiteOfPing(ping);
  const tls = await generateKey(keyFor(suite, 'user-tls'));
  if (oneKey || suite === 'legacy') return { ssh: tls, tls };
  return { ssh: await generateKey(keyFor(suite, 'user-ssh')), tls };
}

/**
 * The connector of a cluster with single sign-on, undefined for a password.
 *
 * @throws TeleportError for connectors that are neither
 */
export function ssoConnector(ping: Ping): SsoConnector | undefined {
  const type = ping.auth?.type ?? 'local';
  const local = ping.auth?.local?.name ?? '';
  if (type === 'local') {
    if (local === '' || local === 'local') return undefined;
    if (local === 'headless') throw headlessRefused(ping);
    throw new TeleportError('NotImplemented', `login with ${local} is not supported`, {
      hint: 'What works: password and one-time code (--auth=local), single sign-on (--auth=CONNECTOR), or an identity file (-i FILE).',
    });
  }
  const known = SSO_TYPES.find((one) => one === type);
  if (known === undefined) {
    throw new TeleportError('BadParameter', `unsupported authentication type: ${JSON.stringify(type)}`);
  }
  const name = ping.auth?.[known]?.name;
  if (!name) throw new TeleportError('Protocol', `the proxy announces ${known} without the name of a connector`);
  return { type: known, name };
}
