/**
 * One standing connection of an agent to a Proxy: an HTTP/2 server on a socket that the agent dialled. Paths, headers and
 * windows are in `tunnel.ts`.
 */
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import {
  TUNNEL_CONNECTION_WINDOW_BYTES,
  TUNNEL_HEADERS,
  TUNNEL_STREAM_WINDOW_BYTES,
  type TunnelHello,
} from './tunnel.js';

/** What came with a stream. The certificate is to be verified again: the Proxy is not believed. */
export interface TunnelConnection {
  certificateDer: Buffer;
  /** `ip:port` of the user, for audit. */
  clientAddr: string;
}

export type OnTunnelConnection = (stream: Duplex, connection: TunnelConnection) => void;

export interface TunnelLine {
  /** The Proxy has asked for the hello. */
  readonly isStanding: boolean;
  /** The Proxy said drain. */
  readonly isLeft: boolean;
  tell(hello: TunnelHello): void;
  /** Resolves when no database connection is open on this line. */
  idle(): Promise<void>;
  destroy(): void;
  /** Resolves when the line is gone or the Proxy wants to be left. */
  readonly over: Promise<void>;
  /** Resolves when the line is gone. */
  readonly gone: Promise<void>;
}

export interface ServeLineOptions {
  hello: () => TunnelHello;
  onConnection: OnTunnelConnection;
  onStanding: () => void;
  silenceTimeoutMs: number;
  log: Logger;
}

/** Longest certificate header taken; traits make certificates long, and a header block is limited to 64 KiB. */
const MAX_CERTIFICATE_CHARS = 48 * 1024;
const MAX_STREAMS = 10_000;
/** nghttp2's own account: a paused stream may hold a whole stream window, and that must not refuse new streams. */
const MAX_SESSION_MEMORY_MB = 16_384;

/** Serve the tunnel's three paths on a connected socket. */
export function serveLine(socket: TLSSocket, options: ServeLineOptions): TunnelLine {
  const streams = new Set<Duplex>();
  const idleWaiters = new Set<() => void>();
  const helloStreams = new Set<ServerHttp2Stream>();
  let session: ServerHttp2Session | undefined;
  let isStanding = false;
  let isLeft = false;
  let endOver: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    endOver = resolve;
  });
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  void gone.then(endOver);

  const line: TunnelLine = {
    get isStanding() {
      return isStanding;
    },
    get isLeft() {
      return isLeft;
    },
    tell(hello) {
      for (const stream of helloStreams) if (stream.writable) stream.write(`${JSON.stringify(hello)}\n`);
    },
    idle: () => (streams.size === 0 ? Promise.resolve() : new Promise((resolve) => idleWaiters.add(resolve))),
    destroy() {
      session?.destroy();
      socket.destroy();
    },
    over,
    gone,
  };
  const streamClosed = (stream: Duplex): void => {
    streams.delete(stream);
    if (streams.size > 0) return;
    for (const resolve of idleWaiters) resolve();
    idleWaiters.clear();
    if (isLeft) line.destroy();
  };
  const paths: Record<string, (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void> = {
    'GET /v1/hello': (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/x-ndjson' });
      helloStreams.add(stream);
      stream.once('close', () => helloStreams.delete(stream));
      stream.resume();
      stream.write(`${JSON.stringify(options.hello())}\n`);
      isStanding = true;
      options.onStanding();
    },
    'POST /v1/connect': (stream, headers) => {
      const connection = connectionOf(headers);
      if (!connection) return answer(stream, 400);
      if (options.hello().draining) return answer(stream, 503);
      streams.add(stream);
      stream.once('close', () => streamClosed(stream));
      stream.respond({ ':status': 200 });
      try {
        options.onConnection(stream, connection);
      } catch (error) {
        options.log.error('A database connection failed.', { error: messageOf(error) });
        stream.destroy();
      }
    },
    'POST /v1/drain': (stream) => {
      answer(stream, 200);
      isLeft = true;
      endOver();
      if (streams.size === 0) stream.once('close', () => streams.size === 0 && line.destroy());
    },
  };

  const server = createServer({
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    settings: {
      initialWindowSize: TUNNEL_STREAM_WINDOW_BYTES,
      maxConcurrentStreams: MAX_STREAMS,
      maxHeaderListSize: 64 * 1024,
    },
  });
  server.on('session', (begun) => {
    session = begun;
    begun.on('error', (error) => options.log.debug('Tunnel broke.', { error }));
    begun.once('close', () => socket.destroy());
    begun.setLocalWindowSize(TUNNEL_CONNECTION_WINDOW_BYTES);
    // The Proxy's pings come every 15 s; a line without them is dead, whatever TCP believes.
    // (The session's own timeout counts streams and not pings, so an idle line would die of it.)
    const silence = setTimeout(() => line.destroy(), options.silenceTimeoutMs).unref();
    begun.on('ping', () => silence.refresh());
    begun.once('close', () => clearTimeout(silence));
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    stream.on('error', (error) => options.log.debug('Tunnel stream broke.', { error }));
    const serve = paths[`${headers[':method']} ${headers[':path']}`];
    if (serve) serve(stream, headers);
    else answer(stream, 404);
  });
  // A half-open socket does not end its session by itself.
  socket.once('end', line.destroy);
  server.emit('connection', socket);
  return line;
}

function answer(stream: ServerHttp2Stream, status: number): void {
  stream.resume();
  stream.respond({ ':status': status }, { endStream: true });
}

function connectionOf(headers: Record<string, unknown>): TunnelConnection | undefined {
  const certificate = headers[TUNNEL_HEADERS.certificate];
  const clientAddr = headers[TUNNEL_HEADERS.clientAddr];
  if (typeof certificate !== 'string' || typeof clientAddr !== 'string') return undefined;
  if (certificate.length === 0 || certificate.length > MAX_CERTIFICATE_CHARS || clientAddr.length > 128)
    return undefined;
  return { certificateDer: Buffer.from(certificate, 'base64'), clientAddr };
}
