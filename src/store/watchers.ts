/**
 * Who waits for changes of a store, and what has not been passed on yet. A change is held until its transaction is durable
 * (`flush`) or forgotten with it (`discard`). A watcher that does not read keeps its changes in memory up to a bound and
 * then ends with an error, so that it can start again from a fresh reading instead of missing something in silence.
 */
import { TeleportError } from '../errors.js';
import type { Change, Key } from './store.js';

/** Changes that one slow watcher may leave unread. */
const MAX_UNREAD = 65_536;

export interface Watchers {
  /** Remember a change until `flush` or `discard`. */
  tell(change: Change): void;
  flush(): void;
  discard(): void;
  watch(prefix: Key, signal: AbortSignal): AsyncIterable<Change>;
  /** End every watch. */
  close(): void;
}

interface Watcher {
  prefix: Key;
  unread: Change[];
  ended: boolean;
  failed: boolean;
  wake: () => void;
}

export function createWatchers(): Watchers {
  const watchers = new Set<Watcher>();
  let pending: Change[] = [];

  function flush(): void {
    const changes = pending;
    pending = [];
    for (const change of changes) {
      for (const watcher of watchers) {
        if (!change.key.startsWith(watcher.prefix)) continue;
        if (watcher.unread.length >= MAX_UNREAD) watcher.failed = true;
        else watcher.unread.push(change);
        watcher.wake();
      }
    }
  }

  return {
    tell: (change) => {
      pending.push(change);
    },
    flush,
    discard: () => {
      pending = [];
    },
    watch(prefix, signal) {
      const watcher: Watcher = { prefix, unread: [], ended: signal.aborted, failed: false, wake: () => {} };
      const end = () => {
        watcher.ended = true;
        watcher.wake();
      };
      if (!watcher.ended) watchers.add(watcher);
      signal.addEventListener('abort', end, { once: true });
      return changesOf(watcher, () => {
        watchers.delete(watcher);
        signal.removeEventListener('abort', end);
      });
    },
    close: () => {
      for (const watcher of watchers) {
        watcher.ended = true;
        watcher.wake();
      }
    },
  };
}

/** Registered before the first `next`, so that nothing between the call and the loop is lost. */
async function* changesOf(watcher: Watcher, forget: () => void): AsyncGenerator<Change> {
  try {
    for (;;) {
      if (watcher.failed) throw new TeleportError('LimitExceeded', 'too many unread changes, start the watch again');
      if (watcher.ended) return;
      const change = watcher.unread.shift();
      if (change) yield change;
      else await new Promise<void>((resolve) => (watcher.wake = resolve));
    }
  } finally {
    forget();
  }
}
