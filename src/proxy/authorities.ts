/**
 * What the Proxy knows of its cluster: the certificates of the Host and the User authority. Read from the Auth Service at
 * the start, at each change, every few minutes, and when somebody shows a certificate that is signed by neither.
 */
import { fetchTrustedPems } from '../api/authorities.js';
import { followAuthorities, type HostAuthorities } from '../api/authority-watch.js';
import type { AuthClient } from '../api/client.js';
import { messageOf, TeleportError } from '../errors.js';
import { type Bearer, bearerOf, isStillBelieved } from '../identity/bearer.js';
import type { Logger } from '../log.js';

export interface TrustedAuthorities {
  readonly hostCaPems: readonly string[];
  readonly userCaPems: readonly string[];
  /** Ask Auth again, unless that was done a moment ago. True when something changed. */
  refresh(): Promise<boolean>;
  close(): Promise<void>;
}

export interface AuthoritiesOptions {
  auth: Pick<AuthClient, 'trust' | 'databaseAgent'>;
  /** Host CA of the identity: known before Auth was asked. */
  hostCaPems: readonly string[];
  log: Logger;
  /** Called for each change of an authority, and when one may have been missed. */
  onHosts?: ((authorities: HostAuthorities) => void) | undefined;
  /** Called before `watchAuthorities` returns, and at each change. */
  onChange: (userCaPems: readonly string[], hostCaPems: readonly string[]) => void;
  /** Default 5 minutes. */
  intervalMs?: number;
  /** Least time between two questions that strangers cause. Default 5 s. */
  restMs?: number;
}

/** @throws TeleportError when Auth cannot be asked the first time */
export async function watchAuthorities(options: AuthoritiesOptions): Promise<TrustedAuthorities> {
  const { auth, log, onChange, intervalMs = 300_000, restMs = 5_000 } = options;
  let hostCaPems = options.hostCaPems;
  let userCaPems: readonly string[] = [];
  let askedAt = Number.NEGATIVE_INFINITY;
  let asking: Promise<boolean> | undefined;

  const ask = async (): Promise<boolean> => {
    askedAt = performance.now();
    const [hosts, users] = await Promise.all([fetchTrustedPems(auth, 'host'), fetchTrustedPems(auth, 'user')]);
    if (users.length === 0) throw new TeleportError('ConnectionProblem', 'the Auth Service names no user authority');
    const known = hosts.length > 0 ? hosts : options.hostCaPems;
    const isSame = same(known, hostCaPems) && same(users, userCaPems);
    hostCaPems = known;
    userCaPems = users;
    if (!isSame) onChange(userCaPems, hostCaPems);
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
      return hostCaPems;
    },
    get userCaPems() {
      return userCaPems;
    },
    refresh,
    async close() {
      clearInterval(timer);
      stop.abort();
      await following;
    },
  };
}

/**
 * Who stands behind a certificate of this cluster, by the authorities of that moment; a stranger's makes Auth be asked again.
 *
 * @throws (the function) TeleportError `AccessDenied`
 */
export function verifier(
  authorities: TrustedAuthorities,
  { clusterName, now }: { clusterName: string; now: () => Date },
): (certificateDer: Buffer, by: 'user' | 'host' | 'any') => Promise<Bearer> {
  return async (certificateDer, by) => {
    const check = (): Bearer => {
      const hostCas = by === 'user' ? [] : authorities.hostCaPems;
      const userCas = by === 'host' ? [] : authorities.userCaPems;
      return bearerOf(certificateDer, { hostCas, userCas, clusterName, now: now() });
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
export const believes = ({ hostCaPems: hostCas, userCaPems: userCas }: TrustedAuthorities, bearer: Bearer): boolean =>
  isStillBelieved(bearer, { hostCas, userCas });

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item) => b.includes(item));
}
