/**
 * A message is read before anybody can ask whether its sender may send it, and a hostile one takes long. So each is gathered
 * first, and read in its sender's turn: one at a time, and after one that took long no other one for as long. What is gathered
 * has a bound: bytes of each sender, calls of all, and a time in which the message is whole.
 */
import type { Http2ServerRequest } from 'node:http2';
import { inSeconds, TeleportError } from '../errors.js';
import { FairShare } from '../net/fair-share.js';
import type { Origin } from '../net/strangers.js';
import { UserTurns } from '../turns.js';
import { unlessAborted } from '../wait.js';
import { MessageRoom } from './message-room.js';
import { toConnectError } from './status.js';

/** Before each message: whether it is compressed, and its length. */
const HEAD_BYTES = 5;
/** A KiB of tiny fields takes a third of this on a machine of today. What is measured above it was somebody else's work. */
const MOST_MS_PER_KIB = 1;

/** Of one sender. A stream for which there is no room is not read: HTTP/2 keeps 64 KiB of it here and the rest at the client. */
const MOST_BYTES = 8 * 1024 * 1024;
/** Of all senders; for one more the oldest goes of the one that has most. */
const MOST_CALLS = 2_048;
/** 2 MiB need 17 KiB a second. */
const WHOLE_MS = 120_000;

export interface MessageTurnsOptions {
  /** Milliseconds of a clock that only goes forward. */
  now?: () => number;
  /** Bytes of one sender that wait to be read. Default 8 MiB. */
  mostBytes?: number;
  /** Calls whose message waits to be read. Default 2,048. */
  mostCalls?: number;
  /** In which a message must be whole. Default 2 min. */
  wholeMs?: number;
}

interface MessageOptions {
  sender: string;
  /** To whom the sender belongs, and others with him. Default: he is alone. */
  site?: string;
  mostBytes: number;
  /** Whether nobody waits for the answer any more. */
  isGone: () => boolean;
}

export class MessageTurns {
  readonly #now: () => number;
  readonly #turns: UserTurns;
  readonly #room: MessageRoom;
  readonly #calls: FairShare;
  readonly #wholeMs: number;
  /** The last of those that wait, by sender. */
  readonly #lines = new Map<string, Promise<void>>();

  constructor({
    now = () => performance.now(),
    mostBytes = MOST_BYTES,
    mostCalls = MOST_CALLS,
    wholeMs = WHOLE_MS,
  }: MessageTurnsOptions = {}) {
    this.#now = now;
    this.#turns = new UserTurns(now);
    this.#room = new MessageRoom(mostBytes);
    this.#calls = new FairShare(mostCalls);
    this.#wholeMs = wholeMs;
  }

  /** Has whoever reads this request wait for the sender's turn. The request must be one message. */
  keep(request: Http2ServerRequest, { network: sender, site }: Origin, mostBytes: number): void {
    const chunks: AsyncIterator<Uint8Array> = request[Symbol.asyncIterator]();
    const isGone = () => request.stream?.destroyed !== false;
    request[Symbol.asyncIterator] = () => this.inTurn(chunks, { sender, site, mostBytes, isGone });
  }

  /**
   * The message at once, when it is whole and it is the sender's turn; of a longer one, the beginning.
   *
   * @throws ConnectError `ResourceExhausted` when it is not whole in time, or so many wait that it has to go
   */
  async *inTurn(
    chunks: AsyncIterator<Uint8Array>,
    { sender, site = sender, mostBytes, isGone }: MessageOptions,
  ): AsyncGenerator<Uint8Array, undefined> {
    const cut = new AbortController();
    const giveUp = (why: string) => cut.abort(toConnectError(new TeleportError('LimitExceeded', why)));
    const done: (() => void)[] = [];
    done.push(
      this.#calls.take({ network: sender, site }, () =>
        giveUp('too many calls wait to be read, try again in a minute'),
      ),
    );
    const late = setTimeout(giveUp, this.#wholeMs, `the message was not whole after ${inSeconds(this.#wholeMs)}`);
    done.push(() => clearTimeout(late));
    try {
      const hold = async (bytes: number) => void done.push(await this.#room.take(sender, bytes, cut.signal));
      const message = await gathered(chunks, { mostBytes, hold, signal: cut.signal });
      clearTimeout(late);
      done.push(await this.#turn(sender, cut.signal));
      const start = this.#now();
      try {
        if (!isGone()) yield message;
      } finally {
        const most = (message.length / 1024) * MOST_MS_PER_KIB;
        this.#turns.took(sender, Math.min(this.#now() - start, most));
      }
    } finally {
      for (const end of done) end();
      // What was given up may wait for a piece that never comes.
      const ended = chunks.return?.();
      if (cut.signal.aborted) ended?.catch(() => {});
      else await ended;
    }
  }

  /** @returns ends it @throws the signal's reason */
  async #turn(sender: string, signal: AbortSignal): Promise<() => void> {
    const before = this.#lines.get(sender);
    let pass = () => {};
    const mine = new Promise<void>((resolve) => {
      pass = resolve;
    });
    this.#lines.set(sender, mine);
    const end = (): void => {
      if (this.#lines.get(sender) === mine) this.#lines.delete(sender);
      pass();
    };
    const come = async () => {
      await before;
      if (!signal.aborted && this.#turns.waitMs(sender) > 0) await this.#turns.of(sender).next();
    };
    const turn = come();
    await unlessAborted(signal, turn).catch((reason: unknown) => {
      void turn.then(end);
      throw reason;
    });
    return end;
  }
}

/**
 * One piece, a little longer than its head says, or than `mostBytes`, where there is more: enough to be refused for it.
 *
 * @param options.hold  resolves when there is room for so many bytes
 */
async function gathered(
  chunks: AsyncIterator<Uint8Array>,
  { mostBytes, hold, signal }: { mostBytes: number; hold: (bytes: number) => Promise<void>; signal: AbortSignal },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  let wanted: number | undefined;
  while (wanted === undefined || bytes <= wanted) {
    const { done, value } = await unlessAborted(signal, chunks.next());
    if (done) break;
    parts.push(value);
    bytes += value.length;
    if (wanted !== undefined || bytes < HEAD_BYTES) continue;
    const announced = Buffer.concat(parts, HEAD_BYTES).readUInt32BE(1);
    wanted = HEAD_BYTES + Math.min(announced, mostBytes);
    await hold(wanted);
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}
