/**
 * The gRPC side of the Auth Service on connections whose TLS handshake somebody else has done: who calls is known from
 * the client certificate before the first byte of HTTP/2. Handlers throw our errors; the status is made here. Wire facts:
 * Teleport 18.3.0 as in auth-grpc-and-routing.md 5, and its gotchas for a Node server.
 */

import {
  constants,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import {
  Code,
  type ConnectRouter,
  createContextValues,
  type Interceptor,
  type StreamResponse,
} from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import { messageOf } from '../errors.js';
import { hostOf } from '../host-port.js';
import { ipOf, isLoopback, networkOf } from '../ip.js';
import { type Logger, silent } from '../log.js';
import { endSession } from '../net/end-session.js';
import { cutAfter } from '../net/hang-up.js';
import { createLimiter, type RateLimit } from '../net/rate-limit.js';
import { inTheNameOf } from '../slices.js';
import { type Caller, callerKey } from './caller.js';
import { JoinService } from './gen/authservice_pb.js';
import { TransportService } from './gen/transport_pb.js';
import { originOfBearer, sharedNameOf } from './known-as.js';
import { MessageTurns, type MessageTurnsOptions } from './message-turns.js';
import type { DescMethod, DescService } from './protobuf.js';
import { toConnectError } from './status.js';
import { supportedClient } from './version-gate.js';

export interface AuthHttp2ServerOptions {
  /** Registers the handlers. A method that the implementation leaves out answers `unknown method`. */
  routes: (router: ConnectRouter) => void;
  /** Our own version, in the header `version` of every answer that a handler gave. */
  version: string;
  /** Largest message that is read, whoever sends it. Default: by the class of the caller. */
  maxMessageBytes?: number;
  /** Calls at a time on one connection. Default 1000. */
  maxStreams?: number;
  /** How much of those with a certificate waits to be read. */
  unread?: MessageTurnsOptions;
  /** How often a network may call without a certificate, whatever it calls. */
  strangersRate?: RateLimit;
  log?: Logger;
}

export interface AuthHttp2Server extends AsyncDisposable {
  /**
   * Serve a connection on which `h2` was negotiated. The caller is fixed for its whole life.
   *
   * @returns ends it: no new calls, and a moment for those under way
   */
  accept(socket: Duplex, caller: Caller): () => void;
  /** Connections now open. */
  readonly connections: number;
  /** No new calls; those under way get `graceMs` (default 2000), then every connection is destroyed. */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Largest message that is read. A message is read before anybody can ask whether its sender may send it, at some 300 µs for
 * a hostile KiB, in which nobody else is served. A database of RDS with the authorities of all regions (`global-bundle.pem`)
 * has 165 KiB. What a host of another cluster says at most is its authorities (`auth/checked-authorities.ts`).
 */
const MOST_BYTES = {
  nobody: 4 * 1024,
  joining: 16 * 1024,
  passing: 64 * 1024,
  remote: 64 * 1024,
  user: 192 * 1024,
  host: 2 * 1024 * 1024,
};
/** Largest answer, as Teleport's. */
const MOST_ANSWER_BYTES = 4 * 1024 * 1024;

type CallerClass = keyof typeof MOST_BYTES;

/** Requests of their own length, whoever sends them: to join, and bytes on their way through the Proxy, which cost little to read. */
const JOIN = Object.values(JoinService.method).map(({ name }) => `/${JoinService.typeName}/${name}`);
const PASSING = `/${TransportService.typeName}/`;

function classOf({ bearer }: Caller, path: string): CallerClass {
  if (path.startsWith(PASSING)) return 'passing';
  // A Proxy passes on what others send.
  if (bearer?.role !== undefined && bearer.remote === undefined) return 'host';
  if (JOIN.includes(path)) return 'joining';
  if (bearer === undefined) return 'nobody';
  return bearer.role === undefined ? 'user' : 'remote';
}

/** Whose time it is that a call takes. */
const nameOf = ({ bearer, remoteAddr }: Caller): string =>
  bearer ? sharedNameOf(bearer) : `network ${networkOf(ipOf(remoteAddr) ?? remoteAddr)}`;

/** As many as there may be new connections (`net/crowd.ts`). */
const STRANGERS_RATE: RateLimit = { perMinute: 6_000, burst: 1_000 };

/** Characters of a version that is not supported, in the log. */
const MOST_VERSION = 64;

/** How long calls under way may take on a connection that is being ended. */
const LAST_CALLS_MS = 200;

/** No new calls; those under way get a while. Resolves when the session is closed. */
function endWithin(session: ServerHttp2Session, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (session.destroyed) return resolve();
    cutAfter(session, ms);
    session.once('close', resolve);
    session.close();
  });
}

