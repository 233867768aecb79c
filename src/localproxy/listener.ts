/**
 * The listener of a local proxy: where one person's PostgreSQL clients on this machine find a database. A Unix socket in
 * a folder of its own (0700) that only this person can reach, or loopback TCP for clients that know nothing else. What
 * happens with a connection is the connector's business.
 *
 *     psql ── unix socket / loopback ── this listener ── connector.serve(socket)
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { messageOf, TeleportError } from '../errors.js';
import { listen } from '../net/listen.js';

export interface LocalProxyOptions {
  /** `unix`: a private socket; else loopback TCP, port 0 = any free one. */
  at: { kind: 'unix' } | { kind: 'tcp'; host: string; port: number };
  serve: (client: Duplex) => Promise<void>;
}

export interface LocalProxy extends AsyncDisposable {
  /** What libpq calls the host: a folder for a Unix socket, an address otherwise. */
  host: string;
  port: number;
  /** What it listens on: `127.0.0.1:39493`, or the path of the socket. */
  address: string;
  /** Stop listening and end the connections that are open. */
  close(): Promise<void>;
}

/** libpq finds the socket `.s.PGSQL.<port>` in the folder that is given as host. */
const SOCKET_PORT = 5432;
const SOCKET_NAME = `.s.PGSQL.${SOCKET_PORT}`;
/** Longest path of a Unix socket on the systems we run on, the final NUL not counted. Source: unix(7), 108 with it. */
const MAX_SOCKET_PATH_BYTES = 103;

/** @throws BadParameter (address in use, folder too deep) */
export async function startLocalProxy(options: LocalProxyOptions): Promise<LocalProxy> {
  const onConnection = (client: Duplex) => {
    // The connector tells the client what went wrong; nothing may escape into the process.
    options.serve(client).catch(() => client.destroy());
  };
  if (options.at.kind === 'tcp') {
    const { host, port } = options.at;
    const listener = await listen({ host, port, onConnection });
    const close = () => listener.close({ drainMs: 0 });
    return { host, port: listener.port, address: listener.address, close, [Symbol.asyncDispose]: close };
  }
  const folder = await privateFolder(process.env);
  const path = join(folder, SOCKET_NAME);
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const listener = await listen({ path, onConnection });
    const close = async () => {
      await listener.close({ drainMs: 0 });
      await remove();
    };
    return { host: folder, port: SOCKET_PORT, address: path, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A new folder (0700) for a socket: in XDG_RUNTIME_DIR, or where that cannot be used, among the temporary files. */
async function privateFolder(vars: Record<string, string | undefined>): Promise<string> {
  const parents = [vars.XDG_RUNTIME_DIR, tmpdir(), '/tmp'].filter((parent): parent is string => Boolean(parent));
  let problem: unknown;
  for (const parent of parents) {
    // `tsh-` and six letters of mkdtemp's.
    const path = join(parent, 'tsh-XXXXXX', SOCKET_NAME);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) continue;
    try {
      return await mkdtemp(join(parent, 'tsh-'));
    } catch (error) {
      problem ??= error;
    }
  }
  throw new TeleportError('BadParameter', `no folder for a local socket: ${messageOf(problem)}`, {
    hint: 'Set TMPDIR to a folder that you can write to, with a short name.',
    cause: problem,
  });
}

/** True for addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
