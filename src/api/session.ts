/**
 * One HTTP/2 session at a time over a socket that the caller dials, in the shape in which the gRPC library wants it.
 * A session that has ended is replaced at the next call. No pings are sent: Teleport's servers hang up on clients that
 * ping more often than every minute, and answering theirs is Node's own business.
 *
 * A peer that refuses us after the handshake just closes TCP; the stream then ends without headers and without an error
 * (auth-grpc-and-routing.md 5). Such a stream is made to fail here, and `failure` keeps what the
 * connection died of.
 */

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionRequestOptions,
  connect as connectHttp2,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { TeleportError } from '../errors.js';
import { cutAfter } from '../net/hang-up.js';

/** What a caller hears whose certificate Auth does not take: it says nothing. */
export const CLOSED_WITHOUT_ANSWER = 'the Auth Service closed the connection without an answer';

export interface AuthSessionOptions {
  /** `:authority` of the requests: the hex name of the cluster. */
  authority: string;
  /** A socket on which the peer speaks HTTP/2: for TLS, with the handshake behind it. */
  connect: () => Promise<Duplex>;
  /** How long a connection that was left may take over its last streams. Default 30 s. */
  leaveTimeoutMs?: number;
}

/** Calls have ended by then; streams that go on forever begin anew on the next connection. */
const LEAVE_TIMEOUT_MS = 30_000;
/** How long `close` waits for calls under way. */
const CLOSE_TIMEOUT_MS = 1_000;

interface Line {
  session: ClientHttp2Session;
  socket: Duplex;
}

export class AuthSession {
  readonly authority: string;
  /** What the last connection died of, if it did. */
  failure: unknown;
  readonly #leaveTimeoutMs: number;
  readonly #connect: () => Promise<Duplex>;
  #line: Promise<Line> | undefined;
  #live: ClientHttp2Session | undefined;
  #closed = false;

  constructor({ authority, connect, leaveTimeoutMs = LEAVE_TIMEOUT_MS }: AuthSessionOptions) {
    this.#leaveTimeoutMs = leaveTimeoutMs;
    this.authority = `https://${authority}`;
    this.#connect = connect;
  }

  /** Called by the gRPC library for each call. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: Omit<ClientSessionRequestOptions, 'signal'>,
  ): Promise<ClientHttp2Stream> {
    const session = await this.open();
    const stream = session.request({ ...headers, ':method': method, ':path': path }, options);
    let answered = false;
    stream.once('response', () => {
      answered = true;
    });
    stream.once('close', () => {
      // The library waits for `error` or `response`; neither comes when TCP is closed under an open stream.
      if (!answered && stream.listenerCount('error') > 0) {
        stream.emit(
          'error',
          new TeleportError('ConnectionProblem', CLOSED_WITHOUT_ANSWER, {
            hint: 'It does so too when a certificate is not one of its cluster, or not any more: log in again with "tsh login".',
          }),
        );
      }
    });
    return stream;
  }

  /** Called by the gRPC library after each read; only pings would need it. */
  notifyResponseByteRead(): void {}

  /** The session, opened if there is none. @throws what `connect` throws */
  async open(): Promise<ClientHttp2Session> {
    if (this.#closed) throw new TeleportError('ConnectionProblem', 'the connection to the Auth Service is closed');
    if (this.#live?.closed || this.#live?.destroyed) this.#line = undefined;
    this.#line ??= this.#start();
    return (await this.#line).session;
  }

  /** The next call opens another session; this one ends with its last stream, or a while later: it may be dead. */
  leave(): void {
    const old = this.#line;
    this.#line = undefined;
    void old?.then(
      (line) => endLine(line, this.#leaveTimeoutMs),
      () => {},
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    const pending = this.#line;
    this.#line = undefined;
    const line = await pending?.catch(() => undefined);
    if (line === undefined || line.session.destroyed) return;
    await new Promise<void>((resolve) => {
      line.session.once('close', resolve);
      endLine(line, CLOSE_TIMEOUT_MS);
    });
  }

  #start(): Promise<Line> {
    this.failure = undefined;
    this.#live = undefined;
    const forget = (): void => {
      if (this.#line === started) this.#line = undefined;
    };
    const failed = (error: unknown): void => {
      this.failure ??= error;
      forget();
    };
    const started = this.#connect().then((socket) => {
      socket.on('error', failed);
      const session = connectHttp2(this.authority, { createConnection: () => socket });
      session.on('error', failed);
      session.on('goaway', forget);
      session.on('close', () => {
        forget();
        socket.destroy();
      });
      this.#live = session;
      return { session, socket };
    });
    started.catch(failed);
    return started;
  }
}

/** No new calls; those under way get a while. */
function endLine({ session, socket }: Line, ms: number): void {
  // Not the session: that waits for the peer's farewell, which never comes on a dead line.
  cutAfter(socket, ms);
  session.close();
}
