/**
 * Work that many may ask for and that costs much: a few at a time. Those who wait have a turn each, one site after the other and in
 * a site one after the other, so that a crowd of one kind waits behind its own and not before everybody. Who is expected there
 * goes first. When too many wait in all, who came last of the site that has most of them is refused at once.
 */
import { TeleportError } from '../errors.js';
import { inTime } from '../wait.js';

export interface FairTurnsOptions {
  atOnce: number;
  /** Longest wait for a turn. */
  waitMs: number;
  /** Longest queue of one who asks. */
  mostWaiting: number;
  /** How many wait in all; of those who go first, as many again. */
  mostInAll: number;
  /** What is said when no turn comes in time, or too many wait. */
  tooBusy: string;
}

export interface TurnOptions {
  /** To whom the one who asks belongs, and others with him: 48 bits of IPv6. Default: he is alone. */
  site?: string;
  /** Before all who do not. */
  goesFirst?: boolean;
}

export class FairTurns {
  readonly #options: FairTurnsOptions;
  readonly #waiting = new Line();
  /** Those who go first. */
  readonly #waitingFirst = new Line();
  #running = 0;

  constructor(options: FairTurnsOptions) {
    this.#options = options;
  }

  /**
   * @param who  asks: a network, a login
   * @throws TeleportError `LimitExceeded` when no turn comes in time or too many wait; what the work throws
   */
  async take<T>(who: string, work: () => Promise<T>, { site = who, goesFirst = false }: TurnOptions = {}): Promise<T> {
    await this.#turn({ who, site }, goesFirst ? this.#waitingFirst : this.#waiting);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#next();
    }
  }

  async #turn(from: Pick<Waiting, 'who' | 'site'>, line: Line): Promise<void> {
    if (this.#running < this.#options.atOnce) {
      this.#running++;
      return;
    }
    this.#makeRoom(from, line);
    let settle: Pick<Waiting, 'begin' | 'refuse'> | undefined;
    const begun = new Promise<void>((begin, refuse) => {
      settle = { begin, refuse };
    });
    const waiting: Waiting = { ...from, ...settle! };
    line.add(waiting);
    await inTime(begun, this.#options.waitMs, () => {
      if (!line.remove(waiting)) {
        // Its turn came in the same moment: it goes to the next one.
        this.#running--;
        this.#next();
      }
      return this.#tooBusy();
    });
  }

  /** @throws TeleportError `LimitExceeded` */
  #makeRoom(from: Pick<Waiting, 'who' | 'site'>, line: Line): void {
    const { mostWaiting, mostInAll } = this.#options;
    if (line.countOf(from) >= mostWaiting) throw this.#tooBusy();
    if (line.size < mostInAll) return;
    const last = line.lastOfLargest();
    if (last === undefined || line.countOfSite(from) >= line.countOfSite(last)) throw this.#tooBusy();
    line.remove(last);
    last.refuse(this.#tooBusy());
  }

  #next(): void {
    if (this.#running >= this.#options.atOnce) return;
    const next = this.#waitingFirst.shift() ?? this.#waiting.shift();
    if (next === undefined) return;
    this.#running++;
    next.begin();
  }

  #tooBusy(): TeleportError {
    return new TeleportError('LimitExceeded', this.#options.tooBusy);
  }
}

interface Waiting {
  readonly who: string;
  readonly site: string;
  begin(): void;
  refuse(error: TeleportError): void;
}

interface Site {
  size: number;
  /** By who asks, the next one first; in it who has waited for longest first. */
  readonly queues: Map<string, Waiting[]>;
}

/** Who waits, by site. Whose turn it was goes to the end, and so does his site. */
class Line {
  readonly #sites = new Map<string, Site>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOf({ site, who }: Pick<Waiting, 'who' | 'site'>): number {
    return this.#sites.get(site)?.queues.get(who)?.length ?? 0;
  }

  countOfSite({ site }: Pick<Waiting, 'site'>): number {
    return this.#sites.get(site)?.size ?? 0;
  }

  add(waiting: Waiting): void {
    const site = this.#sites.get(waiting.site) ?? { size: 0, queues: new Map<string, Waiting[]>() };
    const queue = site.queues.get(waiting.who) ?? [];
    this.#sites.set(waiting.site, site);
    site.queues.set(waiting.who, queue);
    queue.push(waiting);
    site.size++;
    this.#size++;
  }

  /** @returns whether it was there */
  remove(waiting: Waiting): boolean {
    const site = this.#sites.get(waiting.site);
    const queue = site?.queues.get(waiting.who);
    const at = queue?.indexOf(waiting) ?? -1;
    if (!site || !queue || at < 0) return false;
    queue.splice(at, 1);
    site.size--;
    this.#size--;
    if (queue.length === 0) site.queues.delete(waiting.who);
    if (site.size === 0) this.#sites.delete(waiting.site);
    return true;
  }

  /** Take the next one out. */
  shift(): Waiting | undefined {
    const [entry] = this.#sites;
    if (entry === undefined) return undefined;
    const [name, site] = entry;
    const [who, queue] = site.queues.entries().next().value!;
    const next = queue[0]!;
    this.#sites.delete(name);
    this.#sites.set(name, site);
    site.queues.delete(who);
    site.queues.set(who, queue);
    this.remove(next);
    return next;
  }

  /** Who came last to the longest queue of the largest site. */
  lastOfLargest(): Waiting | undefined {
    let largest: Site | undefined;
    for (const site of this.#sites.values()) if (site.size > (largest?.size ?? 0)) largest = site;
    let longest: Waiting[] = [];
    for (const queue of largest?.queues.values() ?? []) if (queue.length > longest.length) longest = queue;
    return longest.at(-1);
  }
}
