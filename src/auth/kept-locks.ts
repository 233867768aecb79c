/**
 * The locks, which are looked at in every call: read once, and again after each change and when the time of one of them is over.
 * Nobody writes into the store but the process that has it open, and its locks go through here.
 */
import type { Lock } from '../resources/types.js';
import type { Records } from './records.js';

/** RFC 3339: when a lock ends, by its own time or that of its record. */
export function endOfLock({ metadata, spec }: Lock): string | undefined {
  const ends = [metadata.expires, spec.expires].filter((end) => end !== undefined && Date.parse(end) > 0) as string[];
  return ends.sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}

/** @param now  as the store has it */
export function keptLocks(records: Records<Lock>, now: () => Date): Records<Lock> {
  let kept: Promise<{ locks: Lock[]; untilMs: number }> | undefined;
  const endMs = (lock: Lock) => Date.parse(endOfLock(lock) ?? '') || Number.POSITIVE_INFINITY;

  const read = async () => {
    // One whose time was over before its record had an end is in the store of an older version.
    const locks = (await records.list()).filter((lock) => endMs(lock) > now().getTime());
    return { locks, untilMs: locks.reduce((first, lock) => Math.min(first, endMs(lock)), Number.POSITIVE_INFINITY) };
  };
  /** What is read while a change is made may be from before it, so it is forgotten afterwards too. */
  const changing = async <T>(change: () => Promise<T>): Promise<T> => {
    try {
      return await change();
    } finally {
      kept = undefined;
    }
  };
  return {
    ...records,
    async list() {
      for (;;) {
        const mine = kept ?? read();
        kept = mine;
        const forget = () => {
          if (kept === mine) kept = undefined;
        };
        const { locks, untilMs } = await mine.catch((error: unknown) => {
          forget();
          throw error;
        });
        if (untilMs > now().getTime()) return locks;
        forget();
      }
    },
    create: (lock) => changing(() => records.create(lock)),
    put: (lock) => changing(() => records.put(lock)),
    update: (lock) => changing(() => records.update(lock)),
    replace: (lock) => changing(() => records.replace(lock)),
    delete: (...name) => changing(() => records.delete(...name)),
  };
}
