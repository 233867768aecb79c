/**
 * Connections of which nobody knows yet whose they are, by network, and networks by site: whoever has 48 bits of IPv6 has 65,536
 * networks. Says who has to go: one of the largest network of the largest site, and there the oldest of those who wait for an
 * answer of ours, or of those who are still to ask, whichever are more: neither kind can push out the other. Pure.
 */

export interface Origin {
  /** An IPv4 address, or 64 bits of an IPv6 one. */
  readonly network: string;
  /** What one owner may have in all: an IPv4 address, or 48 bits of an IPv6 one. */
  readonly site: string;
}

/** The oldest first. */
class Network<T> {
  readonly asking = new Set<T>();
  readonly waiting = new Set<T>();

  get size(): number {
    return this.asking.size + this.waiting.size;
  }

  /** Who has to go, but not this one. */
  oldest(notThis?: unknown): T | undefined {
    const [more, fewer] =
      this.waiting.size > this.asking.size ? [this.waiting, this.asking] : [this.asking, this.waiting];
    for (const other of [...firstTwo(more), ...firstTwo(fewer)]) if (other !== notThis) return other;
    return undefined;
  }
}

interface Site<T> {
  size: number;
  readonly networks: Map<string, Network<T>>;
}

export class Strangers<T extends Origin> {
  readonly #sites = new Map<string, Site<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(one: T): void {
    const site = this.#sites.get(one.site) ?? { size: 0, networks: new Map<string, Network<T>>() };
    const mine = site.networks.get(one.network) ?? new Network<T>();
    this.#sites.set(one.site, site);
    site.networks.set(one.network, mine);
    mine.asking.add(one);
    site.size++;
    this.#size++;
  }

  remove(one: T): void {
    const site = this.#sites.get(one.site);
    const mine = site?.networks.get(one.network);
    if (!site || !mine || !(mine.asking.delete(one) || mine.waiting.delete(one))) return;
    this.#size--;
    site.size--;
    if (mine.size === 0) site.networks.delete(one.network);
    if (site.size === 0) this.#sites.delete(one.site);
  }

  /** One that is here begins to wait for an answer of ours, or has got it: it is the youngest of its kind then. */
  setWaiting(one: T, isWaiting: boolean): void {
    const mine = this.#networkOf(one);
    if (!mine) return;
    const [from, to] = isWaiting ? [mine.asking, mine.waiting] : [mine.waiting, mine.asking];
    if (from.delete(one)) to.add(one);
  }

  /** How many are of the network of this one. */
  countLike(one: Origin): number {
    return this.#networkOf(one)?.size ?? 0;
  }

  /** Who has to go of the network of this one, but not itself. */
  oldestLike(one: Origin): T | undefined {
    return this.#networkOf(one)?.oldest(one);
  }

  /** Who has to go when all are too many. */
  first(): T | undefined {
    const site = largest(this.#sites.values());
    return largest(site?.networks.values() ?? [])?.oldest();
  }

  #networkOf({ site, network }: Origin): Network<T> | undefined {
    return this.#sites.get(site)?.networks.get(network);
  }
}

function firstTwo<T>(set: ReadonlySet<T>): T[] {
  const all = set.values();
  return [all.next(), all.next()].flatMap((next) => (next.done ? [] : [next.value]));
}

function largest<G extends { size: number }>(groups: Iterable<G>): G | undefined {
  let found: G | undefined;
  for (const group of groups) if (group.size > (found?.size ?? 0)) found = group;
  return found;
}
