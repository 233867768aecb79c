/**
 * Watches of which each who asks has one: a new one ends the one before. What a watch costs at each change is then paid once for
 * each of them, however many they open.
 */
import { TeleportError } from '../errors.js';

export class SoleWatches {
  readonly #open = new Map<string, AbortController>();

  /** @returns a signal that is aborted with the given one, and when the same one begins another watch */
  begin(who: string, signal: AbortSignal): { signal: AbortSignal } & Disposable {
    this.#open.get(who)?.abort(new TeleportError('CompareFailed', 'another watch has taken the place of this one'));
    const mine = new AbortController();
    this.#open.set(who, mine);
    const leave = () => mine.abort(signal.reason);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
    return {
      signal: mine.signal,
      [Symbol.dispose]: () => {
        signal.removeEventListener('abort', leave);
        if (this.#open.get(who) === mine) this.#open.delete(who);
      },
    };
  }
}
