/**
 * Wrong passwords and codes, counted so that guessing is slow and a stranger cannot lock a person out.
 *
 *     each network                         5 failures lock it for 30 minutes
 *     all networks that are new together   10 failures lock all that are new for 30 minutes
 *
 * A network is known once a whole login came from it. Whoever guesses elsewhere locks out himself, and after that everybody who
 * comes from a new place, but not the person where she has been before; she waits for the attempts at most that are being tried
 * (`fair-turns.ts`). Users who do not exist are counted in the same way, or
 * the text of a lock-out would say who does. Counts live in memory, for both sorts of names with the same work; those of users
 * who exist are also stored, behind the answer.
 *
 * Only a whole login (password and, where asked, code) forgets the failures of its network. Teleport forgets them at a correct
 * password, so that someone who knows the password may guess codes without end.
 */
import { ipOf, networkOf } from '../ip.js';

export interface Failures {
  count: number;
  /** RFC 3339. */
  last: string;
  locked_until?: string;
}

/** As stored. */
export interface StoredGuesses {
  networks?: Record<string, Failures>;
  /** Of new networks together. */
  strangers?: Failures;
}

/** What is stored of a user about this. */
export interface GuessedAt {
  guesses?: StoredGuesses;
  /** Where whole logins came from, the last one first. */
  known_networks?: string[];
}

export const MAX_FAILURES = 5;
export const MAX_FAILURES_OF_STRANGERS = 10;
export const LOCK_MS = 30 * 60_000;
const MOST_KNOWN_NETWORKS = 10;
/** Networks remembered of one name, and names; the oldest are forgotten. */
const MOST_NETWORKS = 50;
const MOST_NAMES = 10_000;

interface Counts {
  networks: Map<string, Failures>;
  strangers: Failures | undefined;
}

export class Guesses {
  readonly #now: () => Date;
  readonly #names = new Map<string, Counts>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  isLocked(user: string, secrets: GuessedAt, remoteAddr: string): boolean {
    const network = networkIn(remoteAddr);
    const { networks, strangers } = this.#countsOf(user, secrets);
    return this.#lasts(networks.get(network)) || (!isKnown(secrets, network) && this.#lasts(strangers));
  }

  /** Has a whole login of this user come from there before? */
  knows(secrets: GuessedAt, remoteAddr: string): boolean {
    return isKnown(secrets, networkIn(remoteAddr));
  }

  /** Attempts that count together, and so come one after the other, have the same. */
  lineOf(user: string, secrets: GuessedAt, remoteAddr: string): string {
    const network = networkIn(remoteAddr);
    return JSON.stringify(isKnown(secrets, network) ? [user, network] : [user]);
  }

  /** Until when some network, or all new ones, are locked out. */
  lockedUntil(user: string, secrets: GuessedAt): Date | undefined {
    const { networks, strangers } = this.#countsOf(user, secrets);
    const ends = [...networks.values(), strangers]
      .filter((failures) => this.#lasts(failures))
      .map((failures) => Date.parse(failures!.locked_until!));
    return ends.length > 0 ? new Date(Math.max(...ends)) : undefined;
  }

  /** @returns what is to be stored */
  failed(user: string, secrets: GuessedAt, remoteAddr: string): StoredGuesses {
    const network = networkIn(remoteAddr);
    const counts = this.#countsOf(user, secrets);
    const { networks } = counts;
    const next = this.#oneMore(networks.get(network), MAX_FAILURES);
    networks.delete(network);
    if (networks.size >= MOST_NETWORKS) networks.delete(networks.keys().next().value!);
    networks.set(network, next);
    if (!isKnown(secrets, network)) counts.strangers = this.#oneMore(counts.strangers, MAX_FAILURES_OF_STRANGERS);
    return stored(counts);
  }

  /** A whole login. @returns what is to be stored, undefined when nothing has changed */
  succeeded(user: string, secrets: GuessedAt, remoteAddr: string): GuessedAt | undefined {
    const network = networkIn(remoteAddr);
    const counts = this.#countsOf(user, secrets);
    const hadFailures = counts.networks.delete(network);
    const known = secrets.known_networks ?? [];
    if (!hadFailures && known[0] === network) return undefined;
    const others = known.filter((one) => one !== network);
    return { guesses: stored(counts), known_networks: [network, ...others].slice(0, MOST_KNOWN_NETWORKS) };
  }

  /** The user is another one from now on, or has other secrets. */
  forget(user: string): void {
    this.#names.delete(user);
  }

  #countsOf(user: string, { guesses = {} }: GuessedAt): Counts {
    const known = this.#names.get(user);
    const counts = known ?? { networks: new Map(Object.entries(guesses.networks ?? {})), strangers: guesses.strangers };
    this.#names.delete(user);
    if (this.#names.size >= MOST_NAMES) this.#forgetOne();
    this.#names.set(user, counts);
    return counts;
  }

  /** Of those who have failed least, the oldest: a lock-out that invented names could end would say that there is no such user. */
  #forgetOne(): void {
    let [least, fewest] = ['', Number.POSITIVE_INFINITY];
    for (const [name, { networks, strangers }] of this.#names) {
      const all = [strangers, ...networks.values()];
      const weight = Math.max(...all.map((one) => (this.#lasts(one) ? MAX_FAILURES_OF_STRANGERS : (one?.count ?? 0))));
      if (weight < fewest) [least, fewest] = [name, weight];
    }
    this.#names.delete(least);
  }

  #lasts(failures: Failures | undefined): boolean {
    return failures?.locked_until !== undefined && new Date(failures.locked_until) > this.#now();
  }

  #oneMore(before: Failures | undefined, most: number): Failures {
    const now = this.#now();
    const isRecent = before !== undefined && now.getTime() - Date.parse(before.last) < LOCK_MS;
    const count = (isRecent && before.locked_until === undefined ? before.count : 0) + 1;
    const end = count >= most ? { locked_until: new Date(now.getTime() + LOCK_MS).toISOString() } : {};
    return { count, last: now.toISOString(), ...end };
  }
}

const isKnown = ({ known_networks: known = [] }: GuessedAt, network: string): boolean => known.includes(network);
const networkIn = (remoteAddr: string): string => networkOf(ipOf(remoteAddr) ?? remoteAddr);

function stored({ networks, strangers }: Counts): StoredGuesses {
  return { networks: Object.fromEntries(networks), ...(strangers ? { strangers } : {}) };
}
