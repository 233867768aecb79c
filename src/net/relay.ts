/**
 * Two streams joined. Bytes go across as they came; the end of one direction closes only that half, and a deadline then
 * bounds the other; a peer that is simply gone is an ordinary end. Taps see the chunks beside the copy and may hold one
 * back, never change it.
 *
 *     a ──data──> onAtoB ──write──> b        a <──write── onBtoA <──data── b
 *
 * States of a direction: flowing → (held by its tap | waiting for drain) → flowing → ended → finished.
 *
 * An end that is ours (the signal's, a tap's that throws) is reported to `a` where there are last words: nothing of `a` goes
 * to `b` any more, of `b` only the rest of the message that `a` has a part of; then the words, then the end. A peer that
 * does not read them, or a message that does not end, is cut after a while.
 */

import type { Duplex } from 'node:stream';
import { FAREWELL_TIMEOUT_MS } from './hang-up.js';
import { isDisconnect } from './socket-errors.js';
import { countRelayed } from './young-buffers.js';

/**
 * Sees each chunk; it is not copied and must not be changed or kept. A promise holds this chunk (and all behind it)
 * back until it is fulfilled; a rejection cuts the relay.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: a tap that only looks returns nothing
export type Tap = (chunk: Buffer) => Promise<unknown> | undefined | void;

export interface RelayOptions {
  onAtoB?: Tap;
  onBtoA?: Tap;
  /** How long one half may go on after the other ended. Default 10 minutes: a result may still be on its way. */
  halfCloseTimeoutMs?: number;
  /** Cuts both. */
  signal?: AbortSignal;
  /** What `a` hears when the end is the signal's, or that of a tap which throws. Without it both are just cut. */
  lastWords?: LastWords;
}

export interface LastWords {
  /** Sees what goes to `a`, so that the words come between two messages. What it throws makes them impossible. */
  follow: {
    push(chunk: Buffer): void;
    /** Bytes that the message at hand still has for certain; 0 between two messages. */
    readonly bytesLeft: number;
  };
  /** @param reason  the signal's, or what the tap threw */
  say: (reason: unknown) => Buffer;
  /** How long the rest of a message and the words may take. Default 5 s. */
  timeoutMs?: number;
}

export interface RelayResult {
  bytesAtoB: number;
  bytesBtoA: number;
}

const HALF_CLOSE_TIMEOUT_MS = 600_000;
/** How long a peer that was handed the words may take to hang up: a reset would take them away again. Our own limit. */
const LINGER_MS = 500;
/** Bytes that may wait for a slow reader before the other side is stopped. */
const MOST_WAITING_BYTES = 512 * 1024;

/**
 * Join two streams until both directions have ended; both are destroyed then.
 *
 * @returns bytes carried each way
 * @throws what a tap throws, or an error of a stream that is more than a peer's leaving
 */
export function relay(a: Duplex, b: Duplex, options: RelayOptions = {}): Promise<RelayResult> {
  const { halfCloseTimeoutMs = HALF_CLOSE_TIMEOUT_MS, signal, lastWords } = options;
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let open = 2;
    let settled = false;
    let isLeaving = false;
    const settle = (error?: unknown) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      a.destroy();
      b.destroy();
      if (error === undefined || isDisconnect(error)) resolve({ bytesAtoB: up.bytes, bytesBtoA: down.bytes });
      else reject(error);
    };
    const leave = (reason: unknown, error?: unknown) => {
      if (settled || isLeaving) return;
      if (!lastWords || a.destroyed) return settle(error);
      isLeaving = true;
      clearTimeout(timer);
      timer = setTimeout(() => settle(error), lastWords.timeoutMs ?? FAREWELL_TIMEOUT_MS);
      up.stop();
      down.leave(
        () => lastWords.say(reason),
        () => settle(error),
      );
    };
    const onAbort = () => leave(signal?.reason);
    const onEnded = () => {
      if (!settled && !isLeaving) timer ??= setTimeout(() => settle(), halfCloseTimeoutMs);
    };
    const onDone = () => {
      open -= 1;
      if (open === 0) settle();
    };
    const events = { onEnded, onDone, settle, fail: (error: unknown) => leave(error, error) };
    const up = new Pump(a, b, { tap: options.onAtoB, follow: undefined }, events);
    const down = new Pump(b, a, { tap: options.onBtoA, follow: lastWords?.follow }, events);
    up.begin();
    down.begin();
    if (signal?.aborted) onAbort();
    else signal?.addEventListener('abort', onAbort, { once: true });
  });
}

interface PumpEvents {
  /** No more bytes will come from this side. */
  onEnded: () => void;
  /** All of them were handed over. */
  onDone: () => void;
  /** Nothing more can be done either way. */
  settle: (error?: unknown) => void;
  /** A tap wants it to end. */
  fail: (error: unknown) => void;
}

interface Watching {
  tap: Tap | undefined;
  follow: LastWords['follow'] | undefined;
}

/** One direction. */
class Pump {
  /** Carried so far. */
  bytes = 0;
  readonly #from: Duplex;
  readonly #to: Duplex;
  readonly #tap: Tap | undefined;
  readonly #follow: LastWords['follow'] | undefined;
  readonly #events: PumpEvents;
  #ended = false;
  #finished = false;
  #held: Buffer | undefined;
  /** `rest`: only what belongs to the message at hand. */
  #mode: 'flowing' | 'rest' | 'stopped' = 'flowing';
  #isFollowed: boolean;
  #onRest = () => {};

