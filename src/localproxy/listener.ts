/**
 * The listener of a local proxy: where one person's PostgreSQL clients on this machine find a database. A Unix socket in
 * a folder of its own (0700) that only this person can reach, or loopback TCP for clients that know nothing else. What
 * happens with a connection is the connector's business.
 *
 *     psql ── unix socket / loopback ── this listener ── connector.serve(socket)
 */

import type { Duplex } from 'node:stream';
import type { Env } from '../cli/env.js';
import { type Listener, listen } from '../net/listen.js';
import { makeSocketFolder, sweepSocketFolders } from './socket-folder.js';

export interface LocalProxyOptions {
  /** `unix`: a private socket; else loopback TCP, port 0 = any free one. */
  at: { kind: 'unix'; vars: Record<string, string | undefined> } | { kind: 'tcp'; host: string; port: number };
  serve: (client: Duplex) => Promise<void>;
  /** Takes leave of the clients that are connected, before they are cut. */
  leave?: () => Promise<void>;
}

export interface LocalProxy extends AsyncDisposable {
  /** What libpq calls the host: a folder for a Unix socket, an address otherwise. */
  host: string;
  /** What libpq calls the port; of a Unix socket it is only the end of the name. */
  port: number;
  /** What it listens on: `127.0.0.1:39493`, or the path of the socket. */
  address: string;
  /** Stop listening and end the connections that are open. */
  close(): Promise<void>;
}

/** Where only this person's programs get in; Windows has no socket of this kind for libpq. */
export function privateAt({ platform, vars }: Pick<Env, 'platform' | 'vars'>): LocalProxyOptions['at'] {
  return platform === 'win32' ? { kind: 'tcp', host: '127.0.0.1', port: 0 } : { kind: 'unix', vars };
}

/** For taking leave of the clients. Our own limit. */
const LEAVE_MS = 1_500;

/** @throws BadParameter (address in use, folder too deep) */
export async function startLocalProxy(options: LocalProxyOptions): Promise<LocalProxy> {
  const onConnection = (client: Duplex) => {
    // The connector tells the client what went wrong; nothing may escape into the process.
    options.serve(client).catch(() => client.destroy());
  };
  if (options.at.kind === 'tcp') {
    const { host, port } = options.at;
    const listener = await listen({ host, port, onConnection });
    const close = () => closeListener(listener, options.leave);
    return { host, port: listener.port, address: listener.address, close, [Symbol.asyncDispose]: close };
  }
  const { vars } = options.at;
  const folder = await makeSocketFolder(vars);
  try {
    const listener = await listen({ path: folder.socket, onConnection });
    const swept = sweepSocketFolders(vars);
    const close = async () => {
      await closeListener(listener, options.leave);
      folder.remove();
      await swept;
    };
    return { host: folder.path, port: folder.port, address: folder.socket, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    folder.remove();
    throw error;
  }
}

/** Nobody new from now on; those that are there are taken leave of, then cut. */
async function closeListener(listener: Listener, leave?: () => Promise<void>): Promise<void> {
  if (!leave) return await listener.close({ drainMs: 0 });
  const closed = listener.close({ drainMs: LEAVE_MS });
  await leave();
  for (const socket of listener.connections) socket.destroy();
  await closed;
}
