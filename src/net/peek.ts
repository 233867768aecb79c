/** The first bytes of a connection, looked at and put back, so that a TLS or HTTP server can be given the socket whole. */
import type { Duplex } from 'node:stream';
import { TeleportError, TimedOut } from '../errors.js';
import { type ClientHello, MOST_CLIENT_HELLO_RECORD_BYTES, parseClientHello } from './client-hello.js';

export interface PeekOptions {
  /** How many bytes are needed; or, until when to read on. */
  bytes?: number;
  until?: (bytes: Buffer) => boolean;
  /** Give up with more than this unread. Default 64 KiB. */
  mostBytes?: number;
  timeoutMs: number;
  /** Named when it does not come. Default `first bytes of the connection`. */
  awaited?: string;
}

/**
 * Wait for first bytes. The socket holds all of them afterwards and waits for its reader.
 *
 * @returns at least the bytes asked for; what came with them is there too
 * @throws TeleportError `ConnectionProblem` when they do not come in time or the connection ends; what `until` throws
 */
export function peek(socket: Duplex, options: PeekOptions): Promise<Buffer> {
  const { bytes = 1, until = (seen: Buffer) => seen.length >= bytes, mostBytes = 64 * 1024, timeoutMs } = options;
  const { awaited = 'first bytes of the connection' } = options;
  return new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    const settle = (act: () => void) => {
      clearTimeout(timer);
      socket.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
      act();
    };
    const fail = (error: unknown) => settle(() => reject(error));
    const onEnd = () => fail(new TeleportError('ConnectionProblem', 'the connection ended before its first bytes'));
    const onError = (error: Error) => {
      fail(new TeleportError('ConnectionProblem', 'the connection broke before its first bytes', { cause: error }));
    };
    // `readable`, not `data`: a stream that was read this way flows again for whoever listens next.
    const onReadable = () => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
      try {
        if (until(seen)) {
          settle(() => {
            socket.unshift(seen);
            resolve(seen);
          });
        } else if (seen.length > mostBytes) {
          fail(new TeleportError('LimitExceeded', 'too many bytes before the connection could be understood'));
        }
      } catch (error) {
        fail(error);
      }
    };
    const timer = setTimeout(() => fail(new TimedOut(awaited, timeoutMs)), timeoutMs);
    if (socket.destroyed || socket.readableEnded) onEnd();
    else socket.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
  });
}

/** Peek at a whole ClientHello. @throws TeleportError `Protocol` when it is none, `ConnectionProblem` when it does not come */
export async function peekClientHello(socket: Duplex, { timeoutMs }: { timeoutMs: number }): Promise<ClientHello> {
  let hello: ClientHello | undefined;
  await peek(socket, {
    timeoutMs,
    awaited: 'whole ClientHello',
    mostBytes: MOST_CLIENT_HELLO_RECORD_BYTES + 64 * 1024,
    until(bytes) {
      const parsed = parseClientHello(bytes);
      if (parsed.complete) hello = parsed;
      return parsed.complete;
    },
  });
  return hello!;
}
