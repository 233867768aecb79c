/** At a root: the tunnels of leaf clusters, one set for each, and ways through them. */
import type { Duplex } from 'node:stream';
import { coalesced } from '../coalesced.js';
import { messageOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';
import type { Logger } from '../log.js';
import { FairShares, originOf, originOfLogin } from '../net/fair-share.js';
import type { SocketEndpoint } from '../net/proxy-protocol.js';
import { TunnelRegistry } from '../tunnel/registry.js';
import { rest } from '../wait.js';
import { leafsOf, type TrustedAuthorities } from './authorities.js';

export interface LeafsOptions {
  authorities: Pick<TrustedAuthorities, 'remotes'>;
  /** Says to Auth which leafs are there. */
  report: (online: string[]) => Promise<unknown>;
  log: Logger;
  /** Between two reports without a change. Default 1 min, a third of what Auth waits for. */
  reportMs?: number;
  /** Between two reports of changes, as a leaf may come and go as often as it wants. Default 1 s. */
  pauseMs?: number;
}

/**
 * Connections to the Auth Service of one leaf at a time. Nobody here sees who is on one, and each is one of the leaf's Proxy and
 * takes its room.
 */
export const MOST_TO_AUTH = 32;

export class Leafs {
  readonly #options: LeafsOptions;
  readonly #toAuth = new FairShares(MOST_TO_AUTH);
  readonly #tunnels = new Map<string, TunnelRegistry>();
  readonly #reporting: NodeJS.Timeout;
  /** What Auth has heard last, JSON; undefined when it has to hear it again. */
  #said: string | undefined;
  #reported: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();

  constructor(options: LeafsOptions) {
    this.#options = options;
    const again = () => {
      this.#said = undefined;
      this.#report();
    };
    this.#reporting = setInterval(again, options.reportMs ?? 60_000).unref();
  }

  /** Take a tunnel connection of a leaf's Proxy, whose certificate was verified. */
  accept(stream: Duplex, cluster: string, hostId: string): void {
    const known = this.#tunnels.get(cluster);
    const tunnels = known ?? this.#registryOf(cluster);
    this.#tunnels.set(cluster, tunnels);
    tunnels.accept(stream, { hostId });
  }

  /**
   * A connection to an agent of the leaf.
   *
   * @throws TeleportError `NotFound` for a cluster that is not a leaf, `ConnectionProblem` for one that is not there
   */
  async openDatabase(cluster: string, user: { certificateDer: Buffer; clientAddr: string }): Promise<Duplex> {
    return await this.#tunnelsTo(cluster).openAny(user);
  }

  /**
   * A connection to the Auth Service of the leaf, as long as others leave it its place.
   *
   * @param options.login  who shares it (`user alice`), where that is known; else all of the client's network do
   * @param options.signal  the client has gone
   * @throws as `openDatabase`; the signal's reason; `LimitExceeded` when the place was taken
   */
  async openAuth(
    cluster: string,
    { address, port }: SocketEndpoint,
    { login, signal }: { login?: string | undefined; signal: AbortSignal },
  ): Promise<Duplex> {
    const tunnels = this.#tunnelsTo(cluster);
    const ended = new AbortController();
    const leave = () => ended.abort(signal.reason);
    const giveBack = this.#toAuth
      .of(cluster)
      .take(login === undefined ? originOf(address) : originOfLogin(login), () =>
        ended.abort(new TeleportError('LimitExceeded', `too many connections to cluster ${JSON.stringify(cluster)}`)),
      );
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    const done = () => {
      signal.removeEventListener('abort', leave);
      giveBack();
    };
    try {
      const clientAddr = joinHostPort(address, port);
      const stream = await tunnels.openAny({ certificateDer: Buffer.alloc(0), clientAddr }, ended.signal);
      ended.signal.addEventListener('abort', () => stream.destroy(), { once: true });
      stream.once('close', done);
      return stream;
    } catch (error) {
      done();
      throw error;
    }
  }

  /** Whether a client is on this tunnel connection. */
  isInUse(stream: Duplex): boolean {
    return [...this.#tunnels.values()].some((tunnels) => tunnels.hostOf(stream) !== undefined);
  }

  isLeaf(cluster: string): boolean {
    return leafsOf(this.#options.authorities).some((one) => one.cluster === cluster);
  }

  /** Clusters whose Proxy holds a tunnel now. */
  online(): string[] {
    return [...this.#tunnels].filter(([, tunnels]) => tunnels.agents().length > 0).map(([cluster]) => cluster);
  }

  async drain(drainMs: number): Promise<void> {
    await Promise.all([...this.#tunnels.values()].map((tunnels) => tunnels.drain(drainMs)));
  }

  async close(): Promise<void> {
    clearInterval(this.#reporting);
    this.#stop.abort();
    await Promise.all([...this.#tunnels.values()].map((tunnels) => tunnels.close()));
    await this.#reported;
  }

  #tunnelsTo(cluster: string): TunnelRegistry {
    if (!this.isLeaf(cluster)) throw new TeleportError('NotFound', `cluster ${JSON.stringify(cluster)} is not found`);
    return this.#tunnels.get(cluster) ?? this.#registryOf(cluster);
  }

  #registryOf(cluster: string): TunnelRegistry {
    const { log } = this.#options;
    return new TunnelRegistry({ clusterName: cluster, log: log.child('LEAF'), onChange: () => this.#report() });
  }

  #report(): void {
    this.#reported = this.#sayOnline();
  }

  /** A leaf says hello as often as it wants, and Auth hears no more than what has changed. Never rejects. */
  readonly #sayOnline = coalesced(async () => {
    const { report, pauseMs = 1_000, log } = this.#options;
    const online = this.online();
    const said = JSON.stringify(online);
    if (said === this.#said) return;
    try {
      await report(online);
      this.#said = said;
    } catch (error) {
      log.warn('Cannot say which leaf clusters are there.', { error: messageOf(error) });
    }
    await rest(pauseMs, this.#stop.signal, { isIdle: true });
  });
}
