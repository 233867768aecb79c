/**
 * What the Proxy knows of its cluster: the certificates of the Host and the User authority. Read from the Auth Service at
 * the start, at each change, every few minutes, and when somebody shows a certificate that is signed by neither.
 */
import { type FetchedTrust, fetchTrust } from '../api/authorities.js';
import { followAuthorities, type HostAuthorities } from '../api/authority-watch.js';
import type { AuthClient } from '../api/client.js';
import { messageOf, TeleportError } from '../errors.js';
import { type Bearer, bearerOf, isStillBelieved, type RemoteTrust } from '../identity/bearer.js';
import type { Logger } from '../log.js';

export interface TrustedAuthorities {
  readonly hostCaPems: readonly string[];
  readonly userCaPems: readonly string[];
  /** Leafs and roots of the cluster. */
  readonly remotes: readonly RemoteTrust[];
  /** Ask Auth again, unless that was done a moment ago. True when something changed. */
  refresh(): Promise<boolean>;
  close(): Promise<void>;
}

export interface AuthoritiesOptions {
  auth: Pick<AuthClient, 'trust' | 'databaseAgent'>;
  clusterName: string;
  /** Host CA of the identity: known before Auth was asked. */
  hostCaPems: readonly string[];
  log: Logger;
  /** Called for each change of an authority, and when one may have been missed. */
  onHosts?: ((authorities: HostAuthorities) => void) | undefined;
  /** Called before `watchAuthorities` returns, and at each change. */
  onChange: (trust: FetchedTrust) => void;
  /** Called at each change, also of what Auth knows of other clusters beside their authorities. */
  onNews?: (() => void) | undefined;
  /** Default 5 minutes. */
  intervalMs?: number;
  /** Least time between two questions that strangers cause. Default 5 s. */
  restMs?: number;
}

/** @throws TeleportError when Auth cannot be asked the first time */
export async function watchAuthorities(options: AuthoritiesOptions): Promise<TrustedAuthorities> {
  const { auth, log, onChange, intervalMs = 300_000, restMs = 5_000 } = options;
  let trust: FetchedTrust = { hostCas: options.hostCaPems, userCas: [], remotes: [] };
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<boolean> | undefined;

  const ask = async (): Promise<boolean> => {
    askedAt = performance.now();
    const { hostCas, ...rest } = await fetchTrust(auth, options.clusterName);
    if (rest.userCas.length === 0) {
      throw new TeleportError('ConnectionProblem', 'the Auth Service names no user authority');
    }
    const next = { ...rest, hostCas: hostCas.length > 0 ? hostCas : options.hostCaPems };
    const isSame = same(next, trust);
    trust = next;
    if (!isSame) onChange(trust);
    options.onNews?.();
    return !isSame;
  };
  const refresh = ({ isCertain = false } = {}): Promise<boolean> => {
    // What is being asked may have been answered before the change.
    if (asking) return isCertain ? asking.then(() => refresh({ isCertain })) : asking;
    if (!isCertain && performance.now() - askedAt < restMs) return Promise.resolve(false);
    asking = ask()
      .catch((error: unknown) => {
        log.warn('Cannot read the certificate authorities.', { error: messageOf(error) });
        return false;
      })
      .finally(() => {
        asking = undefined;
      });
    return asking;
  };
  await ask();
  const timer = setInterval(() => void refresh(), intervalMs);
  timer.unref();
  const stop = new AbortController();
  const following = followAuthorities({
    auth,
    onChange: (hosts) => {
      void refresh({ isCertain: true });
      options.onHosts?.(hosts);
    },
    log,
    signal: stop.signal,
  });
  return {
    get hostCaPems() {
      return trust.hostCas;
    },
    get userCaPems() {
      return trust.userCas;
    },
    get remotes() {
      return trust.remotes;
    },
    refresh,
    async close() {
      clearInterval(timer);
      stop.abort();
      await following;
    },
  };
}

/** `tunnel`: hosts of this cluster, and of its leafs. @throws TeleportError `AccessDenied` */
export type Verify = (certificateDer: Buffer, by: 'user' | 'host' | 'any' | 'tunnel') => Promise<Bearer>;

/**
 * Who stands behind a certificate of this cluster, by the authorities of that moment; a stranger's makes Auth be asked again.
 *
 * @throws (the function) TeleportError `AccessDenied`
 */
export function verifier(
  authorities: TrustedAuthorities,
  { clusterName, now }: { clusterName: string; now: () => Date },
): Verify {
  return async (certificateDer, by) => {
    const check = (): Bearer => {
      const hostCas = by === 'user' ? [] : authorities.hostCaPems;
      const userCas = by === 'host' || by === 'tunnel' ? [] : authorities.userCaPems;
      const remotes = by === 'tunnel' ? leafsOf(authorities) : [];
      return bearerOf(certificateDer, { hostCas, userCas, remotes, clusterName, now: now() });
    };
    try {
      return check();
    } catch (error) {
      if (await authorities.refresh()) return check();
      throw error;
    }
  };
}

/** Whether the authority behind a certificate that was verified before is believed now. */
export const believes = (
  { hostCaPems: hostCas, userCaPems: userCas, remotes }: TrustedAuthorities,
  bearer: Bearer,
): boolean => isStillBelieved(bearer, { hostCas, userCas, remotes });

/** A leaf is believed for its hosts alone; a root for its users too. */
export const leafsOf = ({ remotes }: Pick<TrustedAuthorities, 'remotes'>): RemoteTrust[] =>
  remotes.filter(({ userCas }) => userCas.length === 0);

function same(a: FetchedTrust, b: FetchedTrust): boolean {
  const [one, other] = [a, b].map(({ hostCas, userCas, remotes }) =>
    JSON.stringify([[...hostCas].sort(), [...userCas].sort(), remotes]),
  );
  return one === other;
}
