/**
 * Memory for messages on their way in, so much of each sender's. Whoever has used up his own waits until one of his is read, those
 * who came first before the others; nobody waits for somebody else. A message takes all that it needs at once, so that none waits
 * for room that another one waits with.
 */
import { unlessAborted } from '../wait.js';

interface Waiting {
  readonly bytes: number;
  begin(): void;
}

interface Sender {
  used: number;
  /** Who came first is first. */
  readonly waiting: Set<Waiting>;
}

export class MessageRoom {
  readonly #most: number;
  readonly #senders = new Map<string, Sender>();

  /** @param most  bytes of one sender */
  constructor(most: number) {
    this.#most = most;
  }

  /** @returns gives it back @throws the signal's reason */
  async take(sender: string, wanted: number, signal: AbortSignal): Promise<() => void> {
    const bytes = Math.min(wanted, this.#most);
    const mine = this.#senders.get(sender) ?? { used: 0, waiting: new Set<Waiting>() };
    this.#senders.set(sender, mine);
    const giveBack = (): void => {
      mine.used -= bytes;
      this.#next(sender, mine);
    };
    if (mine.waiting.size === 0 && mine.used + bytes <= this.#most) mine.used += bytes;
    else {
      let begin = () => {};
      const begun = new Promise<void>((resolve) => {
        begin = resolve;
      });
      const waiting = { bytes, begin };
      mine.waiting.add(waiting);
      await unlessAborted(signal, begun).catch((reason: unknown) => {
        if (mine.waiting.delete(waiting)) this.#next(sender, mine);
        else giveBack();
        throw reason;
      });
    }
    return giveBack;
  }

  #next(sender: string, mine: Sender): void {
    for (const waiting of mine.waiting) {
      if (mine.used + waiting.bytes > this.#most) return;
      mine.waiting.delete(waiting);
      mine.used += waiting.bytes;
      waiting.begin();
    }
    if (mine.used === 0) this.#senders.delete(sender);
  }
}
