/** Locks as messages, made once for all who hear of them: the list is the same array until one changes (`kept-locks.ts`). */
import { toMessage } from '../api/convert.js';
import type { LockV2 } from '../api/gen/types_pb.js';
import type { Lock } from '../resources/types.js';

const made = new WeakMap<readonly Lock[], LockV2[]>();

export function lockMessages(locks: readonly Lock[]): LockV2[] {
  const known = made.get(locks) ?? locks.map((lock) => toMessage('lock', lock));
  made.set(locks, known);
  return known;
}
