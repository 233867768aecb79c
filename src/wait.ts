/** Waits that end. */
import { inSeconds, TeleportError } from './errors.js';

/** Longest delay that a timer of Node's keeps; a larger one would fire at once. */
export const LONGEST_TIMER_MS = 0x7fff_ffff;

/**
 * Wait for a promise, but not for ever. What was being waited for goes on by itself: end it in the caller.
 *
 * @param late  what is thrown when the time is over
 * @throws what the promise throws, `late()`, or the signal's reason
 */
export async function inTime<T>(
  promise: Promise<T>,
  timeoutMs: number,
  late: () => unknown,
  signal?: AbortSignal,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), timeoutMs);
  });
  const raced = Promise.race([promise, over]);
  try {
    return await (signal ? unlessAborted(signal, raced) : raced);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * `inTime` with the usual error.
 *
 * @param what  named in the error: `waiting for <what>`; it says from whom
 * @param hint  of that error
 * @throws TeleportError `ConnectionProblem` when the time is over; otherwise what the promise throws
 */
export function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string, hint?: string): Promise<T> {
  const text = () => `timed out after ${inSeconds(timeoutMs)} waiting for ${what}`;
  return inTime(promise, timeoutMs, () => new TeleportError('ConnectionProblem', text(), { hint }));
}

/** Until the work has ended in whatever way, the time is over or the signal is aborted. Never throws. */
export async function settledWithin(work: Promise<unknown>, ms: number, signal?: AbortSignal): Promise<void> {
  await inTime(work, ms, () => undefined, signal).catch(() => {});
}

/** Wait for a promise, or until the signal is aborted. What was being waited for goes on by itself. @throws the signal's reason */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Do something at a moment of the given clock, however far away it is.
 *
 * @returns takes it back
 */
export function atMoment(moment: Date, now: () => Date, act: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    const leftMs = moment.getTime() - now().getTime();
    if (leftMs <= 0) act();
    else timer = setTimeout(arm, Math.min(leftMs, LONGEST_TIMER_MS)).unref();
  };
  arm();
  return () => clearTimeout(timer);
}

/** Do nothing for a while. @throws the signal's reason as soon as it is aborted */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await rest(ms, signal);
  signal.throwIfAborted();
}

/**
 * Do nothing for a while, or until the signal is aborted. Never throws.
 *
 * @param options.isIdle  the process may end meanwhile when nothing else keeps it
 */
export function rest(ms: number, signal?: AbortSignal, { isIdle = false } = {}): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    if (isIdle) timer.unref();
    if (signal?.aborted) end();
    else signal?.addEventListener('abort', end, { once: true });
  });
}
