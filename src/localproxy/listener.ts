/**
 * The listener of a local proxy: where one person's PostgreSQL clients on this machine find a database. A Unix socket in
 * a folder (0700) that only this person can reach, or loopback TCP for clients that know nothing else. What
 * happens with a connection is the connector's business.
 *
 *     psql ── unix socket / loopback ── this listener ── connector.serve(socket)
 */

import type { Socket } from 'node:net';
import type { Env } from '../cli/env.js';
import { hangUp } from '../net/hang-up.js';
import { type Listener, listen } from '../net/listen.js';
import { encodeError } from '../pg/sqlstate.js';
import { otherUser, peerOf } from './peer.js';
import { makeSocketFolder, ownSocketFolder, sweepSocketFolders } from './socket-folder.js';

export type LocalEnd =
  /** A private socket of a name of its own. */
  | { kind: 'unix'; vars: Record<string, string | undefined> }
  /** A private socket in a folder that was named. */
  | { kind: 'folder'; folder: string; port: number }
  /** Port 0: any free one. `ownOnly`: programs of other users of this machine are refused. */
  | { kind: 'tcp'; host: string; port: number; ownOnly?: boolean };

export interface LocalProxyOptions {
  at: LocalEnd;
  /** @param options  `onlyCancel`: the system does not say whose the client is */
  serve: (client: Socket, options: { onlyCancel: boolean }) => Promise<void>;
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
export function privateAt({ platform, vars }: Pick<Env, 'platform' | 'vars'>): LocalEnd {
  return platform === 'win32' ? { kind: 'tcp', host: '127.0.0.1', port: 0 } : { kind: 'unix', vars };
}

/** For taking leave of the clients. Our own limit. */
const LEAVE_MS = 1_500;

/** @throws BadParameter (address in use, folder too deep) */
export async function startLocalProxy(options: LocalProxyOptions): Promise<LocalProxy> {
  const { at } = options;
  const onConnection = (client: Socket) => {
    const peer = at.kind === 'tcp' && at.ownOnly ? peerOf(client, process.geteuid!()) : 'own';
    if (peer === 'other') return hangUp(client, encodeError(otherUser()));
    // The connector tells the client what went wrong; nothing may escape into the process.
    options.serve(client, { onlyCancel: peer === 'unknown' }).catch(() => client.destroy());
  };
  if (at.kind === 'tcp') {
    const { host, port } = at;
    const listener = await listen({ host, port, onConnection });
    const close = () => closeListener(listener, options.leave);
    return { host, port: listener.port, address: listener.address, close, [Symbol.asyncDispose]: close };
  }
  const folder = await (at.kind === 'unix' ? makeSocketFolder(at.vars) : ownSocketFolder(at.folder, at.port));
  try {
    const listener = await folder.occupy((path) => listen({ path, onConnection }));
    const swept = at.kind === 'unix' ? sweepSocketFolders(at.vars) : undefined;
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
