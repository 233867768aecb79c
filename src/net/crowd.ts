/**
 * Everybody who is connected to a port, by class, so that one class cannot shut out another:
 *
 *     stranger   no certificate verified yet       10 s in all to become something else, and a share of the descriptors
 *     forwarded  passed on to Auth unread          a stranger for twice that time, as Auth cuts it off if it is one there
 *     login      a verified user certificate       so many at a time for each login, a quarter of the room for people
 *     host       an agent or a Proxy               so many for each, half of the room for hosts; people and hosts leave room for
 *                                                  each other; all of another cluster together have half of the room for
 *                                                  people, an eighth of that for hosts
 *     local      the administrator on this host    the last descriptors are kept for him
 *
 * When strangers are too many, the one who has been one for longest has to go, from the network that has most of them: a crowd
 * pushes out its own people, and who comes new has the time of a handshake. Who waits for an answer of ours counts too, and goes
 * like the others where those who wait are more than those who do not (`strangers.ts`). Nobody is refused for coming from a full address,
 * and no stranger stands in the way of anybody known: the classes have counts of their own.
 */
import { TeleportError } from '../errors.js';
import { isLoopback, networkOf, siteOf } from '../ip.js';
import type { Logger } from '../log.js';
import { descriptorLimit } from './descriptors.js';
import { LatelySeen } from './lately-seen.js';
import { createLimiter, type RateLimit } from './rate-limit.js';
import { type Origin, Strangers } from './strangers.js';

/** What a configuration may set: `teleport.connection_limits`. */
export interface ConnectionLimits {
  /** At a time, of one login whatever room there is for people, and of strangers in one network. */
  maxConnections?: number;
  /** New connections from one network. All must hold. */
  rates?: readonly RateLimit[];
}

export interface CrowdOptions {
  limits?: ConnectionLimits | undefined;
  log: Logger;
  /** Of this here. Default: what the system says. */
  descriptors?: number;
  /** A stranger's time in all. Default 10 s. */
  strangerMs?: number;
}

export type Known =
  /** With a cluster: of another one, which makes as many names as it wants. */
  | { kind: 'login' | 'host'; name: string; cluster?: string | undefined }
  | { kind: 'local' }
  /** Passed on unread to a service that asks for a certificate itself. */
  | { kind: 'forwarded' };

const OF_CLUSTER = 'cluster ';

/** In the place of an address, for what another cluster hands over: it can state any. */
export const addressOfCluster = (cluster: string): string => `${OF_CLUSTER}${cluster}`;

