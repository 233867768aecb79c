/**
 * Long work in slices: `await slices.next()` in each round of a loop over what somebody else made long. However much of such
 * work there is, one slice of it is done between two looks at the sockets, and whoever has asked for much of it waits for
 * others who want some: a slice for each of them in turn.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

/** How long one slice takes. */
const SLICE_MS = 10;

const asker = new AsyncLocalStorage<string>();
/** Those that wait for a slice, by who asked for their work; whose turn is next comes first. */
const waiting = new Map<string, (() => void)[]>();
/** Whose slice this round has, and when it began. */
let holder: Slices | undefined;
let began = 0;

/** Do work that somebody asked for. @param who  a login, a host, a network, with its kind: they share the time by this name */
export function inTheNameOf<T>(who: string, work: () => T): T {
  return asker.run(who, work);
}

/** Of one loop. */
export class Slices {
  /** Resolves when the loop may go on: at once within a slice. */
  async next(): Promise<void> {
    if (holder === undefined && waiting.size === 0) this.#begin();
    else if (holder !== this || performance.now() - began >= SLICE_MS) await this.#turn();
  }

  #begin(): void {
    holder = this;
    began = performance.now();
    setImmediate(nextRound);
  }

  #turn(): Promise<void> {
    const who = asker.getStore() ?? '';
    return new Promise((resolve) => {
      const begin = () => {
        this.#begin();
        resolve();
      };
      const others = waiting.get(who);
      if (others) others.push(begin);
      else waiting.set(who, [begin]);
    });
  }
}

/** The sockets have been looked at. */
function nextRound(): void {
  holder = undefined;
  const [first] = waiting;
  if (first === undefined) return;
  const [who, queue] = first;
  const begin = queue.shift()!;
  waiting.delete(who);
  if (queue.length > 0) waiting.set(who, queue);
  begin();
}
