/**
 * Locks as they come, for sessions that run: each one is looked at again when the locks change, and ends with the first
 * that hits it. While the line to Auth is broken the last known locks count (locking mode `best_effort`).
 *
 * Source: database-service.md 2.
 */

import { fromMessages } from '../api/convert.js';
import type { WatchLocksResponse } from '../api/gen/internal_pb.js';
import { messageOf } from '../errors.js';
import type { Identity } from '../identity/identity.js';
import type { Logger } from '../log.js';
import { lockInForce, lockText } from '../rbac/limits.js';
import type { Lock } from '../resources/types.js';
import { rest } from '../wait.js';

export interface LockWatch {
  /**
   * Watch over a session until this is disposed of.
   *
   * @param onLocked  called with the reason as the audit event says it; at once when a lock is there already
   */
  during(identity: Identity, onLocked: (reason: string) => void): Disposable;
  /** Resolves after the signal. */
  ended: Promise<void>;
}

export interface LockWatchOptions {
  fetch: (signal: AbortSignal) => AsyncIterable<WatchLocksResponse>;
  serverId: string;
  now: () => Date;
  log: Logger;
  signal: AbortSignal;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;

export function watchLocks({ fetch, serverId, now, log, signal }: LockWatchOptions): LockWatch {
  let locks: Lock[] = [];
  const sessions = new Set<() => void>();

  const follow = async () => {
    for (let failures = 0; !signal.aborted; ) {
      try {
        for await (const message of fetch(signal)) {
          failures = 0;
          locks = fromMessages('lock', message.locks);
          for (const look of [...sessions]) look();
        }
      } catch (error) {
        if (signal.aborted) return;
        log.warn('Watching locks failed, trying again.', { error: messageOf(error) });
      }
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures++);
      await rest(pauseMs, signal);
    }
  };
  return {
    during(identity, onLocked) {
      const look = () => {
        const lock = lockInForce(locks, { identity, serverId, now: now() });
        if (lock) onLocked(lockText(lock));
      };
      sessions.add(look);
      look();
      return { [Symbol.dispose]: () => void sessions.delete(look) };
    },
    ended: follow(),
  };
}
