/** The end of a connection that ends with a message. */
import type { Duplex } from 'node:stream';

/** How long a peer may take to read our last words. */
const FAREWELL_TIMEOUT_MS = 5_000;

/** The last bytes for a peer; one that does not take them is cut off after a while. */
export function hangUp(peer: Duplex, lastWords?: Buffer): void {
  if (peer.destroyed) return;
  const timer = setTimeout(() => peer.destroy(), FAREWELL_TIMEOUT_MS);
  timer.unref();
  peer.once('close', () => clearTimeout(timer));
  if (lastWords) peer.write(lastWords);
  peer.end();
  peer.resume(); // what it still says is of no interest, but must not keep the stream open
}
