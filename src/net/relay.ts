/**
 * Two streams joined. Bytes go across as they came; the end of one direction closes only that half, and a deadline then
 * bounds the other; a peer that is simply gone is an ordinary end. Taps see the chunks beside the copy and may hold one
 * back, never change it.
 *
 *     a ──data──> onAtoB ──write──> b        a <──write── onBtoA <──data── b
 *
 * States of a direction: flowing → (held by its tap | waiting for drain) → flowing → ended → finished.
 *
 * An end that is ours (the signal's, a tap's that throws) is told to `a` where there are last words: nothing of `a` goes
 * to `b` any more, of `b` only the rest of the message that `a` has a part of; then the words, then the end. A peer that
 * does not read them, or a message that does not end, is cut after a while.
 */
import type { Duplex } from 'node:stream';
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
/** How long a peer may take to read our last words. */
const FAREWELL_TIMEOUT_MS = 5_000;
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
    const aToB = { bytes: 0 };
    const bToA = { bytes: 0 };
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
      if (error === undefined || isDisconnect(error)) resolve({ bytesAtoB: aToB.bytes, bytesBtoA: bToA.bytes });
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
    const up = pump(a, b, options.onAtoB, undefined, aToB, events);
    const down = pump(b, a, options.onBtoA, lastWords?.follow, bToA, events);
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

interface Pump {
  /** Carry nothing more; what still comes is thrown away. */
  stop(): void;
  /** The rest of the message at hand, the words, the end; `done` when they were taken. */
  leave(words: () => Buffer, done: () => void): void;
}

function pump(
  from: Duplex,
  to: Duplex,
  tap: Tap | undefined,
  follow: LastWords['follow'] | undefined,
  count: { bytes: number },
  { onEnded, onDone, settle, fail }: PumpEvents,
): Pump {
  let ended = false;
  let finished = false;
  let held: Buffer | undefined;
  /** `rest`: only what belongs to the message at hand. */
  let mode: 'flowing' | 'rest' | 'stopped' = 'flowing';
  let isFollowed = follow !== undefined;
  let onRest = () => {};
  const write = (chunk: Buffer) => {
    // Bytes for a peer that is gone have nowhere to go; reading on would only hide that.
    if (to.destroyed || to.writableEnded) return settle();
    if (isFollowed) watch(chunk);
    // A stream says "enough" at 16 KiB, which is one TLS record: stopping there would wait for each record on its way.
    if (!to.write(chunk) && to.writableLength > MOST_WAITING_BYTES) from.pause();
  };
  const watch = (chunk: Buffer) => {
    try {
      follow!.push(chunk);
    } catch {
      isFollowed = false; // no messages of ours: they go across, but nothing can be put between them
    }
  };
  const writeRest = (chunk: Buffer) => {
    let at = 0;
    while (isFollowed && follow!.bytesLeft > 0 && at < chunk.length) {
      const end = Math.min(chunk.length, at + follow!.bytesLeft);
      watch(chunk.subarray(at, end));
      at = end;
    }
    const isFull = at > 0 && !to.destroyed && !to.write(chunk.subarray(0, at));
    if (isFull && to.writableLength > MOST_WAITING_BYTES) from.pause();
    if (!isFollowed || follow!.bytesLeft === 0) onRest();
  };
  const onData = (chunk: Buffer) => {
    if (mode === 'stopped') return;
    if (mode === 'rest') return writeRest(chunk);
    count.bytes += chunk.length;
    countRelayed(chunk.length);
    let holding: ReturnType<Tap>;
    try {
      holding = tap?.(chunk);
    } catch (error) {
      fail(error);
      return;
    }
    if (!holding) {
      write(chunk);
      return;
    }
    from.pause();
    held = chunk;
    holding.then(() => {
      if (held === undefined) return;
      held = undefined;
      write(chunk);
      if (ended) finish();
      else if (to.writableLength <= MOST_WAITING_BYTES) from.resume();
    }, fail);
  };
  const onEnd = () => {
    if (ended) return;
    ended = true;
    // Nothing more belongs to the message at hand.
    if (mode === 'rest') return settle();
    if (mode === 'stopped') return;
    onEnded();
    if (held === undefined) finish();
  };
  const finish = () => {
    if (to.destroyed || to.writableFinished) finishedNow();
    else to.end(finishedNow);
  };
  const finishedNow = () => {
    finished = true;
    // A stream that is closed takes nothing any more: the other direction is over too.
    if (from.destroyed) settle();
    else onDone();
  };
  const onClose = () => {
    if (mode === 'stopped') return;
    onEnd();
    if (finished) settle();
  };
  from.on('data', onData);
  from.on('end', onEnd);
  from.on('close', onClose);
  from.on('error', (error) => (mode === 'stopped' ? undefined : settle(error)));
  to.on('drain', () => {
    if (held === undefined && !ended) from.resume();
  });
  if (from.destroyed) onClose();
  else if (from.readableEnded) onEnd();
  else from.resume();
  return {
    stop() {
      mode = 'stopped';
      held = undefined;
      from.resume();
    },
    leave(words, done) {
      to.once('close', done);
      const hungUp = () => (to.readableEnded ? done() : void setTimeout(done, LINGER_MS).unref());
      // The end is on its way already, with whatever the other side had to say.
      if (to.writableFinished) return done();
      if (to.writableEnded) return void to.once('finish', done);
      onRest = () => {
        mode = 'stopped';
        from.destroy();
        to.once('finish', hungUp).once('end', done);
        to.end(isFollowed ? words() : undefined);
      };
      mode = 'rest';
      const waiting = held ?? Buffer.alloc(0);
      held = undefined;
      writeRest(waiting);
      if (mode === 'rest' && ended) settle();
      else from.resume();
    },
  };
}
