/** Who is calling, for the handlers: `context.values.get(callerKey)`. */
import { createContextKey } from '@connectrpc/connect';
import type { Bearer } from '../identity/bearer.js';

export interface Caller {
  /** Who showed a client certificate, verified by the one who accepted the connection; undefined = nobody in particular (`Nop`). */
  bearer?: Bearer | undefined;
  /** `ip:port` of the other end. */
  remoteAddr: string;
}

/** An anonymous caller, before anybody has said otherwise. */
export const callerKey = createContextKey<Caller>({ remoteAddr: '' }, { description: 'caller' });
