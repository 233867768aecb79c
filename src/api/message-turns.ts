/**
 * A message is read before anybody can ask whether its sender may send it, and a hostile one takes long. So each is gathered
 * first, and read in its sender's turn: one at a time, and after one that took long no other one for as long.
 */
import type { Http2ServerRequest } from 'node:http2';
import { UserTurns } from '../turns.js';

/** Before each message: whether it is compressed, and its length. */
const HEAD_BYTES = 5;
/** A KiB of tiny fields takes a third of this on a machine of today. What is measured above it was somebody else's work. */
const MOST_MS_PER_KIB = 1;

export class MessageTurns {
  readonly #now: () => number;
  readonly #turns: UserTurns;
  /** The last of those that wait, by sender. */
  readonly #lines = new Map<string, Promise<void>>();

  /** @param now  milliseconds of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#turns = new UserTurns(now);
  }

  /** Has whoever reads this request wait for the sender's turn. The request must be one message. */
  keep(request: Http2ServerRequest, sender: string, mostBytes: number): void {
    const chunks: AsyncIterator<Uint8Array> = request[Symbol.asyncIterator]();
    const isGone = () => request.stream?.destroyed !== false;
    request[Symbol.asyncIterator] = () => this.inTurn(chunks, { sender, mostBytes, isGone });
  }

  /**
   * The message at once, when it is whole and it is the sender's turn; of a longer one, the beginning.
   *
   * @param options.isGone  whether nobody waits for the answer any more
   */
  async *inTurn(
    chunks: AsyncIterator<Uint8Array>,
    { sender, mostBytes, isGone }: { sender: string; mostBytes: number; isGone: () => boolean },
  ): AsyncGenerator<Uint8Array, undefined> {
    const message = await gathered(chunks, HEAD_BYTES + mostBytes);
    const end = await this.#turn(sender);
    const start = this.#now();
    try {
      if (!isGone()) yield message;
    } finally {
      const most = (message.length / 1024) * MOST_MS_PER_KIB;
      this.#turns.took(sender, Math.min(this.#now() - start, most));
      end();
      await chunks.return?.();
    }
  }

  async #turn(sender: string): Promise<() => void> {
    const before = this.#lines.get(sender);
    let end = () => {};
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#lines.set(sender, mine);
    await before;
    if (this.#turns.waitMs(sender) > 0) await this.#turns.of(sender).next();
    return () => {
      if (this.#lines.get(sender) === mine) this.#lines.delete(sender);
      end();
    };
  }
}

/** One piece, a little longer than `mostBytes` where there is more: enough to be refused for its length. */
async function gathered(chunks: AsyncIterator<Uint8Array>, mostBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  while (bytes <= mostBytes) {
    const { done, value } = await chunks.next();
    if (done) break;
    parts.push(value);
    bytes += value.length;
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