  constructor(from: Duplex, to: Duplex, { tap, follow }: Watching, events: PumpEvents) {
    this.#from = from;
    this.#to = to;
    this.#tap = tap;
    this.#follow = follow;
    this.#isFollowed = follow !== undefined;
    this.#events = events;
  }

  begin(): void {
    const from = this.#from;
    from.on('data', (chunk: Buffer) => this.#onData(chunk));
    from.on('end', () => this.#onEnd());
    from.on('close', () => this.#onClose());
    from.on('error', (error) => (this.#mode === 'stopped' ? undefined : this.#events.settle(error)));
    this.#to.on('drain', () => {
      if (this.#held === undefined && !this.#ended) from.resume();
    });
    if (from.destroyed) this.#onClose();
    else if (from.readableEnded) this.#onEnd();
    else from.resume();
  }

  /** Carry nothing more; what still comes is thrown away. */
  stop(): void {
    this.#mode = 'stopped';
    this.#held = undefined;
    this.#from.resume();
  }

  /** The rest of the message at hand, the words, the end; `done` when they were taken. */
  leave(words: () => Buffer, done: () => void): void {
    const to = this.#to;
    to.once('close', done);
    const hungUp = () => (to.readableEnded ? done() : void setTimeout(done, LINGER_MS).unref());
    // The end is on its way already, with whatever the other side had to say.
    if (to.writableFinished) return void done();
    if (to.writableEnded) return void to.once('finish', done);
    this.#onRest = () => {
      this.#mode = 'stopped';
      this.#from.destroy();
      to.once('finish', hungUp).once('end', done);
      to.end(this.#isFollowed ? words() : undefined);
    };
    this.#mode = 'rest';
    const waiting = this.#held ?? Buffer.alloc(0);
    this.#held = undefined;
    // Nothing more comes, and the message at hand is not whole.
    if (!this.#writeRest(waiting) && this.#ended) this.#events.settle();
    else this.#from.resume();
  }

  #onData(chunk: Buffer): void {
    if (this.#mode === 'stopped') return;
    if (this.#mode === 'rest') return void this.#writeRest(chunk);
    this.bytes += chunk.length;
    countRelayed(chunk.length);
    let holding: ReturnType<Tap>;
    try {
      holding = this.#tap?.(chunk);
    } catch (error) {
      this.#events.fail(error);
      return;
    }
    if (holding) this.#hold(chunk, holding);
    else this.#write(chunk);
  }

  #hold(chunk: Buffer, until: Promise<unknown>): void {
    this.#from.pause();
    this.#held = chunk;
    until.then(() => {
      if (this.#held === undefined) return;
      this.#held = undefined;
      this.#write(chunk);
      if (this.#ended) this.#finish();
      else if (this.#to.writableLength <= MOST_WAITING_BYTES) this.#from.resume();
    }, this.#events.fail);
  }

  #write(chunk: Buffer): void {
    const to = this.#to;
    // Bytes for a peer that is gone have nowhere to go; reading on would only hide that.
    if (to.destroyed || to.writableEnded) return void this.#events.settle();
    if (this.#isFollowed) this.#watch(chunk);
    // A stream says "enough" at 16 KiB, which is one TLS record: stopping there would wait for each record on its way.
    if (!to.write(chunk) && to.writableLength > MOST_WAITING_BYTES) this.#from.pause();
  }

  #watch(chunk: Buffer): void {
    try {
      this.#follow!.push(chunk);
    } catch {
      this.#isFollowed = false; // no messages of ours: they go across, but nothing can be put between them
    }
  }

  /** @returns whether the message at hand is whole now */
  #writeRest(chunk: Buffer): boolean {
    const to = this.#to;
    const follow = this.#follow;
    let at = 0;
    while (this.#isFollowed && follow!.bytesLeft > 0 && at < chunk.length) {
      const end = Math.min(chunk.length, at + follow!.bytesLeft);
      this.#watch(chunk.subarray(at, end));
      at = end;
    }
    const isFull = at > 0 && !to.destroyed && !to.write(chunk.subarray(0, at));
    if (isFull && to.writableLength > MOST_WAITING_BYTES) this.#from.pause();
    const isWhole = !this.#isFollowed || follow!.bytesLeft === 0;
    if (isWhole) this.#onRest();
    return isWhole;
  }

  #onEnd(): void {
    if (this.#ended) return;
    this.#ended = true;
    // Nothing more belongs to the message at hand.
    if (this.#mode === 'rest') return void this.#events.settle();
    if (this.#mode === 'stopped') return;
    this.#events.onEnded();
    if (this.#held === undefined) this.#finish();
  }

  #finish(): void {
    const to = this.#to;
    if (to.destroyed || to.writableFinished) this.#finishedNow();
    else to.end(() => this.#finishedNow());
  }

  #finishedNow(): void {
    this.#finished = true;
    // A stream that is closed takes nothing any more: the other direction is over too.
    if (this.#from.destroyed) this.#events.settle();
    else this.#events.onDone();
  }

  #onClose(): void {
    if (this.#mode === 'stopped') return;
    this.#onEnd();
    if (this.#finished) this.#events.settle();
  }
}
