/**
 * Connections of which nobody knows yet whose they are, by network, and networks by site: whoever has 48 bits of IPv6 has 65,536
 * networks. Says who has to go: the oldest of the largest network of the largest site. Pure.
 */

export interface Origin {
  /** An IPv4 address, or 64 bits of an IPv6 one. */
  readonly network: string;
  /** What one owner may have in all: an IPv4 address, or 48 bits of an IPv6 one. */
  readonly site: string;
}

interface Site<T> {
  size: number;
  /** The oldest first. */
  readonly networks: Map<string, Set<T>>;
}

export class Strangers<T extends Origin> {
  readonly #sites = new Map<string, Site<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(one: T): void {
    const site = this.#sites.get(one.site) ?? { size: 0, networks: new Map<string, Set<T>>() };
    const mine = site.networks.get(one.network) ?? new Set();
    this.#sites.set(one.site, site);
    site.networks.set(one.network, mine.add(one));
    site.size++;
    this.#size++;
  }

  remove(one: T): void {
    const site = this.#sites.get(one.site);
    const mine = site?.networks.get(one.network);
    if (!site || !mine?.delete(one)) return;
    this.#size--;
    site.size--;
    if (mine.size === 0) site.networks.delete(one.network);
    if (site.size === 0) this.#sites.delete(one.site);
  }

  /** How many are of the network of this one. */
  countLike({ site, network }: Origin): number {
    return this.#sites.get(site)?.networks.get(network)?.size ?? 0;
  }

  /** Of the network of this one, but not itself. */
  oldestLike(one: Origin): T | undefined {
    for (const other of this.#sites.get(one.site)?.networks.get(one.network) ?? []) if (other !== one) return other;
    return undefined;
  }

  /** Who has to go when all are too many. */
  first(): T | undefined {
    const site = largest(this.#sites.values());
    const [oldest] = largest(site?.networks.values() ?? []) ?? [];
    return oldest;
  }
}

function largest<G extends { size: number }>(groups: Iterable<G>): G | undefined {
  let found: G | undefined;
  for (const group of groups) if (group.size > (found?.size ?? 0)) found = group;
  return found;
}
