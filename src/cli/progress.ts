/** A wait that grows long says on a terminal's standard error what it waits for, and wipes it when it is over; a dumb terminal keeps it. */
import { isDumb } from './color.js';
import type { Env } from './env.js';
import { printableLine } from './printable.js';

/** Waits shorter than this say nothing. Our own limit: about where a person starts to wonder. */
const PATIENCE_MS = 500;

/**
 * Wait for `work`; on a terminal, after 500 ms, show `Waiting for <what> ...` until it ends. In a pipe nothing is shown.
 *
 * @param options.patienceMs  default 500
 */
export async function waitingFor<T>(
  env: Env,
  what: string,
  work: Promise<T>,
  options: { patienceMs?: number } = {},
): Promise<T> {
  if (!env.isTty.stderr) return await work;
  let shown = false;
  const timer = setTimeout(() => {
    shown = true;
    env.stderr.write(`Waiting for ${printableLine(what)} ...`);
  }, options.patienceMs ?? PATIENCE_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    // Carriage return, then erase to the end of the line (ECMA-48 EL).
    if (shown) env.stderr.write(isDumb(env) ? '\n' : '\r\u001b[K');
  }
}

/** The same surroundings for work that goes on while something else is printed: it says nothing of its waits. */
export function withoutProgress(env: Env): Env {
  const { stdin, stdout } = env.isTty;
  return Object.create(env, { isTty: { value: { stdin, stdout, stderr: false }, enumerable: true } }) as Env;
}
