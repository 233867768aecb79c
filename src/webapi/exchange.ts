/**
 * One call of a Proxy's web API: JSON over HTTP over sockets that `net` dials, with bounds on time and length. Whatever
 * comes back that is not an answer is one error that names the address.
 */
import { Agent, request as httpRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { inSeconds, isTeleportError, messageOf, nodeCodeOf, TeleportError } from '../errors.js';
import { wholeBody } from '../net/whole-body.js';
import { webApiError } from './error.js';

export interface Exchange {
  /** `host:port`, as it was typed or announced. */
  address: string;
  method: string;
  path: string;
  body: unknown;
}

export interface ExchangeOptions {
  headers?: Readonly<Record<string, string>> | undefined;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  userAgent: string;
}

export interface HttpAnswer {
  status: number;
  body: string;
}

/** Longest answer. Our own limit; a login answer of a large trust has some 10 KiB. */
const MOST_BYTES = 4 * 1024 * 1024;

/** One connection, kept for calls that follow each other. */
export class TlsAgent extends Agent {
  readonly #dial: () => Promise<Duplex>;

  constructor(dial: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 });
    this.#dial = dial;
  }

  override createConnection(_options: unknown, created?: (error: Error | null, stream: Duplex) => void): undefined {
    this.#dial().then(
      (socket) => created?.(null, socket),
      (error: Error) => created?.(error, undefined as unknown as Duplex),
    );
  }
}

/** @throws TeleportError `ConnectionProblem` naming the call; the signal's reason when it is aborted */
export async function exchange(agent: Agent, call: Exchange, options: ExchangeOptions): Promise<HttpAnswer> {
  const { address, method, path } = call;
  const late = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal ? AbortSignal.any([late, options.signal]) : late;
  try {
    return await send(agent, call, { ...options, signal });
  } catch (error) {
    options.signal?.throwIfAborted();
    const verb = `${method[0]}${method.slice(1).toLowerCase()}`;
    const why = late.aborted ? `no answer within ${inSeconds(options.timeoutMs)}` : said(error);
    throw new TeleportError('ConnectionProblem', `${verb} "https://${address}${path}": ${why}`, { cause: error });
  }
}

function send(agent: Agent, call: Exchange, options: ExchangeOptions): Promise<HttpAnswer> {
  const { address, method, path, body } = call;
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise<HttpAnswer>((resolve, reject) => {
    const request = httpRequest(
      {
        agent,
        method,
        path,
        ...(options.signal ? { signal: options.signal } : {}),
        headers: {
          ...options.headers,
          Host: address,
          'User-Agent': options.userAgent,
          ...(text === undefined
            ? {}
            : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        },
      },
      (response) =>
        void wholeBody(response, MOST_BYTES, 'the answer').then(
          (read) => resolve({ status: response.statusCode ?? 0, body: read }),
          reject,
        ),
    );
    request.on('error', (error) => {
      // A kept connection that the server closed while a person typed: the request never arrived.
      if (request.reusedSocket && nodeCodeOf(error) === 'ECONNRESET') resolve(send(agent, call, options));
      else reject(error);
    });
    request.end(text);
  });
}

/** Node's words for an answer that broke off or is not HTTP, in words for people. */
function said(error: unknown): string {
  if (isTeleportError(error)) return error.message;
  const code = nodeCodeOf(error) ?? '';
  if (code === 'ECONNRESET') return 'the connection was closed before the whole answer had come';
  if (code === 'HPE_HEADER_OVERFLOW') return 'the answer is too long';
  if (code.startsWith('HPE_')) return 'the answer is not HTTP';
  return messageOf(error);
}

/**
 * The object in an answer.
 *
 * @param url  without scheme, for errors
 * @throws TeleportError with the server's own text for a status that is none of success, `Protocol` when it is not an object
 */
export function parseJson<T>({ status, body }: HttpAnswer, url: string): T {
  if (status < 200 || status > 299) throw webApiError(status, body, url);
  try {
    const value: unknown = JSON.parse(body);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value as T;
  } catch {
    // said below
  }
  throw new TeleportError('Protocol', `https://${url} answered with something that is not a JSON object`, {
    hint: 'Is this the address of a Teleport proxy?',
  });
}