/** A server without a listener: give it sockets with `accept`. */
export function createAuthHttp2Server(options: AuthHttp2ServerOptions): AuthHttp2Server {
  const { log = silent, maxMessageBytes, maxStreams = 1000, version } = options;
  const callers = new WeakMap<ServerHttp2Session, Caller>();
  const sessions = new Set<ServerHttp2Session>();
  const known: Known = { services: new Set(), streaming: new Set() };
  const turns = new MessageTurns(options.unread);
  const rate = new StrangersRate(options.strangersRate ?? STRANGERS_RATE);
  const callerOf = (request: Http2ServerRequest): Caller =>
    callers.get(request.stream.session as ServerHttp2Session) ?? { remoteAddr: '' };
  const mostBytes = (kind: CallerClass): number => maxMessageBytes ?? MOST_BYTES[kind];
  const adapter = (kind: CallerClass) =>
    connectNodeAdapter({
      routes: (router) => options.routes(onlyWhatThereIs(router, known)),
      connect: false,
      grpcWeb: false,
      acceptCompression: [],
      readMaxBytes: mostBytes(kind),
      writeMaxBytes: maxMessageBytes ?? MOST_ANSWER_BYTES,
      interceptors: [statusOf(log), sayVersion(version)],
      contextValues: (request) => createContextValues().set(callerKey, callerOf(request as Http2ServerRequest)),
      fallback: (request, response) =>
        answerUnknown(request as Http2ServerRequest, response as Http2ServerResponse, known),
    });
  const classes = Object.keys(MOST_BYTES) as CallerClass[];
  const grpc = Object.fromEntries(classes.map((kind) => [kind, adapter(kind)])) as Record<
    CallerClass,
    ReturnType<typeof adapter>
  >;
  const server = createServer({ settings: { maxConcurrentStreams: maxStreams } }, (request, response) => {
    response.on('error', () => {});
    request.on('error', () => {});
    if (!rightKind(request, response)) return;
    const caller = callerOf(request);
    const tooOften = rate.refusal(caller);
    if (tooOften !== undefined) return refuseCall(request, response, Code.ResourceExhausted, tooOften);
    if (!isSupported(request, log)) return endSession(request.stream.session);
    countBusy(request, response, caller);
    endWithAnswer(request);
    const kind = classOf(caller, request.url);
    const { bearer } = caller;
    if (bearer && !known.streaming.has(request.url)) turns.keep(request, originOfBearer(bearer), mostBytes(kind));
    inTheNameOf(nameOf(caller), () => grpc[kind](request, inTeleportsWords(response)));
  });
  server.on('sessionError', () => {});

  const accept = (socket: Duplex, caller: Caller): (() => void) => {
    let end = (): void => void socket.destroy();
    // Go clients say goodbye in a way that nghttp2 calls a protocol error; it means nothing.
    socket.on('error', (error) => log.debug('Auth connection ended', { error }));
    const began = (session: ServerHttp2Session): void => {
      callers.set(session, caller);
      sessions.add(session);
      end = () => void endWithin(session, LAST_CALLS_MS);
      session.on('error', (error) => log.debug('Auth session ended', { error }));
      // A half-open socket does not end its session by itself.
      socket.once('end', () => endSession(session));
      session.once('close', () => {
        sessions.delete(session);
        socket.destroy();
      });
    };
    // `session` is emitted before emit() returns, or not at all: the next socket must not meet this listener.
    server.once('session', began);
    server.emit('connection', socket);
    server.off('session', began);
    return () => end();
  };

  const close = async ({ graceMs = 2_000 } = {}): Promise<void> => {
    await Promise.all([...sessions].map((session) => endWithin(session, graceMs)));
  };
  return {
    accept,
    close,
    get connections() {
      return sessions.size;
    },
    [Symbol.asyncDispose]: () => close(),
  };
}

/** gRPC library's own texts that have a counterpart in Teleport, put right in the trailers. */
function inTeleportsWords(response: Http2ServerResponse): Http2ServerResponse {
  const addTrailers = response.addTrailers.bind(response);
  response.addTrailers = (trailers) => {
    const message = decodeURIComponent(String(trailers['grpc-message'] ?? ''));
    const tooLarge = /^message size (\d+) is larger than configured readMaxBytes (\d+)$/.exec(message);
    if (tooLarge) {
      const text = `grpc: received message larger than max (${tooLarge[1]} vs. ${tooLarge[2]})`;
      addTrailers({ ...trailers, 'grpc-message': encodeURIComponent(text) });
    } else addTrailers(trailers);
  };
  return response;
}

