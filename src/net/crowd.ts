/**
 * Everybody who is connected to a port, by class, so that one class cannot shut out another:
 *
 *     stranger  no certificate verified yet        10 s in all to become something else, and a share of the descriptors
 *     login     a verified user certificate        so many at a time for each login
 *     host      an agent or a Proxy                not counted with people
 *     local     the administrator on this host     the last descriptors are kept for him
 *
 * When strangers are too many, the one who has been one for longest has to go, from the network that has most of them: a crowd
 * pushes out its own people, and who comes new has the time of a handshake. Nobody is refused for coming from a full address.
 */
import { TeleportError } from '../errors.js';
import { isLoopback, networkOf } from '../ip.js';
import type { Logger } from '../log.js';
import { descriptorLimit } from './descriptors.js';
import { createLimiter, type RateLimit } from './rate-limit.js';

/** What a configuration may set: `teleport.connection_limits`. */
export interface ConnectionLimits {
  /** At a time, of one login, and of strangers in one network. */
  maxConnections?: number;
  /** New connections from one network. All must hold. */
  rates?: readonly RateLimit[];
}

export interface CrowdOptions {
  limits?: ConnectionLimits | undefined;
  log: Logger;
  /** Of this process. Default: what the system says. */
  descriptors?: number;
  /** A stranger's time in all. Default 10 s. */
  strangerMs?: number;
}

export type Known =
  | { kind: 'login'; name: string }
  | { kind: 'host' | 'local' }
  /** Passed on unread to a service that asks for a certificate itself. */
  | { kind: 'forwarded' };

