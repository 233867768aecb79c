/** libsql, loaded; it has a part for each kind of machine. Its traps are in `embedded.ts`. */
import { loadNative } from '../errors.js';

/** @throws TeleportError `NotFound` when it is not installed for this machine */
export async function libsql() {
  return (await loadNative('libsql', () => import('libsql'))).default;
}
