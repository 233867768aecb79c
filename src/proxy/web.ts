/**
 * The Proxy's web API and its few pages, over HTTP/1.1 and HTTP/2, on connections whose TLS the router has ended. Knows
 * HTTP; the paths are in `web/routes.ts`. Facts: login-and-profile.md 1, 2, 4.
 */

import { createServer, type Server as Http1Server, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { isTeleportError, messageOf } from '../errors.js';
import type { Logger } from '../log.js';
import type { Guest } from '../net/crowd.js';
import { endSession } from '../net/end-session.js';
import { hangUp } from '../net/hang-up.js';
import type { SocketEndpoint } from '../net/proxy-protocol.js';
import { createLimiter, type RateLimit } from '../net/rate-limit.js';
import { acceptUpgrade, UPGRADE_PATH } from '../net/websocket.js';
import { pathNotFound, send, thrownAnswer, type WebAnswer } from './web/answer.js';
import { readBody, readForm } from './web/body.js';
import { type LimitClass, RATE_LIMITS } from './web/limits.js';
import { troublePage } from './web/pages.js';
import { findRoute, type WebContext, type WebRoute } from './web/routes.js';

export interface WebServerOptions extends WebContext {
  /** A connection inside an upgraded one: its first bytes are a ClientHello again. */
  onUpgrade: (connection: Duplex, client: SocketEndpoint, guest: Guest) => void;
  log: Logger;
  /** Instead of Teleport's figures. */
  rateLimits?: Partial<Record<LimitClass, RateLimit>>;
  /** Idle connections are cut. Default 5 min. */
  idleTimeoutMs?: number;
}

/** Requests at a time on one HTTP/2 connection. */
const MOST_STREAMS = 100;

/** Who is behind a connection. */
interface Visitor {
  client: SocketEndpoint;
  guest: Guest;
}

type Request = IncomingMessage | Http2ServerRequest;

export class WebServer {
  readonly #options: WebServerOptions;
  readonly #log: Logger;
  readonly #idleTimeoutMs: number;
  /** Counts a request of the class, or refuses it. */
  readonly #take: Record<LimitClass, (address: string) => void>;
  readonly #visitors = new WeakMap<object, Visitor>();
  readonly #open = new Set<Duplex>();
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;

  constructor(options: WebServerOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#idleTimeoutMs = options.idleTimeoutMs ?? 300_000;
    const limits = { ...RATE_LIMITS, ...options.rateLimits };
    this.#take = {
      normal: createLimiter(limits.normal, () => performance.now()),
      high: createLimiter(limits.high, () => performance.now()),
      any: createLimiter(limits.any, () => performance.now()),
    };
    this.#http1 = this.#createHttp1();
    this.#http2 = this.#createHttp2();
  }

  accept(connection: Duplex, visitor: Visitor, { isHttp2 }: { isHttp2: boolean }): void {
    connection.on('error', () => {});
    this.#open.add(connection);
    connection.once('close', () => this.#open.delete(connection));
    if (!isHttp2) {
      this.#visitors.set(connection, visitor);
      this.#http1.emit('connection', connection);
      return;
    }
    const begun = (session: ServerHttp2Session): void => {
      this.#visitors.set(session, visitor);
      session.setTimeout(this.#idleTimeoutMs, () => session.close());
      session.once('close', () => connection.destroy());
      connection.once('end', () => endSession(session));
    };
    this.#http2.once('session', begun);
    this.#http2.emit('connection', connection);
    this.#http2.off('session', begun);
  }

  /** Cut every connection. */
  close(): void {
    for (const connection of this.#open) connection.destroy();
  }

  #createHttp1(): Http1Server {
    const server = createServer({ keepAlive: true, noDelay: false }, (request, response) => {
      this.#serve(request, response, this.#visitors.get(request.socket)!);
    });
    server.timeout = this.#idleTimeoutMs;
    server.keepAliveTimeout = this.#idleTimeoutMs;
    server.on('upgrade', (request, socket, head) => {
      const visitor = this.#visitors.get(socket);
      if (!visitor) return void socket.destroy();
      (socket as { setTimeout?: (ms: number) => void }).setTimeout?.(0);
      void this.#upgrade(request, socket, head, visitor).catch((error: unknown) => {
        this.#log.debug('A connection upgrade was refused.', { from: visitor.client.address, error: messageOf(error) });
        dismiss(socket);
      });
    });
    server.on('clientError', (_error, socket) => void socket.destroy());
    return server;
  }

  #createHttp2(): Http2Server {
    const server = createHttp2Server({ settings: { maxConcurrentStreams: MOST_STREAMS } }, (request, response) => {
      const visitor = this.#visitors.get(request.stream.session!);
      if (visitor) this.#serve(request, response, visitor);
    });
    return server.on('sessionError', () => {});
  }

  #serve(request: Request, response: ServerResponse | Http2ServerResponse, visitor: Visitor): void {
    request.on('error', () => {});
    response.on('error', () => {});
    const reply = async (): Promise<void> => {
      // From here on the client waits for us, and not we for the client.
      const turn = { done: () => {} };
      const isWhole = () => {
        turn.done = visitor.guest.busy();
      };
      if (!mayHaveBody(request)) isWhole();
      try {
        const result = await this.#answer(request, visitor.client.address, isWhole);
        // A body that nobody read would stand in the way of the next request.
        request.resume();
        send(response, result);
      } finally {
        turn.done();
      }
    };
    reply().catch((error: unknown) => this.#log.error('A web answer could not be sent.', { error: messageOf(error) }));
  }

  async #answer(request: Request, address: string, isWhole: () => void): Promise<WebAnswer> {
    let route: WebRoute | undefined;
    const whole = <T>(body: T): T => {
      isWhole();
      return body;
    };
    try {
      this.#take.any(address);
      const path = pathOf(request.url ?? '/');
      const found = path === undefined ? undefined : findRoute(request.method ?? '', path);
      if (path === undefined || !found) return pathNotFound(this.#options.settings.version);
      route = found.route;
      if (route.limit) this.#take[route.limit](address);
      return await route.handle(
        {
          method: request.method ?? '',
          path,
          params: found.params,
          headers: request.headers,
          address,
          userAgent: String(request.headers['user-agent'] ?? ''),
          host: String(request.headers[':authority'] ?? request.headers.host ?? ''),
          body: async () => whole(await readBody(request)),
          form: async () => whole(await readForm(request)),
        },
        this.#options,
      );
    } catch (error) {
      if (!isTeleportError(error))
        this.#log.error('A web request failed.', { path: route?.path, error: messageOf(error) });
      const answer = thrownAnswer(error);
      return route?.isPage ? troublePage(answer.status, this.#options.settings.clusterName) : answer;
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, { client, guest }: Visitor): Promise<void> {
    try {
      this.#take.any(client.address);
      const path = pathOf(request.url ?? '');
      if (request.method !== 'GET' || path === undefined || path.replace(/^\/v1/, '') !== UPGRADE_PATH) {
        refuse(socket, pathNotFound(this.#options.settings.version));
        return dismiss(socket);
      }
      this.#take.high(client.address);
    } catch (error) {
      refuse(socket, thrownAnswer(error));
      return dismiss(socket);
    }
    this.#options.onUpgrade(await acceptUpgrade(request, socket, head), client, guest);
  }
}

/** Otherwise the head is the whole request. */
function mayHaveBody({ method, headers }: Request): boolean {
  const isWithout = method === 'GET' || method === 'HEAD';
  return !isWithout || headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Longer than any path that we have, its names and tokens included. Our own limit. */
const MOST_PATH_CHARACTERS = 512;

/** The decoded path; undefined when it cannot be decoded, and when it is too long to be one of ours. */
function pathOf(url: string): string | undefined {
  const end = url.search(/[?#]/);
  const path = end < 0 ? url : url.slice(0, end);
  if (path.length > MOST_PATH_CHARACTERS) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** End a connection that no server watches any more. */
function dismiss(socket: Duplex): void {
  socket.once('end', () => socket.destroy());
  hangUp(socket);
}

function refuse(socket: Duplex, { status, headers, body }: WebAnswer): void {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\r\n`);
  socket.end(
    `HTTP/1.1 ${status} \r\n${lines.join('')}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body.toString()}`,
  );
}
