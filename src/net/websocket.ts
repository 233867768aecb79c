/**
 * Connection upgrade: a byte stream through an HTTP load balancer that would not let our ALPN names pass. A WebSocket
 * with subprotocol `alpn` or `alpn-ping`, binary frames; on the server also the older raw upgrade. The only door to `ws`.
 * Source: auth-grpc-and-routing.md 1.6.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws';
import { messageOf, TeleportError } from '../errors.js';
import { withDeadline } from '../wait.js';
import { MOST_FRAME_BYTES, PING_INTERVAL_MS, PingStream } from './ping-stream.js';

export const UPGRADE_PATH = '/webapi/connectionupgrade';
export type UpgradeProtocol = 'alpn' | 'alpn-ping';

/**
 * Longest frame of a client, which is held whole before a byte of it is passed on; we write none that is longer. What is inside is
 * TLS, of which clients send a record of 16 KiB in a frame, or a few. Our own limit.
 */
const MOST_CLIENT_FRAME_BYTES = 1024 * 1024;

const PROTOCOLS: readonly string[] = ['alpn-ping', 'alpn'];

/**
 * Ask for the upgrade on an open connection (TLS to the web address, no ALPN).
 *
 * @param options.host  `host:port` for the Host header
 * @throws TeleportError `ConnectionProblem`; `NotImplemented` when the server does not know the path
 */
export async function upgradeConnection(
  socket: Duplex,
  options: { host: string; protocol: UpgradeProtocol; timeoutMs: number },
): Promise<Duplex> {
  const client = new WebSocket(`ws://${options.host}${UPGRADE_PATH}`, [options.protocol], {
    createConnection: () => socket as Socket,
    perMessageDeflate: false,
    maxPayload: MOST_FRAME_BYTES,
    // The mask guards old HTTP caches, which TLS keeps out already; a zero mask saves a pass over every byte.
    generateMask: (mask) => void mask.fill(0),
    headers: { Host: options.host },
  });
  const opened = new Promise<void>((resolve, reject) => {
    client.once('open', () => resolve());
    client.once('error', (error) => {
      reject(
        new TeleportError('ConnectionProblem', `connection upgrade failed: ${messageOf(error)}`, { cause: error }),
      );
    });
    client.once('unexpected-response', (_request, response) => {
      const code = response.statusCode === 404 ? 'NotImplemented' : 'ConnectionProblem';
      const why = response.statusCode === 404 ? 'the server is too old' : `HTTP status ${response.statusCode}`;
      reject(new TeleportError(code, `connection upgrade failed: ${why}`));
    });
  });
  try {
    await withDeadline(opened, options.timeoutMs, `the connection upgrade at ${options.host}`);
    return streamOf(client);
  } catch (error) {
    client.on('error', () => {});
    client.terminate();
    socket.destroy();
    throw error;
  }
}

/** Which upgrade a request asks for; undefined when it asks for none that is known. */
export function upgradeKind(request: IncomingMessage): 'websocket' | UpgradeProtocol | undefined {
  const asked = String(request.headers['x-teleport-upgrade'] ?? request.headers.upgrade ?? '');
  const kinds = asked.split(',').map((kind) => kind.trim().toLowerCase());
  if (kinds.includes('websocket')) return 'websocket';
  return PROTOCOLS.find((kind): kind is UpgradeProtocol => kinds.includes(kind));
}

/**
 * Answer an upgrade request, from the `upgrade` event of an HTTP server.
 *
 * @param options.pingIntervalMs  for `alpn-ping`; default 30 s
 * @returns the tunnel's bytes: a TLS ClientHello comes next
 * @throws TeleportError `BadParameter` for an unknown kind; the request is answered with 404 then
 */
export async function acceptUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  options: { pingIntervalMs?: number } = {},
): Promise<Duplex> {
  const { pingIntervalMs = PING_INTERVAL_MS } = options;
  socket.on('error', () => {});
  const kind = upgradeKind(request);
  if (kind === undefined) {
    const text = `unsupported upgrade types: [${String(request.headers.upgrade ?? '').replace(/[^\x20-\x7e]/g, '?')}]`;
    socket.end(`HTTP/1.1 404 Not Found\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`);
    throw new TeleportError('BadParameter', text);
  }
  if (kind === 'websocket') {
    const tunnel = await acceptWebSocket(request, socket, head);
    if (tunnel.protocol === 'alpn-ping') keepAlive(tunnel, pingIntervalMs);
    return streamOf(tunnel);
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${kind}\r\nX-Teleport-Upgrade: ${kind}\r\nConnection: Upgrade\r\n\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  return kind === 'alpn-ping' ? new PingStream(socket, { pingIntervalMs }) : socket;
}

function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MOST_CLIENT_FRAME_BYTES,
    handleProtocols: (offered) => PROTOCOLS.find((protocol) => offered.has(protocol)) ?? false,
  });
  return new Promise((resolve, reject) => {
    const refuse = () => reject(new TeleportError('Protocol', 'not a WebSocket request'));
    // `ws` leaves the answer to whoever listens for this.
    server.once('wsClientError', () => {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      refuse();
    });
    socket.once('close', refuse);
    server.handleUpgrade(request, socket, head, (tunnel) => {
      socket.off('close', refuse);
      resolve(tunnel);
    });
  });
}

function streamOf(socket: WebSocket): Duplex {
  const stream = createWebSocketStream(socket);
  const write = stream._write.bind(stream);
  // The package's own error for this has no code, and the other side leaving is an ordinary end.
  stream._write = (chunk, encoding, written) => {
    if (socket.readyState > WebSocket.OPEN) {
      return written(Object.assign(new Error('the WebSocket is closed'), { code: 'EPIPE' }));
    }
    let rest = chunk as Buffer;
    for (; rest.length > MOST_CLIENT_FRAME_BYTES; rest = rest.subarray(MOST_CLIENT_FRAME_BYTES)) {
      write(rest.subarray(0, MOST_CLIENT_FRAME_BYTES), encoding, () => {});
    }
    write(rest, encoding, written);
  };
  stream.on('error', () => {});
  return stream;
}

function keepAlive(socket: WebSocket, intervalMs: number): void {
  const timer = setInterval(() => {
    if (socket.readyState === WebSocket.OPEN && socket.bufferedAmount === 0) socket.ping('teleport');
  }, intervalMs);
  timer.unref();
  socket.once('close', () => clearInterval(timer));
}
