/** Hears of every change of an authority, for services that keep what they believe: a rotation is followed at once. */
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { isSignedBy, publicKeyOf, readCertificate } from '../pki/certificate.js';
import { spkiPin } from '../pki/x509.js';
import { rest } from '../wait.js';
import type { AuthClient } from './client.js';
import type { WatchAuthoritiesResponse } from './gen/internal_pb.js';
import type { HostIdentity } from './host-identity.js';

export interface AuthorityWatchOptions {
  auth: Pick<AuthClient, 'databaseAgent'>;
  /** Called at each change, and whenever one may have been missed. */
  onChange: (change: HostAuthorities) => void;
  log: Logger;
  signal: AbortSignal;
}

/** The authority of hosts as it is now, by pins: `sha256:…`. */
export type HostAuthorities = Pick<WatchAuthoritiesResponse, 'hostSigner' | 'hostPins'>;

/** Whether a host has to fetch its certificate anew: it is of another key than signs now, or others are believed. */
export class HostFreshness {
  /** Called when it has to. */
  onOutdated = () => {};
  readonly #identity: HostIdentity;
  #latest: HostAuthorities | undefined;

  /** @param identity  as it is at each moment */
  constructor(identity: HostIdentity) {
    this.#identity = identity;
  }

  heard(authorities: HostAuthorities): void {
    this.#latest = authorities;
    if (this.isOutdated) this.onOutdated();
  }

  get isOutdated(): boolean {
    if (this.#latest === undefined) return false;
    const { hostSigner, hostPins } = this.#latest;
    if (hostSigner === '') return false; // an Auth that does not say
    const known = new Map(this.#identity.hostCaPems.map((pem) => [spkiPin(pem), pem]));
    const signer = known.get(hostSigner);
    if (signer === undefined || hostPins.length !== known.size || !hostPins.every((pin) => known.has(pin))) return true;
    return !isSignedBy(readCertificate(this.#identity.certPem), publicKeyOf(signer));
  }
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Resolves after the signal, and when Auth is an older one that does not say. */
export async function followAuthorities({ auth, onChange, log, signal }: AuthorityWatchOptions): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const change of auth.databaseAgent.watchAuthorities({}, { signal, timeoutMs: 0 })) {
        failures = 0;
        onChange(change);
      }
    } catch (error) {
      if (signal.aborted || isTeleportError(error, 'NotImplemented')) return;
      log.warn('Watching authorities failed, trying again.', { error: messageOf(error) });
    }
    await rest(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++), signal);
  }
}
