/**
 * The connections of one local proxy: clients and the ways up that belong to them, ended together. When the proxy stops,
 * every client whose protocol is ours to speak hears so, between two messages; a client that brings its own TLS is cut.
 */

import type { Duplex } from 'node:stream';
import { abortForMany } from '../abort.js';
import { hangUp } from '../net/hang-up.js';
import { relay, type Tap } from '../net/relay.js';
import { lastWords } from '../pg/last-words.js';
import { encodeError, shutdownEnd } from '../pg/sqlstate.js';
import { settledWithin } from '../wait.js';

export interface Clients {
  /** A client that has just come. */
  take(client: Duplex): void;
  /** Another stream, ended with the rest. */
  track<S extends Duplex>(stream: S): S;
  /** Join a client and its way up until both have ended. @throws as `relay` */
  join(client: Duplex, upstream: Duplex, options?: { onBtoA?: Tap }): Promise<void>;
  /** Take leave of all, for a second at most, and cut what is left. */
  close(): Promise<void>;
}

/** The other half may still send for this long after one has ended. */
const HALF_CLOSE_TIMEOUT_MS = 30_000;
/** A command that was asked to stop has two seconds for everything (`cli/program.ts`). */
const FAREWELL_TIMEOUT_MS = 1_000;

/** @param isPlain  the clients' own protocol passes here in clear, and what comes down are whole messages of it */
export function createClients({ isPlain }: { isPlain: boolean }): Clients {
  const open = new Set<Duplex>();
  /** Clients that are not joined yet. */
  const waiting = new Set<Duplex>();
  const stop = abortForMany();
  const end = shutdownEnd('The local proxy was stopped: start it again, then connect again.');
  const track = <S extends Duplex>(stream: S): S => {
    open.add(stream);
    stream
      .on('error', () => {})
      .once('close', () => {
        open.delete(stream);
        waiting.delete(stream);
      });
    return stream;
  };
  const dismiss = (client: Duplex) => {
    if (isPlain) hangUp(client, encodeError(end));
    else client.destroy();
  };
  return {
    take(client) {
      track(client);
      waiting.add(client);
      if (stop.signal.aborted) dismiss(client);
    },
    track(stream) {
      if (stop.signal.aborted) stream.destroy();
      return track(stream);
    },
    async join(client, upstream, options = {}) {
      waiting.delete(client);
      await relay(client, upstream, {
        ...options,
        halfCloseTimeoutMs: HALF_CLOSE_TIMEOUT_MS,
        signal: stop.signal,
        ...(isPlain ? { lastWords: lastWords({ timeoutMs: FAREWELL_TIMEOUT_MS }) } : {}),
      });
    },
    async close() {
      if (stop.signal.aborted) return;
      stop.abort(end);
      for (const client of waiting) dismiss(client);
      // A stream that breaks while it closes is gone as well.
      const gone = Promise.all(
        [...open].map((stream) => stream.closed || new Promise((done) => stream.once('close', done))),
      );
      await settledWithin(gone, FAREWELL_TIMEOUT_MS);
      for (const stream of open) stream.destroy();
      await gone;
    },
  };
}
