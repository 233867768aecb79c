/** The body of a request, JSON or a form: bounded in size and time. Rules: login-and-profile.md 1.7 ("Body reader"). */
import type { IncomingMessage } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import { messageOf, TeleportError, TimedOut } from '../../errors.js';

/** Largest body taken: host certificates and passwords are far smaller. Our own limit. */
const MAX_BODY_BYTES = 64 * 1024;
const BODY_TIMEOUT_MS = 15_000;

/** Members of a JSON object, found without regard to case as Go's reader does. */
export interface Body {
  /** A string, or '' when absent or null. @throws TeleportError `BadParameter` for another type */
  text(name: string): string;
  /** Base64 of bytes; undefined when absent, null or empty. */
  bytes(name: string): Buffer | undefined;
  integer(name: string): bigint;
  flag(name: string): boolean;
  texts(name: string): string[];
}

/** @throws TeleportError `BadParameter`, `LimitExceeded` (too large), `ConnectionProblem` (too slow, or cut off) */
export async function readBody(request: IncomingMessage | Http2ServerRequest): Promise<Body> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new TeleportError('BadParameter', 'invalid request');
  const text = (await collect(request)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new TeleportError('BadParameter', `request: ${messageOf(error)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('the body is not an object');
  const members = new Map(Object.entries(value).map(([name, member]) => [name.toLowerCase(), member as unknown]));
  return bodyOf((name) => members.get(name.toLowerCase()) ?? undefined);
}

/** What a form of HTML sends. @throws TeleportError as `readBody` */
export async function readForm(request: IncomingMessage | Http2ServerRequest): Promise<URLSearchParams> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(type)) {
    throw new TeleportError('BadParameter', 'invalid request');
  }
  return new URLSearchParams((await collect(request)).toString('utf8'));
}

function bodyOf(member: (name: string) => unknown): Body {
  const text = (name: string): string => {
    const value = member(name) ?? '';
    if (typeof value !== 'string') throw wrong(`${name} is not a string`);
    return value;
  };
  return {
    text,
    bytes(name) {
      const value = text(name);
      if (value === '') return undefined;
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value) || value.length % 4 !== 0) throw wrong(`${name} is not base64`);
      return Buffer.from(value, 'base64');
    },
    integer(name) {
      const value = member(name) ?? 0;
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrong(`${name} is not an integer`);
      // A field of the message that it goes into has 64 bits.
      if (Math.abs(value) >= 2 ** 63) throw wrong(`${name} is out of range`);
      return BigInt(value);
    },
    flag: (name) => member(name) === true,
    texts(name) {
      const value = member(name) ?? [];
      if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
        throw wrong(`${name} is not a list`);
      return value;
    },
  };
}

function collect(request: IncomingMessage | Http2ServerRequest): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const fail = (error: TeleportError): void => {
      clearTimeout(timer);
      request.off('data', onData);
      request.resume();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) fail(new TeleportError('LimitExceeded', 'the request body is too large'));
      else chunks.push(chunk);
    };
    const cut = (): void => fail(new TeleportError('ConnectionProblem', 'the request body was cut off'));
    const timer = setTimeout(() => {
      fail(new TimedOut('whole request body', BODY_TIMEOUT_MS));
    }, BODY_TIMEOUT_MS);
    timer.unref();
    request.on('data', onData);
    request.once('error', cut);
    request.once('aborted', cut);
    request.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
  });
}

function wrong(what: string): TeleportError {
  return new TeleportError('BadParameter', `request: ${what}`);
}