/**
 * A whole request waits for us, until its answer begins. How long the client takes to read that is its own time, and a stream
 * that was reset closes before its request has ended.
 */
function countBusy(request: Http2ServerRequest, response: Http2ServerResponse, { busy }: Caller): void {
  if (busy === undefined) return;
  let isOver = false;
  let answered = () => {};
  const over = (): void => {
    isOver = true;
    answered();
  };
  request.once('end', () => {
    if (!isOver) answered = busy();
  });
  response.once('close', over);
  const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => Http2ServerResponse;
  response.writeHead = (...head: unknown[]) => {
    over();
    return writeHead(...head);
  };
}

/** Whose answer is given before the message is whole could keep what has come of it here as long as he likes. */
function endWithAnswer({ stream }: Http2ServerRequest): void {
  const close = () => {
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  };
  // The trailers leave first.
  stream.once('wantTrailers', () => setImmediate(close));
}

function isSupported(request: Http2ServerRequest, log: Logger): boolean {
  const announced = request.headers.version;
  if (typeof announced !== 'string' || supportedClient(announced)) return true;
  log.warn('Client version is not supported', { version: announced.slice(0, MOST_VERSION) });
  return false;
}

function rightKind(request: Http2ServerRequest, response: Http2ServerResponse): boolean {
  const status =
    request.method !== 'POST'
      ? 405
      : (request.headers['content-type'] ?? '').startsWith('application/grpc')
        ? undefined
        : 415;
  if (status === undefined) return true;
  response.writeHead(status, { 'content-type': 'application/grpc', 'grpc-status': '13' });
  response.end();
  return false;
}

interface Known {
  services: Set<string>;
  /** Paths of methods whose requests are more than one message. */
  streaming: Set<string>;
}

function answerUnknown(request: Http2ServerRequest, response: Http2ServerResponse, { services }: Known): void {
  const [, service = '', method = ''] = request.url.split('/', 3);
  const text = services.has(service) ? `unknown method ${method} for service ${service}` : `unknown service ${service}`;
  refuseCall(request, response, Code.Unimplemented, text);
}

function refuseCall(request: Http2ServerRequest, response: Http2ServerResponse, status: Code, text: string): void {
  request.resume();
  // One frame of headers that ends the stream: with an empty body after it, grpc-go misses the trailers and says Internal.
  response.stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(status),
      'grpc-message': encodeURIComponent(text),
    },
    { endStream: true },
  );
}

/** Counts the calls of those who show no certificate; who is on this machine can keep it busy in other ways. */
class StrangersRate {
  readonly #take: (address: string) => void;

  constructor(limit: RateLimit) {
    this.#take = createLimiter(limit, () => performance.now());
  }

  /** @returns what the caller hears; undefined when the call is none too many */
  refusal({ bearer, remoteAddr }: Caller): string | undefined {
    const address = hostOf(remoteAddr);
    if (bearer !== undefined || isLoopback(address)) return undefined;
    try {
      this.#take(address);
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  }
}

/** The library would register every method of a service; we want the missing ones to be unknown, as Go's are. */
function onlyWhatThereIs(router: ConnectRouter, { services, streaming }: Known): ConnectRouter {
  const service = (desc: DescService, implementation: Record<string, unknown>, routerOptions?: object) => {
    services.add(desc.typeName);
    for (const method of desc.methods as DescMethod[]) {
      if (method.methodKind !== 'unary' && method.methodKind !== 'server_streaming') {
        streaming.add(`/${desc.typeName}/${method.name}`);
      }
      const handler = implementation[method.localName];
      if (typeof handler === 'function') {
        router.rpc(method as never, handler.bind(implementation) as never, routerOptions);
      }
    }
    return wrapped;
  };
  const wrapped = { ...router, service: service as ConnectRouter['service'] };
  return wrapped;
}

function sayVersion(version: string): Interceptor {
  return (next) => async (request) => {
    const response = await next(request);
    response.header.set('version', version);
    return response;
  };
}

function statusOf(log: Logger): Interceptor {
  return (next) => async (request) => {
    const failed = (error: unknown): never => {
      const status = toConnectError(error);
      if (status.message.endsWith('internal error')) log.error('Call failed', { method: request.method.name, error });
      throw status;
    };
    const response = await next(request).catch(failed);
    return response.stream ? { ...response, message: rethrow(response, failed) } : response;
  };
}

async function* rethrow(response: StreamResponse, failed: (error: unknown) => never) {
  try {
    yield* response.message;
  } catch (error) {
    failed(error);
  }
}
