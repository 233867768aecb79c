/**
 * One login as a command uses it: profile, keys, and what the certificates say about roles and end. Which profile that
 * is: the one of `--proxy`, else the current one (login-and-profile.md 6.6).
 */

import { TeleportError } from '../errors.js';
import { ATTRIBUTE_OID } from '../identity/attributes.js';
import { type GitHubIdentity, readUserSshCertificate } from '../identity/ssh-cert.js';
import type { Traits } from '../identity/traits.js';
import { issuingCluster } from '../pki/cluster-name.js';
import { readCertificate } from '../pki/x509.js';
import { shellWord } from '../shell-word.js';
import type { Profile } from './profile.js';
import { LoginNeeded, type ProfileStore, type UserCerts, type UserKeys } from './store.js';
import { proxyHostOf } from './typed-proxy.js';

export { LoginNeeded } from './store.js';

export interface LoginSession {
  store: ProfileStore;
  /** Name of the profile: host of the proxy. */
  name: string;
  profile: Profile;
  user: string;
  /** Selected cluster, root or leaf. */
  cluster: string;
  /** The cluster that issued the certificates; as `cluster` when there are none. */
  rootCluster: string;
  /** Absent after `tsh logout --proxy --user`, which leaves the profile. The keys to them: `usableKeys`. */
  certs?: UserCerts;
  facts?: SessionFacts;
}

/** What the SSH certificate says; roles and traits are not read from anywhere else. */
export interface SessionFacts {
  roles: string[];
  traits: Traits;
  /** Host logins, Teleport's own left out. */
  logins: string[];
  /** Names of the other extensions, sorted. */
  extensions: string[];
  github?: GitHubIdentity;
  /** Restrictions of the SSH certificate by name. */
  criticalOptions: Record<string, string>;
  /** The only address from which the certificates are good. */
  pinnedIp?: string;
  /** Ids of the access requests whose roles or databases the certificates carry. */
  activeRequests: string[];
  /** Where the certificates are limited to single resources: `/cluster/kind/name`. */
  allowedResources: string[];
  /** End of the SSH certificate; of the TLS certificate when there is no SSH certificate. */
  expiresAt: Date;
  tlsExpiresAt: Date;
}

export interface SessionOptions {
  /** `host`, `host:port` or `host:port,sshport`; default: the current profile. */
  proxy?: string | undefined;
  /** Instead of the profile's. */
  cluster?: string | undefined;
  /** Instead of the profile's. */
  user?: string | undefined;
}

/**
 * The login that a command works with; expired ones too.
 *
 * @throws TeleportError `BadParameter` when no profile is named, `NotFound` when there is none of that name
 */
export async function openSession(store: ProfileStore, options: SessionOptions = {}): Promise<LoginSession> {
  const name = options.proxy === undefined ? await store.currentName() : proxyHostOf(options.proxy);
  if (!name) throw new TeleportError('BadParameter', 'No proxy address specified, missed --proxy flag?');
  const profile = await store.readProfile(name);
  if (profile === undefined) {
    throw new TeleportError('NotFound', `open ${store.profileFile(name)}: no such file or directory`, {
      cause: new TeleportError('NotFound', 'no profile'),
    });
  }
  return await sessionOf(store, name, options.user ? { ...profile, user: options.user } : profile, options.cluster);
}

/** The login behind one profile. */
export async function sessionOf(
  store: ProfileStore,
  name: string,
  profile: Profile,
  cluster = profile.cluster ?? name,
): Promise<LoginSession> {
  const user = profile.user ?? '';
  const home = profile.cluster ?? name;
  let certs = user === '' ? undefined : await store.readCerts(name, user, cluster);
  // `--cluster` may name a leaf for which no SSH certificate was ever made: the one of the profile's cluster will do.
  if (certs && !certs.sshCert && cluster !== home) certs = await store.readCerts(name, user, home);
  if (certs === undefined) return { store, name, profile, user, cluster, rootCluster: home };
  const rootCluster = issuingCluster(certs.tlsCertPem) ?? home;
  return { store, name, profile, user, cluster, rootCluster, certs, facts: factsOf(certs) };
}

/**
 * The keys of a session that can be used now; read when they are asked for, from wherever they are.
 *
 * @throws LoginNeeded `ssh: cert has expired` (real tsh's text for every kind of expiry), or when there are none
 * @throws TeleportError `AccessDenied` when the keychain refuses
 */
export async function usableKeys(session: LoginSession, now: Date): Promise<UserKeys> {
  const { certs, facts, store, name, user } = session;
  const hint = `Log in with "tsh login --proxy=${shellWord(session.profile.webProxyAddr)}".`;
  if (certs === undefined || facts === undefined) {
    throw new LoginNeeded('NotFound', `no credentials for ${user || 'any user'} at ${name}`, { hint });
  }
  if (facts.expiresAt <= now || facts.tlsExpiresAt <= now)
    throw new LoginNeeded('AccessDenied', 'ssh: cert has expired');
  const keys = await store.readKeys(name, user, session.cluster);
  if (keys !== undefined) return { ...keys, sshCert: certs.sshCert };
  const where = (await store.credentialStore(name)) === 'keychain' ? 'in the system keychain' : 'there';
  throw new LoginNeeded('NotFound', `the private key of ${user} at ${name} is not ${where}`, { hint });
}

function factsOf(keys: UserCerts): SessionFacts {
  const { subject, notAfter: tlsExpiresAt } = readCertificate(keys.tlsCertPem);
  const pinnedIp = subject.get(ATTRIBUTE_OID.pinnedIp)?.[0];
  const fromTls = {
    ...(pinnedIp ? { pinnedIp } : {}),
    activeRequests: subject.get(ATTRIBUTE_OID.activeRequests) ?? [],
    allowedResources: textList(subject.get(ATTRIBUTE_OID.allowedResources)?.[0]),
  };
  if (!keys.sshCert) {
    return {
      roles: [],
      traits: {},
      logins: [],
      extensions: [],
      criticalOptions: {},
      ...fromTls,
      expiresAt: tlsExpiresAt,
      tlsExpiresAt,
    };
  }
  const { roles, traits, logins, extensions, criticalOptions, github, validBefore } = readUserSshCertificate(
    keys.sshCert,
  );
  return {
    roles: [...roles].sort(),
    traits,
    logins,
    extensions: [...extensions].sort(),
    criticalOptions,
    ...(github ? { github } : {}),
    ...fromTls,
    expiresAt: validBefore ?? tlsExpiresAt,
    tlsExpiresAt,
  };
}

/** A JSON list of texts; it is only shown, so one that cannot be read stops nothing. */
function textList(json: string | undefined): string[] {
  try {
    const value = JSON.parse(json ?? '[]') as unknown;
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
  } catch {
    return [];
  }
}
