/** Hears of every change of an authority, for services that keep what they believe: a rotation is followed at once. */
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { rest } from '../wait.js';
import type { AuthClient } from './client.js';

export interface AuthorityWatchOptions {
  auth: Pick<AuthClient, 'databaseAgent'>;
  /** Called at each change, and whenever one may have been missed. */
  onChange: () => void;
  log: Logger;
  signal: AbortSignal;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

/** Resolves after the signal, and when Auth is an older one that does not say. */
export async function followAuthorities({ auth, onChange, log, signal }: AuthorityWatchOptions): Promise<void> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      for await (const _ of auth.databaseAgent.watchAuthorities({}, { signal, timeoutMs: 0 })) {
        failures = 0;
        onChange();
      }
    } catch (error) {
      if (signal.aborted || isTeleportError(error, 'NotImplemented')) return;
      log.warn('Watching authorities failed, trying again.', { error: messageOf(error) });
    }
    await rest(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++), signal);
  }
}
