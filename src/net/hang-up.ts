/** The end of a connection: with a message, and not without end. */
import type { Duplex } from 'node:stream';

/** How long a peer may take to read our last words. */
export const FAREWELL_TIMEOUT_MS = 5_000;

/** What can be cut off: a stream, or a session of HTTP/2. */
interface Closable {
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** Cut off what has not closed by itself after a while. @returns takes it back */
export function cutAfter(peer: Closable, ms: number): () => void {
  const timer = setTimeout(() => peer.destroy(), ms).unref();
  const spare = () => clearTimeout(timer);
  peer.once('close', spare);
  return spare;
}

/** The last bytes for a peer; one that does not take them is cut off after a while. */
export function hangUp(peer: Duplex, lastWords?: Buffer): void {
  if (peer.destroyed) return;
  cutAfter(peer, FAREWELL_TIMEOUT_MS);
  if (lastWords) peer.write(lastWords);
  peer.end();
  peer.resume(); // what it still says is of no interest, but must not keep the stream open
}
