/**
 * A child program that has this terminal for a while: an editor, the program of an alias. Ctrl-C is its own meanwhile; what
 * else asks us to end is passed on to it, and when it has ended, so do we.
 */
import { type ChildEnd, startChild } from '../child-process.js';
import type { Env, Signalled } from './env.js';

/** @throws what Node says when it cannot be started; the reason of `env.signal` when that is aborted meanwhile */
export async function runChild(env: Env, file: string, args: readonly string[]): Promise<ChildEnd> {
  using _interrupt = env.holdSignals();
  const { child, end } = await startChild(file, args, {
    env: env.vars,
    stdio: 'inherit',
    // It has all the time that it needs to end.
    forceKillAfterDelay: false,
  });
  const passOn = () => void child.kill((env.signal.reason as Partial<Signalled>).signalName ?? 'SIGTERM');
  env.signal.addEventListener('abort', passOn, { once: true });
  if (env.signal.aborted) passOn();
  try {
    const ended = await end;
    env.signal.throwIfAborted();
    return ended;
  } finally {
    env.signal.removeEventListener('abort', passOn);
  }
}
