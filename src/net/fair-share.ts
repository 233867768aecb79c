/**
 * A few places that many may want. For one more than there are, the oldest of whoever has most of them has to go
 * (`strangers.ts`): a crowd pushes out its own people, and a newcomer keeps its place for at least the time of a handshake.
 */
import { networkOf, siteOf } from '../ip.js';
import { type Origin, Strangers } from './strangers.js';

interface Place extends Origin {
  cut(): void;
}

export class FairShare {
  readonly #most: number;
  readonly #taken = new Strangers<Place>();

  constructor(most: number) {
    this.#most = most;
  }

  /** @param cut  called when it has to go @returns gives the place back */
  take({ network, site }: Origin, cut: () => void): () => void {
    if (this.#taken.size >= this.#most) this.#cutFirst();
    const mine: Place = { network, site, cut };
    this.#taken.add(mine);
    return () => this.#taken.remove(mine);
  }

  #cutFirst(): void {
    const first = this.#taken.first()!;
    this.#taken.remove(first);
    first.cut();
  }
}

/** As many places for each of several names, such as clusters that are trusted: the caller bounds how many there are. */
export class FairShares {
  readonly #most: number;
  readonly #byName = new Map<string, FairShare>();

  constructor(most: number) {
    this.#most = most;
  }

  of(name: string): FairShare {
    const share = this.#byName.get(name) ?? new FairShare(this.#most);
    this.#byName.set(name, share);
    return share;
  }
}

/** Of a stranger. */
export const originOf = (address: string): Origin => ({ network: networkOf(address), site: siteOf(address) });

/** Of somebody with a certificate, wherever she is. @param name  with its kind, such as `user alice` */
export const originOfLogin = (name: string): Origin => ({ network: name, site: name });
