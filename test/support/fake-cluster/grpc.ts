/** gRPC over HTTP/2 on connections that are given to it (PROTOCOL-HTTP2 of gRPC): one request, one answer or a stream. */
import { createServer, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { decode, encode, type Message, type Table } from './protobuf.js';

/** Thrown by a method: the status that the caller gets. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Numbers of statuses. */
export const STATUS = {
  unknown: 2,
  invalidArgument: 3,
  notFound: 5,
  permissionDenied: 7,
  unimplemented: 12,
  unavailable: 14,
};

export type Method = (request: Buffer, signal: AbortSignal) => AsyncGenerator<Buffer>;
/** `/package.Service/Method` → what answers it. */
export type Methods = Readonly<Record<string, Method>>;

type Answers<Answer> = Answer | Promise<Answer> | AsyncGenerator<Answer>;

/** A method from the tables of its messages. */
export function method<Request extends Table, Answer extends Table>(
  request: Request,
  answer: Answer,
  handle: (request: Message<Request>, signal: AbortSignal) => Answers<Message<Answer>>,
): Method {
  return async function* (bytes, signal) {
    const answers = handle(decode(request, bytes), signal);
    if (Symbol.asyncIterator in answers) for await (const one of answers) yield encode(answer, one);
    else yield encode(answer, await answers);
  };
}

export interface GrpcServer {
  /** A connection on which `h2` was agreed. */
  accept(socket: Duplex): void;
  /** Every connection ends. */
  close(): void;
}

export function grpcServer(methods: Methods): GrpcServer {
  const sessions = new Set<Http2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session.on('error', () => {}).once('close', () => sessions.delete(session)));
  });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => void serve(stream, headers, methods));
  return {
    accept: (socket) => void server.emit('connection', socket),
    close() {
      for (const session of sessions) session.destroy();
    },
  };
}

async function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: Methods): Promise<void> {
  const gone = new AbortController();
  stream.on('error', () => {}).once('close', () => gone.abort());
  let end: { status: number; message: string } = { status: 0, message: '' };
  stream.on('wantTrailers', () =>
    stream.sendTrailers({ 'grpc-status': String(end.status), 'grpc-message': encodeURIComponent(end.message) }),
  );
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    stream.respond({ 'content-type': 'application/grpc', version: '18.3.0' }, { waitForTrailers: true });
    const path = String(headers[':path']);
    const answer = methods[path];
    if (answer === undefined) throw new Refusal(STATUS.unimplemented, `unknown method ${path}`);
    for await (const message of answer(Buffer.concat(chunks).subarray(PREFIX_BYTES), gone.signal)) {
      stream.write(framed(message));
    }
  } catch (error) {
    end = { status: error instanceof Refusal ? error.status : STATUS.unknown, message: (error as Error).message };
  }
  if (!stream.destroyed) stream.end();
}

/** Before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
