/**
 * A listener that knows its connections: stop accepting, wait for the open ones, cut what remains. TCP, or a Unix socket
 * that only this user can reach.
 */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { joinHostPort } from '../host-port.js';

export interface ListenOptions {
  /** Default `127.0.0.1`. */
  host?: string;
  /** 0, the default, takes any free port. */
  port?: number;
  /** A Unix socket instead, in a folder that is there; nothing else may be. */
  path?: string;
  /** Called with every connection: noDelay is set, an `error` listener is there. What it throws closes the connection. */
  onConnection: (socket: Socket) => void | Promise<void>;
  onError?: (error: unknown) => void;
  /** Open at a time: the oldest is cut off for one more, so that who holds them all keeps nobody out. Default: no bound. */
  mostConnections?: number;
}

export interface Listener {
  /** `127.0.0.1:5432`, or the path. */
  address: string;
  /** 0 for a Unix socket. */
  port: number;
  readonly connections: ReadonlySet<Socket>;
  /** Stop accepting; give open connections `drainMs` (default 0) to end, then destroy them. */
  close(options?: { drainMs?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const REASONS: Record<string, string> = {
  EADDRINUSE: 'address already in use',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: "can't assign requested address",
  ENOENT: 'no such file or directory',
};

/** @throws TeleportError `AlreadyExists` (address in use), `AccessDenied`, `ConnectionProblem`: `listen tcp H:P: bind: …` */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { host = '127.0.0.1', port = 0, path, onConnection, onError, mostConnections = Infinity } = options;
  const connections = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, (socket) => {
    socket.on('error', () => {});
    connections.add(socket);
    if (connections.size > mostConnections) cutOldest(connections);
    socket.once('close', () => connections.delete(socket));
    void (async () => onConnection(socket))().catch((error: unknown) => {
      socket.destroy();
      onError?.(error);
    });
  });
  await bind(server, path === undefined ? { host, port } : { path });
  server.on('error', (error) => onError?.(error));
  if (path !== undefined) chmodSync(path, 0o600);
  const bound = server.address();
  const at = typeof bound === 'object' && bound !== null ? bound : { address: '', port: 0 };
  let closing: Promise<void> | undefined;
  const close = ({ drainMs = 0 }: { drainMs?: number } = {}) => {
    closing ??= stop(server, connections, drainMs);
    return closing;
  };
  return {
    address: path ?? joinHostPort(at.address, at.port),
    port: at.port,
    connections,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

function cutOldest(connections: Set<Socket>): void {
  const [oldest] = connections;
  // Now, and not when it is closed: as many may come before.
  connections.delete(oldest!);
  oldest!.destroy();
}

function bind(server: Server, where: { host: string; port: number } | { path: string }): Promise<void> {
  const name = 'path' in where ? `unix ${where.path}` : `tcp ${joinHostPort(where.host, where.port)}`;
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      const code = nodeCodeOf(error) ?? '';
      const ours = code === 'EADDRINUSE' ? 'AlreadyExists' : code === 'EACCES' ? 'AccessDenied' : 'ConnectionProblem';
      const text = `listen ${name}: bind: ${REASONS[code] ?? messageOf(error)}`;
      reject(new TeleportError(ours, text, { cause: error, hint: hintOf(code, where) }));
    });
    server.listen(where, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

/** What to do about a port that cannot be had. */
function hintOf(code: string, where: { port: number } | { path: string }): string | undefined {
  if (!('port' in where)) return undefined;
  const { port } = where;
  if (code === 'EADDRINUSE')
    return `Another program has this port: lsof -i :${port} shows which. Stop it, or choose another port.`;
  if (code === 'EACCES')
    return 'Ports below 1024 are for root: choose another one and lead to it from there, or start the program as root.';
  return undefined;
}

function stop(server: Server, connections: ReadonlySet<Socket>, drainMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = () => {
      for (const socket of connections) socket.destroy();
    };
    const timer = drainMs > 0 ? setTimeout(cut, drainMs) : undefined;
    // Node calls back before the last connections have said `close` themselves.
    server.close(async () => {
      clearTimeout(timer);
      await Promise.all([...connections].map((socket) => new Promise((gone) => socket.once('close', gone))));
      resolve();
    });
    if (timer === undefined) cut();
  });
}