interface Connection {
  readonly destroyed: boolean;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

const STRANGER_MS = 10_000;
/** The longest that a request counts as waiting for us. */
const BUSY_MS = 30_000;
const MOST_STRANGERS = 2_048;
/** Of the descriptors. Half of them at most are connections that were accepted, since each may need a second one. */
const SHARE = { all: 0.5, people: 0.4, hosts: 0.4, forwarded: 0.125 };
const MOST_OF_LOGIN = 1_000;
/** Of the room for its kind. A session of a person is also a connection of an agent, and a cluster may have only one. */
const SHARE_OF_ONE = { login: 0.25, host: 0.5 };
/** Of the same, for all of another cluster together. All people may come from a root; a leaf has a few Proxies. */
const SHARE_OF_CLUSTER = { login: 0.5, host: 0.125 };
const RAISE_OF_LOGIN = 'teleport.connection_limits.max_connections';
const RAISE_OF_HOSTS = 'the limit of open files (ulimit -n)';
const USUAL_RATES: readonly RateLimit[] = [{ perMinute: 6_000, burst: 1_000 }];
/** Descriptors that nobody but the local administrator gets. */
const RESERVE = 64;
/** At most so often the log says that strangers are being cut off. */
const WARN_MS = 60_000;

/** So long a network from which somebody has shown a certificate is remembered. */
const FAMILIAR_MS = 86_400_000;
const MOST_FAMILIAR = 10_000;

/** Auth and Proxy are in one process or in two; what is in one shares its descriptors. */
const here = {
  accepted: 0,
  known: { login: 0, forwarded: 0, host: 0, local: 0 },
  strangers: new Strangers<Guest>(),
  /** Where somebody has shown a certificate. */
  familiar: new LatelySeen({ ms: FAMILIAR_MS, most: MOST_FAMILIAR, nowMs: () => performance.now() }),
};

export class Crowd {
  readonly strangerMs: number;
  readonly #log: Logger;
  readonly #descriptors: number;
  readonly #mostStrangers: number;
  readonly #mostOfNetwork: number;
  readonly #mostOf: Record<'login' | 'host', number>;
  readonly #mostOfCluster: Record<'login' | 'host', number>;
  readonly #rates: readonly ((address: string) => void)[];
  /** Of each login and host, and of each other cluster. */
  readonly #counts = new Map<string, number>();
  #cutCount = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ limits = {}, log, descriptors = descriptorLimit(), strangerMs = STRANGER_MS }: CrowdOptions) {
    this.strangerMs = strangerMs;
    this.#log = log;
    this.#descriptors = descriptors;
    this.#mostStrangers = Math.max(1, Math.min(Math.floor(descriptors / 4), MOST_STRANGERS));
    const half = Math.max(1, Math.floor(this.#mostStrangers / 2));
    this.#mostOfNetwork = Math.min(limits.maxConnections ?? half, half);
    const shareOf = (share: typeof SHARE_OF_ONE, kind: 'login' | 'host') =>
      Math.max(1, Math.floor(share[kind] * this.#roomOf(kind)));
    this.#mostOf = {
      login: limits.maxConnections ?? Math.min(shareOf(SHARE_OF_ONE, 'login'), MOST_OF_LOGIN),
      host: shareOf(SHARE_OF_ONE, 'host'),
    };
    this.#mostOfCluster = { login: shareOf(SHARE_OF_CLUSTER, 'login'), host: shareOf(SHARE_OF_CLUSTER, 'host') };
    this.#rates = (limits.rates ?? USUAL_RATES).map((rate) => createLimiter(rate, () => performance.now()));
  }

  /** Of all ports of this here, those included that wait for an answer of ours. */
  get strangers(): number {
    return here.strangers.size;
  }

  /**
   * A connection as it was accepted.
   *
   * @param address  or `addressOfCluster`; empty for one that was reset before that: its other end is gone, and nobody can say where it was
   * @returns undefined when there is no room, and no stranger to make some; and when nobody is there any more
   */
  arrive(connection: Connection, address: string): Guest | undefined {
    // One that has closed says so no more, and would be counted for ever.
    if (connection.destroyed || address === '') return undefined;
    if (here.accepted >= SHARE.all * this.#descriptors && !this.#cutFirst()) return undefined;
    here.accepted++;
    return new Guest(this, connection, address);
  }

  /** For `Guest`. */
  addStranger(guest: Guest): void {
    const { strangers } = here;
    if (strangers.countLike(guest) >= this.#mostOfNetwork) this.#cut(strangers.oldestLike(guest));
    else if (strangers.size >= this.#mostStrangers) this.#cutFirst();
    strangers.add(guest);
  }

  /** For `Guest`. */
  setWaiting(guest: Guest, isWaiting: boolean): void {
    here.strangers.setWaiting(guest, isWaiting);
  }

  /** For `Guest`. */
  removeStranger(guest: Guest): void {
    here.strangers.remove(guest);
  }

  /**
   * For `Guest`: the address is known for sure. Where people or hosts have been lately, a crowd behind the same address must not
   * keep them out: who comes takes the place of a stranger.
   *
   * @throws TeleportError `LimitExceeded` when too many come from anywhere else
   */
  checkRate(address: string, guest: Guest): void {
    // Whoever is on this machine can keep it busy in other ways, and the administrator is there too.
    if (isLoopback(address)) return;
    try {
      for (const take of this.#rates) take(address);
    } catch (error) {
      if (!here.familiar.has(guest.network)) throw error;
      this.#cut(here.strangers.oldestLike(guest));
    }
  }

  /** For `Guest`. @returns what it holds, to be given back @throws TeleportError `LimitExceeded` */
  admit(known: Known, network: string): () => void {
    if (!this.#hasRoom(known.kind)) {
      throw new TeleportError('LimitExceeded', 'too many connections', { hint: 'Try again later.' });
    }
    const giveBack = 'name' in known ? this.#admitOne(known) : () => {};
    here.known[known.kind]++;
    // Where a crowd comes from through a cluster, that cluster can stop it.
    if (known.kind !== 'forwarded' && !network.startsWith(OF_CLUSTER)) here.familiar.add(network);
    return () => {
      here.known[known.kind]--;
      giveBack();
    };
  }

  /** Strangers do not count here: they make room. */
  #hasRoom(kind: Known['kind']): boolean {
    if (kind === 'local') return true;
    const { login, forwarded, host } = here.known;
    if (login + forwarded + host >= SHARE.all * this.#descriptors - RESERVE / 2) return false;
    if (kind === 'host') return host < this.#roomOf('host');
    if (login + forwarded >= this.#roomOf('login')) return false;
    return kind === 'login' || forwarded < SHARE.forwarded * this.#descriptors;
  }

  /** Of all of the kind together. */
  #roomOf(kind: 'login' | 'host'): number {
    return (kind === 'login' ? SHARE.people : SHARE.hosts) * this.#descriptors - RESERVE / 2;
  }

  #admitOne({ kind, name, cluster }: Extract<Known, { name: string }>): () => void {
    const whose = `${kind === 'login' ? 'user' : 'host'} ${JSON.stringify(name)}`;
    const giveBack = this.#count(whose, this.#mostOf[kind], kind === 'login' ? RAISE_OF_LOGIN : RAISE_OF_HOSTS);
    if (cluster === undefined) return giveBack;
    const all = `${kind === 'login' ? 'users' : 'hosts'} of cluster ${JSON.stringify(cluster)}`;
    try {
      const giveBackToo = this.#count(all, this.#mostOfCluster[kind], RAISE_OF_HOSTS);
      return () => {
        giveBack();
        giveBackToo();
      };
    } catch (error) {
      giveBack();
      throw error;
    }
  }

  #count(whose: string, most: number, raise: string): () => void {
    const count = this.#counts.get(whose) ?? 0;
    if (count >= most) {
      throw new TeleportError('LimitExceeded', `too many connections of ${whose}: ${count} are open`, {
        hint: `Close some, or raise ${raise}.`,
      });
    }
    this.#counts.set(whose, count + 1);
    return () => {
      const left = this.#counts.get(whose)! - 1;
      if (left > 0) this.#counts.set(whose, left);
      else this.#counts.delete(whose);
    };
  }

  /** For `Guest`. */
  gone(): void {
    here.accepted--;
  }

  /** @returns whether there was one */
  #cutFirst(): boolean {
    return this.#cut(here.strangers.first());
  }

  #cut(guest: Guest | undefined): boolean {
    if (guest === undefined) return false;
    this.#cutCount++;
    const now = performance.now();
    if (now - this.#warnedAt >= WARN_MS) {
      this.#log.warn('Connections without a certificate are too many, the oldest are cut off.', {
        cut: this.#cutCount,
        from: guest.network,
      });
      this.#warnedAt = now;
      this.#cutCount = 0;
    }
    guest.cut();
    return true;
  }
}

/** One connection. */
export class Guest implements Origin {
  network: string;
  site: string;
  readonly #crowd: Crowd;
  readonly #connection: Connection;
  #timer: NodeJS.Timeout | undefined;
  #isKnown = false;
  #isGone = false;
  #work = 0;
  #giveBack = () => {};

