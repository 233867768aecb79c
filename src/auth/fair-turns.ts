/**
 * Work that strangers may ask for and that costs much: a few at a time, and the networks that wait have a turn each, one after
 * the other, so that a crowd of one kind waits behind its own and not before everybody. Who is expected there goes first.
 */
import { TeleportError } from '../errors.js';
import { networkOf } from '../ip.js';
import { inTime } from '../wait.js';

export interface FairTurnsOptions {
  atOnce: number;
  /** Longest wait for a turn. */
  waitMs: number;
  /** Longest queue of one network. */
  mostWaiting: number;
}

type Begin = () => void;

export class FairTurns {
  readonly #options: FairTurnsOptions;
  /** By network; a network whose turn it was goes to the end. */
  readonly #waiting = new Map<string, Begin[]>();
  /** The same of those who go first. */
  readonly #waitingFirst = new Map<string, Begin[]>();
  #running = 0;

  constructor(options: FairTurnsOptions) {
    this.#options = options;
  }

  /**
   * @param options.goesFirst  before all who do not
   * @throws TeleportError `LimitExceeded` when no turn comes in time; what the work throws
   */
  async take<T>(address: string, work: () => Promise<T>, { goesFirst = false } = {}): Promise<T> {
    await this.#turn(networkOf(address), goesFirst ? this.#waitingFirst : this.#waiting);
    try {
      return await work();
    } finally {
      this.#running--;
      this.#next();
    }
  }

  async #turn(network: string, waiting: Map<string, Begin[]>): Promise<void> {
    const { atOnce, waitMs, mostWaiting } = this.#options;
    if (this.#running < atOnce) {
      this.#running++;
      return;
    }
    const queue = waiting.get(network) ?? [];
    if (queue.length >= mostWaiting) throw tooBusy();
    let begin: Begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    waiting.set(network, queue);
    queue.push(begin);
    await inTime(begun, waitMs, () => {
      this.#leave(network, waiting, begin);
      return tooBusy();
    });
  }

  #leave(network: string, waiting: Map<string, Begin[]>, begin: Begin): void {
    const queue = waiting.get(network);
    const at = queue?.indexOf(begin) ?? -1;
    // Its turn came in the same moment: it goes to the next one.
    if (!queue || at < 0) {
      this.#running--;
      this.#next();
      return;
    }
    queue.splice(at, 1);
    if (queue.length === 0) waiting.delete(network);
  }

  #next(): void {
    const waiting = this.#waitingFirst.size > 0 ? this.#waitingFirst : this.#waiting;
    const [first] = waiting;
    if (first === undefined || this.#running >= this.#options.atOnce) return;
    const [network, queue] = first;
    const begin = queue.shift()!;
    waiting.delete(network);
    if (queue.length > 0) waiting.set(network, queue);
    this.#running++;
    begin();
  }
}

function tooBusy(): TeleportError {
  return new TeleportError('LimitExceeded', 'too many people log in at the moment, try again in a minute');
}
