/** Waits that end. */
import { inSeconds, TeleportError } from '../errors.js';

/**
 * Wait for a promise, but not longer than `timeoutMs`. What was being waited for goes on by itself: end it in the caller.
 *
 * @param what  named in the error: `waiting for <what>`; it says from whom
 * @param hint  of that error
 * @throws TeleportError `ConnectionProblem` when the time is over; otherwise what the promise throws
 */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string, hint?: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `timed out after ${inSeconds(timeoutMs)} waiting for ${what}`;
      reject(new TeleportError('ConnectionProblem', text, { hint }));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Do nothing for a while. @throws the signal's reason as soon as it is aborted */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
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
