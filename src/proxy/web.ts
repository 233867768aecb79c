/**
 * The Proxy's web API and its few pages, over HTTP/1.1 and HTTP/2, on connections whose TLS the router has ended. Knows
 * HTTP; the paths are in `web/routes.ts`. Facts: `login-and-profile.md` 1, 2, 4.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import { endSession } from '../net/end-session.js';
import type { Endpoint } from '../net/proxy-protocol.js';
import { acceptUpgrade, UPGRADE_PATH } from '../net/websocket.js';
import { type Answer, pathNotFound, send, thrownAnswer } from './web/answer.js';
import { readBody } from './web/body.js';
import { createLimiter, type LimitClass, RATE_LIMITS, type RateLimit } from './web/limits.js';
import { findRoute, type WebContext } from './web/routes.js';

export interface WebServerOptions extends WebContext {
  /** A connection inside an upgraded one: its first bytes are a ClientHello again. */
  onUpgrade: (connection: Duplex, client: Endpoint) => void;
  log: Logger;
  /** Instead of Teleport's figures. */
  rateLimits?: Partial<Record<LimitClass, RateLimit>>;
  /** Connections that send no whole request head in this time are cut. Default 15 s. */
  requestTimeoutMs?: number;
  /** Idle connections are cut. Default 5 min. */
  idleTimeoutMs?: number;
}

export interface WebServer {
  accept(connection: Duplex, client: Endpoint, options: { isHttp2: boolean }): void;
  /** Cut every connection. */
  close(): void;
}

/** Who is behind a connection, and what stops its deadline for the first request. */
interface Visitor {
  client: Endpoint;
  began: () => void;
}

export function createWebServer(options: WebServerOptions): WebServer {
  const { log, requestTimeoutMs = 15_000, idleTimeoutMs = 300_000 } = options;
  const limits = { ...RATE_LIMITS, ...options.rateLimits };
  const take = {
    normal: createLimiter(limits.normal, () => performance.now()),
    high: createLimiter(limits.high, () => performance.now()),
  };
  const visitors = new WeakMap<object, Visitor>();
  const open = new Set<Duplex>();

  const answer = async (request: IncomingMessage | Http2ServerRequest, address: string): Promise<Answer> => {
    const path = pathOf(request.url ?? '/');
    const found = path === undefined ? undefined : findRoute(request.method ?? '', path);
    if (path === undefined || !found) return pathNotFound(options.settings.version);
    try {
      if (found.route.limit) take[found.route.limit](address);
      return await found.route.handle(
        {
          method: request.method ?? '',
          path,
          params: found.params,
          headers: request.headers,
          address,
          userAgent: String(request.headers['user-agent'] ?? ''),
          host: String(request.headers[':authority'] ?? request.headers.host ?? ''),
          body: () => readBody(request),
        },
        options,
      );
    } catch (error) {
      if (!isTeleportError(error))
        log.error('A web request failed.', { path: found.route.path, error: messageOf(error) });
      return thrownAnswer(error);
    }
  };
  const serve = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
    visitor: Visitor | undefined,
  ): void => {
    visitor?.began();
    request.on('error', () => {});
    response.on('error', () => {});
    const reply = async (): Promise<void> => {
      const result = await answer(request, visitor?.client.address ?? '');
      // A body that nobody read would stand in the way of the next request.
      request.resume();
      send(response, result);
    };
    reply().catch((error: unknown) => log.error('A web answer could not be sent.', { error: messageOf(error) }));
  };

  const http1 = createServer({ keepAlive: true, noDelay: false }, (request, response) => {
    serve(request, response, visitors.get(request.socket));
  });
  http1.timeout = idleTimeoutMs;
  http1.keepAliveTimeout = idleTimeoutMs;
  http1.on('upgrade', (request, socket, head) => {
    const visitor = visitors.get(socket);
    if (!visitor) return void socket.destroy();
    const { client } = visitor;
    visitor.began();
    (socket as { setTimeout?: (ms: number) => void }).setTimeout?.(0);
    void upgrade(request, socket, head, client).catch((error: unknown) => {
      log.debug('A connection upgrade was refused.', { from: client.address, error: messageOf(error) });
      hangUp(socket);
    });
  });
  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer, client: Endpoint): Promise<void> => {
    const path = pathOf(request.url ?? '');
    if (request.method !== 'GET' || path === undefined || path.replace(/^\/v1/, '') !== UPGRADE_PATH) {
      refuse(socket, pathNotFound(options.settings.version));
      return hangUp(socket);
    }
    try {
      take.high(client.address);
    } catch (error) {
      refuse(socket, thrownAnswer(error));
      return hangUp(socket);
    }
    options.onUpgrade(await acceptUpgrade(request, socket, head), client);
  };
  http1.on('clientError', (_error, socket) => void socket.destroy());

  const http2 = createHttp2Server({}, (request, response) => {
    const session = request.stream.session;
    serve(request, response, session && visitors.get(session));
  });
  http2.on('sessionError', () => {});

  return {
    accept(connection, client, { isHttp2 }) {
      connection.on('error', () => {});
      open.add(connection);
      connection.once('close', () => open.delete(connection));
      const timer = setTimeout(() => connection.destroy(), requestTimeoutMs);
      timer.unref();
      const visitor: Visitor = { client, began: () => clearTimeout(timer) };
      connection.once('close', visitor.began);
      if (!isHttp2) {
        visitors.set(connection, visitor);
        http1.emit('connection', connection);
        return;
      }
      const begun = (session: ServerHttp2Session): void => {
        visitors.set(session, visitor);
        session.setTimeout(idleTimeoutMs, () => session.close());
        session.once('close', () => connection.destroy());
        connection.once('end', () => endSession(session));
      };
      http2.once('session', begun);
      http2.emit('connection', connection);
      http2.off('session', begun);
    },
    close() {
      for (const connection of open) connection.destroy();
    },
  };
}

/** The decoded path; undefined when it cannot be decoded. */
function pathOf(url: string): string | undefined {
  try {
    return decodeURIComponent(url.split(/[?#]/, 1)[0]!);
  } catch {
    return undefined;
  }
}

/** How long a refused client may take to read why. */
const LINGER_MS = 5_000;

/** End a connection that no server watches any more. */
function hangUp(socket: Duplex): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
  socket.once('close', () => clearTimeout(timer));
  socket.once('end', () => socket.destroy());
  socket.resume();
  if (!socket.writableEnded) socket.end();
}

function refuse(socket: Duplex, { status, headers, body }: Answer): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  socket.end(
    `HTTP/1.1 ${status} \r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body.toString()}`,
  );
}
