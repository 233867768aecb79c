/**
 * Two streams joined. Bytes go across as they came; the end of one direction closes only that half, and a deadline then
 * bounds the other; a peer that is simply gone is an ordinary end. Taps see the chunks beside the copy and may hold one
 * back, never change it.
 *
 *     a ──data──> onAtoB ──write──> b        a <──write── onBtoA <──data── b
 *
 * States of a direction: flowing → (held by its tap | waiting for drain) → flowing → ended → finished.
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
}

export interface RelayResult {
  bytesAtoB: number;
  bytesBtoA: number;
}

const HALF_CLOSE_TIMEOUT_MS = 600_000;
/** Bytes that may wait for a slow reader before the other side is stopped. */
const MOST_WAITING_BYTES = 512 * 1024;

/**
 * Join two streams until both directions have ended; both are destroyed then.
 *
 * @returns bytes carried each way
 * @throws what a tap throws, or an error of a stream that is more than a peer's leaving
 */
export function relay(a: Duplex, b: Duplex, options: RelayOptions = {}): Promise<RelayResult> {
  const { halfCloseTimeoutMs = HALF_CLOSE_TIMEOUT_MS, signal } = options;
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const aToB = { bytes: 0 };
    const bToA = { bytes: 0 };
    let open = 2;
    let settled = false;
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
    const onAbort = () => settle();
    const onEnded = () => {
      if (!settled) timer ??= setTimeout(() => settle(), halfCloseTimeoutMs);
    };
    const onDone = () => {
      open -= 1;
      if (open === 0) settle();
    };
    const events = { onEnded, onDone, settle };
    pump(a, b, options.onAtoB, aToB, events);
    pump(b, a, options.onBtoA, bToA, events);
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
}

function pump(
  from: Duplex,
  to: Duplex,
  tap: Tap | undefined,
  count: { bytes: number },
  { onEnded, onDone, settle }: PumpEvents,
) {
  let ended = false;
  let finished = false;
  let holding = false;
  const write = (chunk: Buffer) => {
    // Bytes for a peer that is gone have nowhere to go; reading on would only hide that.
    if (to.destroyed || to.writableEnded) settle();
    // A stream says "enough" at 16 KiB, which is one TLS record: stopping there would wait for each record on its way.
    else if (!to.write(chunk) && to.writableLength > MOST_WAITING_BYTES) from.pause();
  };
  const onData = (chunk: Buffer) => {
    count.bytes += chunk.length;
    countRelayed(chunk.length);
    let held: ReturnType<Tap>;
    try {
      held = tap?.(chunk);
    } catch (error) {
      settle(error);
      return;
    }
    if (!held) {
      write(chunk);
      return;
    }
    from.pause();
    holding = true;
    held.then(() => {
      holding = false;
      write(chunk);
      if (ended) finish();
      else if (to.writableLength <= MOST_WAITING_BYTES) from.resume();
    }, settle);
  };
  const onEnd = () => {
    if (ended) return;
    ended = true;
    onEnded();
    if (!holding) finish();
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
    onEnd();
    if (finished) settle();
  };
  from.on('data', onData);
  from.on('end', onEnd);
  from.on('close', onClose);
  from.on('error', settle);
  to.on('drain', () => {
    if (!holding && !ended) from.resume();
  });
  if (from.destroyed) onClose();
  else if (from.readableEnded) onEnd();
  else from.resume();
}
