/**
 * Answers of the web API as values, and how they go out: headers and error shapes of Teleport's Proxy
 * (login-and-profile.md 1.2, 1.7).
 */
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { pipeline, Readable } from 'node:stream';
import { type ErrorCode, isTeleportError } from '../../errors.js';

export interface WebAnswer {
  status: number;
  headers: OutgoingHttpHeaders;
  body: string | Buffer;
  /** Takes one of few places until the answer has gone; `cut` is called when somebody else needs it. Gives it back. */
  place?: (cut: () => void) => () => void;
}

const SAFETY_HEADERS: OutgoingHttpHeaders = {
  'referrer-policy': 'strict-origin',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'SAMEORIGIN',
  'x-xss-protection': '1; mode=block',
};
const NO_CACHE_HEADERS: OutgoingHttpHeaders = {
  'cache-control': 'no-cache, no-store, must-revalidate',
  expires: '0',
  pragma: 'no-cache',
};
const JSON_TYPE = { 'content-type': 'application/json' };

const STATUS: Record<ErrorCode, number> = {
  NotFound: 404,
  BadParameter: 400,
  NotImplemented: 501,
  CompareFailed: 412,
  AccessDenied: 403,
  AlreadyExists: 409,
  LimitExceeded: 429,
  ConnectionProblem: 504,
  Protocol: 500,
};

export function json(value: unknown, status = 200): WebAnswer {
  return { status, headers: { ...NO_CACHE_HEADERS, ...JSON_TYPE }, body: JSON.stringify(value) };
}

export function plainText(body: string, status = 200): WebAnswer {
  return { status, headers: { ...NO_CACHE_HEADERS, 'content-type': 'text/plain; charset=utf-8' }, body };
}

export function errorAnswer(message: string, status: number): WebAnswer {
  const body = JSON.stringify({ error: { message } }, null, 4);
  return { status, headers: { ...NO_CACHE_HEADERS, ...JSON_TYPE }, body };
}

/** Anything thrown. An error that is not ours is a mistake of the program, and its text stays here. */
export function thrownAnswer(error: unknown): WebAnswer {
  if (!isTeleportError(error)) return errorAnswer('internal error', 500);
  return errorAnswer(error.message, STATUS[error.code]);
}

/** What the router says about a path that it does not know. */
export function pathNotFound(version: string): WebAnswer {
  const [core = '', preRelease = ''] = version.split('-', 2);
  const [major = 0, minor = 0, patch = 0] = core.split('.').map(Number);
  const proxyVersion = { major, minor, patch, preRelease, string: version };
  const body = JSON.stringify({ error: { message: 'path not found' }, fields: { proxyVersion } });
  return { status: 404, headers: JSON_TYPE, body };
}

export function redirect(location: string): WebAnswer {
  return { status: 302, headers: { location, 'content-type': 'text/html; charset=utf-8' }, body: '' };
}

export function send(response: ServerResponse | Http2ServerResponse, answer: WebAnswer): void {
  if (response.headersSent || response.writableEnded) return;
  response.writeHead(answer.status, {
    ...SAFETY_HEADERS,
    ...answer.headers,
    'content-length': Buffer.byteLength(answer.body),
  });
  const giveBack = answer.place?.(() => response.destroy());
  if (giveBack) response.once('close', giveBack);
  if (answer.body.length <= PIECE_BYTES || typeof answer.body === 'string') response.end(answer.body);
  else pipeline(Readable.from(piecesOf(answer.body)), response, () => {});
}

/** What TLS is given at once: whoever does not read makes us hold a copy of it. */
const PIECE_BYTES = 64 * 1024;

function* piecesOf(body: Buffer): Generator<Buffer> {
  for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
}
