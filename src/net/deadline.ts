/** A wait that ends. */
import { TeleportError } from '../errors.js';

/**
 * Wait for a promise, but not longer than `timeoutMs`. What was being waited for goes on by itself: end it in the caller.
 *
 * @param what  named in the error: `waiting for <what>`
 * @param hint  of that error
 * @throws TeleportError `ConnectionProblem` when the time is over; otherwise what the promise throws
 */
export async function withDeadline<T>(promise: Promise<T>, timeoutMs: number, what: string, hint?: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const text = `timed out after ${Math.round(timeoutMs)} ms waiting for ${what}`;
      reject(new TeleportError('ConnectionProblem', text, { hint }));
    }, timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
