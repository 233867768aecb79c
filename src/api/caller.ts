/** Who is calling, for the handlers: `context.values.get(callerKey)`. */
import type { X509Certificate } from 'node:crypto';
import { createContextKey } from '@connectrpc/connect';

export interface Caller {
  /** The client certificate, verified by the one who accepted the connection; undefined = nobody in particular (`Nop`). */
  certificate?: X509Certificate | undefined;
  /** `ip:port` of the other end. */
  remoteAddr: string;
}

/** An anonymous caller, before anybody has said otherwise. */
export const callerKey = createContextKey<Caller>({ remoteAddr: '' }, { description: 'caller' });
