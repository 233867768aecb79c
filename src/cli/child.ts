/**
 * A child program that has this terminal for a while: an editor, the program of an alias. Ctrl-C is its own meanwhile; what
 * else asks us to end is passed on to it, and when it has ended, so do we.
 */
import type { Env, Signalled } from './env.js';

export interface ChildEnd {
  /** Null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** @throws what Node says when it cannot be started; the reason of `env.signal` when that is aborted meanwhile */
export async function runChild(env: Env, file: string, args: readonly string[]): Promise<ChildEnd> {
  using _interrupt = env.holdSignals();
  const { spawn } = await import('node:child_process');
  env.signal.throwIfAborted();
  const child = spawn(file, args, { stdio: 'inherit', env: env.vars });
  const passOn = () => void child.kill((env.signal.reason as Partial<Signalled>).signalName ?? 'SIGTERM');
  env.signal.addEventListener('abort', passOn, { once: true });
  try {
    const end = await new Promise<ChildEnd>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve({ code, signal }));
    });
    env.signal.throwIfAborted();
    return end;
  } finally {
    env.signal.removeEventListener('abort', passOn);
  }
}
