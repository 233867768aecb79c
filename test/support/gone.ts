import type { Duplex } from 'node:stream';

/** Until a connection is closed, in whatever way: a reset is an end of it as well, and `once` would throw it. */
export function gone(socket: Duplex): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.on('error', () => {}).once('close', () => resolve());
  });
}
