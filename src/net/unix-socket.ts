/** Whether anybody still listens on a Unix socket. */
import { createConnection } from 'node:net';
import { nodeCodeOf } from '../errors.js';

/**
 * @returns false only when that is sure: nobody listens, or there is no such socket. A listener that is busy, or one that
 * we may not reach, is alive.
 */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path }, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(nodeCodeOf(error) ?? '')));
  });
}