interface Connection {
  readonly destroyed: boolean;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

const STRANGER_MS = 10_000;
/** The longest that a request counts as waiting for us. */
const BUSY_MS = 30_000;
const MOST_STRANGERS = 2_048;
const MOST_OF_LOGIN = 1_000;
const USUAL_RATES: readonly RateLimit[] = [{ perMinute: 6_000, burst: 1_000 }];
/** Descriptors that nobody but the local administrator gets. */
const RESERVE = 64;
/** At most so often the log says that strangers are being cut off. */
const WARN_MS = 60_000;

/** Connections accepted in this process: Auth and Proxy share its descriptors. */
let accepted = 0;

export class Crowd {
  readonly strangerMs: number;
  readonly #log: Logger;
  readonly #descriptors: number;
  readonly #mostStrangers: number;
  readonly #mostOfNetwork: number;
  readonly #mostOfLogin: number;
  readonly #rates: readonly ((address: string) => void)[];
  /** By network, the oldest first. */
  readonly #strangers = new Map<string, Set<Guest>>();
  #strangerCount = 0;
  readonly #logins = new Map<string, number>();
  #cut = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor({ limits = {}, log, descriptors = descriptorLimit(), strangerMs = STRANGER_MS }: CrowdOptions) {
    this.strangerMs = strangerMs;
    this.#log = log;
    this.#descriptors = descriptors;
    this.#mostStrangers = Math.max(1, Math.min(Math.floor(descriptors / 4), MOST_STRANGERS));
    const half = Math.max(1, Math.floor(this.#mostStrangers / 2));
    this.#mostOfNetwork = Math.min(limits.maxConnections ?? half, half);
    this.#mostOfLogin = limits.maxConnections ?? MOST_OF_LOGIN;
    this.#rates = (limits.rates ?? USUAL_RATES).map((rate) => createLimiter(rate, () => performance.now()));
  }

  get strangers(): number {
    return this.#strangerCount;
  }

  /** A connection as it was accepted. @returns undefined when there is no room, and no stranger to make some */
  arrive(connection: Connection, address: string): Guest | undefined {
    // One that has closed says so no more, and would be counted for ever.
    if (connection.destroyed) return undefined;
    if (accepted >= this.#descriptors / 2 && !this.#cutOldest()) return undefined;
    accepted++;
    return new Guest(this, connection, address);
  }

  /** For `Guest`. */
  addStranger(guest: Guest): void {
    const { network } = guest;
    const mine = this.#strangers.get(network) ?? new Set();
    if (mine.size >= this.#mostOfNetwork) this.#cutFirst(mine);
    else if (this.#strangerCount >= this.#mostStrangers) this.#cutOldest();
    this.#strangers.set(network, mine.add(guest));
    this.#strangerCount++;
  }

  /** For `Guest`. */
  removeStranger(guest: Guest): void {
    const mine = this.#strangers.get(guest.network);
    if (!mine?.delete(guest)) return;
    this.#strangerCount--;
    if (mine.size === 0) this.#strangers.delete(guest.network);
  }

  /** For `Guest`: the address is known for sure. @throws TeleportError `LimitExceeded` when too many come from there */
  checkRate(address: string): void {
    // Whoever is on this machine can keep it busy in other ways, and the administrator is there too.
    if (isLoopback(address)) return;
    for (const take of this.#rates) take(address);
  }

  /** For `Guest`. @returns what it holds, to be given back @throws TeleportError `LimitExceeded` */
  admit(known: Known): () => void {
    const share = { login: 0.4, forwarded: 0.4, host: 0.5, local: 1 }[known.kind] * this.#descriptors;
    if (accepted > share - (known.kind === 'local' ? 0 : RESERVE / 2)) {
      throw new TeleportError('LimitExceeded', 'too many connections', { hint: 'Try again later.' });
    }
    if (known.kind !== 'login') return () => {};
    const { name } = known;
    const count = this.#logins.get(name) ?? 0;
    if (count >= this.#mostOfLogin) {
      throw new TeleportError(
        'LimitExceeded',
        `too many connections of user ${JSON.stringify(name)}: ${count} are open`,
        {
          hint: 'Close some, or raise teleport.connection_limits.max_connections.',
        },
      );
    }
    this.#logins.set(name, count + 1);
    return () => {
      const left = this.#logins.get(name)! - 1;
      if (left > 0) this.#logins.set(name, left);
      else this.#logins.delete(name);
    };
  }

  /** For `Guest`. */
  gone(): void {
    accepted--;
  }

  /** @returns whether there was one */
  #cutOldest(): boolean {
    let largest: Set<Guest> | undefined;
    for (const mine of this.#strangers.values()) if (mine.size > (largest?.size ?? 0)) largest = mine;
    if (largest === undefined) return false;
    this.#cutFirst(largest);
    return true;
  }

  #cutFirst(mine: Set<Guest>): void {
    const [oldest] = mine;
    if (oldest === undefined) return;
    this.#cut++;
    const now = performance.now();
    if (now - this.#warnedAt >= WARN_MS) {
      this.#log.warn('Connections without a certificate are too many, the oldest are cut off.', {
        cut: this.#cut,
        from: oldest.network,
      });
      this.#warnedAt = now;
      this.#cut = 0;
    }
    oldest.cut();
  }
}

/** One connection. */
export class Guest {
  network: string;
  readonly #crowd: Crowd;
  readonly #connection: Connection;
  #timer: NodeJS.Timeout | undefined;
  #isKnown = false;
  #work = 0;
  #giveBack = () => {};

  constructor(crowd: Crowd, connection: Connection, address: string) {
    this.#crowd = crowd;
    this.#connection = connection;
    this.network = networkOf(address);
    connection.once('close', () => this.#leave());
    this.#beStranger();
  }

  /** Where it really comes from, once that is known. @throws TeleportError `LimitExceeded` */
  from(address: string): void {
    const network = networkOf(address);
    this.#crowd.checkRate(address);
    if (network === this.network) return;
    this.#crowd.removeStranger(this);
    this.network = network;
    this.#crowd.addStranger(this);
  }

  /** Who it is. @throws TeleportError `LimitExceeded` */
  become(known: Known): void {
    if (this.#isKnown || this.#connection.destroyed) return;
    this.#giveBack = this.#crowd.admit(known);
    this.#isKnown = true;
    this.#beNoStranger();
  }

  /** A whole request is here: until it is answered, its time is ours, up to 30 s. @returns call it with the answer */
  busy(): () => void {
    if (this.#isKnown) return () => {};
    if (this.#work++ === 0) this.#beNoStranger();
    let isDone = false;
    const done = (): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      if (--this.#work === 0 && !this.#isKnown && !this.#connection.destroyed) this.#beStranger();
    };
    const timer = setTimeout(done, BUSY_MS).unref();
    return done;
  }

  cut(): void {
    this.#beNoStranger();
    this.#connection.destroy();
  }

  #beStranger(): void {
    this.#crowd.addStranger(this);
    this.#timer = setTimeout(() => this.cut(), this.#crowd.strangerMs).unref();
  }

  #beNoStranger(): void {
    clearTimeout(this.#timer);
    this.#crowd.removeStranger(this);
  }

  #leave(): void {
    this.#beNoStranger();
    this.#giveBack();
    this.#crowd.gone();
  }
}
