/**
 * The end of a session that is not the client's doing, in PostgreSQL's way: an ErrorResponse between two messages of
 * the server, then the end. For `relay`, whose `a` is the client; the server's first byte there must begin a message.
 */
import { createScanner, type Scanner } from './scan.js';
import { encodeError } from './sqlstate.js';

type Follower = Pick<Scanner, 'push' | 'bytesLeft'>;

export interface ClientFarewell {
  follow: Follower;
  say: (reason: unknown) => Buffer;
  timeoutMs?: number;
}

/**
 * One a session.
 *
 * @param options.timeoutMs  how long the client may take to read them; default: the relay's
 * @param options.follow  scans the server's messages already
 */
export function lastWords({ timeoutMs, follow }: { timeoutMs?: number; follow?: Follower } = {}): ClientFarewell {
  const own =
    follow ?? createScanner({ side: 'backend', wanted: () => undefined, onMessage() {}, refuseUnknown: false });
  return { follow: own, say: encodeError, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}
