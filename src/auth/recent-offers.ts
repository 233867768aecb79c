/** Which host has offered which database servers lately. */
import { LatelySeen } from '../net/lately-seen.js';

/** It counts for a while: sessions end, and their users with them, behind the end of an offer. */
export const REMEMBERED = { ms: 86_400_000, most: 10_000 };

type Limits = ConstructorParameters<typeof LatelySeen>[0];

/** Where there are too many, the host that has most loses its oldest: it does not push out what others offer. */
export class RecentOffers {
  readonly #byHost = new Map<string, LatelySeen>();
  readonly #limits: Limits;
  #size = 0;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  add(hostId: string, endpoint: string): void {
    const mine = this.#byHost.get(hostId) ?? new LatelySeen(this.#limits);
    this.#byHost.set(hostId, mine);
    const before = mine.size;
    mine.add(endpoint);
    this.#size += mine.size - before;
    if (this.#size > this.#limits.most) this.#makeRoom();
  }

  has(hostId: string, endpoint: string): boolean {
    return this.#byHost.get(hostId)?.has(endpoint) ?? false;
  }

  #makeRoom(): void {
    const [host, offers] = [...this.#byHost].reduce((most, one) => (one[1].size > most[1].size ? one : most));
    offers.forgetOldest();
    if (offers.size === 0) this.#byHost.delete(host);
    this.#size -= 1;
  }
}