  constructor(crowd: Crowd, connection: Connection, address: string) {
    this.#crowd = crowd;
    this.#connection = connection;
    this.network = networkOf(address);
    this.site = siteOf(address);
    connection.once('close', () => this.#leave());
    this.#beStranger();
  }

  /** Where it really comes from, once that is known: an address, or `addressOfCluster`. @throws TeleportError `LimitExceeded` */
  from(address: string): void {
    if (this.#isGone) return;
    const network = networkOf(address);
    if (network !== this.network) {
      this.#crowd.removeStranger(this);
      this.network = network;
      this.site = siteOf(address);
      this.#crowd.addStranger(this);
    }
    this.#crowd.checkRate(address, this);
  }

  /** Who it is. @throws TeleportError `LimitExceeded` */
  become(known: Known): void {
    if (this.#isKnown || this.#isGone || this.#connection.destroyed) return;
    if (known.kind === 'forwarded') {
      this.#isKnown = true;
      clearTimeout(this.#timer);
      this.#waitForAuth();
      return;
    }
    this.#giveBack = this.#crowd.admit(known, this.network);
    this.#isKnown = true;
    this.#beNoStranger();
  }

  /** A whole request is here: until it is answered, its time is ours, up to 30 s. @returns call it with the answer */
  busy(): () => void {
    if (this.#isKnown || this.#isGone) return () => {};
    if (this.#work++ === 0) {
      clearTimeout(this.#timer);
      this.#crowd.setWaiting(this, true);
    }
    let isDone = false;
    const done = (): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      if (--this.#work > 0 || this.#isKnown || this.#isGone || this.#connection.destroyed) return;
      this.#crowd.setWaiting(this, false);
      this.#countTime();
    };
    const timer = setTimeout(done, BUSY_MS).unref();
    return done;
  }

  cut(): void {
    this.#leave();
    this.#connection.destroy();
  }

  #beStranger(): void {
    this.#crowd.addStranger(this);
    this.#countTime();
  }

  #countTime(): void {
    this.#timer = setTimeout(() => this.cut(), this.#crowd.strangerMs).unref();
  }

  #beNoStranger(): void {
    clearTimeout(this.#timer);
    this.#crowd.removeStranger(this);
  }

  /** Auth cuts off who is nobody there. Whoever lives longer is somebody, once there is room for more of them. */
  #waitForAuth(): void {
    this.#timer = setTimeout(() => {
      try {
        this.#giveBack = this.#crowd.admit({ kind: 'forwarded' }, this.network);
        this.#beNoStranger();
      } catch {
        this.#waitForAuth();
      }
    }, 2 * this.#crowd.strangerMs).unref();
  }

  #leave(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#beNoStranger();
    this.#giveBack();
    this.#crowd.gone();
  }
}
