/** Who is calling, for the handlers: `context.values.get(callerKey)`. */
import { createContextKey } from '@connectrpc/connect';
import type { Bearer } from '../identity/bearer.js';

export interface Caller {
  /** Who showed a client certificate, verified by the one who accepted the connection; undefined = nobody in particular (`Nop`). */
  bearer?: Bearer | undefined;
  /** `ip:port` of the other end. */
  remoteAddr: string;
  /** Called when a whole request of a caller without a certificate is here; what it gives, when that is answered. */
  busy?: (() => () => void) | undefined;
  /** Called when the caller has a right to be here: only then it has a place. @throws TeleportError `LimitExceeded` when there is none */
  admit?: (() => void) | undefined;
  /** Ends the connection, a moment later. */
  end?: (() => void) | undefined;
}

/** An anonymous caller, before anybody has said otherwise. */
export const callerKey = createContextKey<Caller>({ remoteAddr: '' }, { description: 'caller' });
