/**
 * Recorded gRPC calls, `test/wire/grpc/*.hex`: what the real tsh or tctl 18.3.0 sent, and what a real Auth Service 18.3.0
 * answered to it. Either half can be played: `sendRecorded` is the client, `startRecordedAuth` the server.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type ClientHttp2Session, createServer, type Http2Session, type IncomingHttpHeaders } from 'node:http2';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';

export interface RecordedCall {
  /** File without `.hex`, such as `ListResources.db-ls`. */
  name: string;
  /** `/proto.AuthService/Ping`. */
  path: string;
  /** Metadata of the client. */
  metadata: Record<string, string>;
  request: Buffer;
  /** One a message of the stream. */
  responses: Buffer[];
  status: number;
}

const FOLDER = new URL('../wire/grpc/', import.meta.url);

export function recordedCall(name: string): RecordedCall {
  const text = readFileSync(new URL(`${name}.hex`, FOLDER), 'utf8');
  const bytesOf = (side: string) =>
    [...text.matchAll(new RegExp(`^${side} (\\S+)$`, 'gm'))].map(([, hex]) =>
      Buffer.from(hex === 'empty' ? '' : hex!, 'hex'),
    );
  return {
    name,
    path: /^# method: (\S+)$/m.exec(text)![1]!,
    metadata: Object.fromEntries([...text.matchAll(/^# {3}([a-z-]+): (.+)$/gm)].map(([, key, value]) => [key, value])),
    request: bytesOf('request')[0]!,
    responses: bytesOf('response'),
    status: Number(/^status (\d+)/m.exec(text)![1]),
  };
}

export function recordedNames(): string[] {
  return readdirSync(FOLDER).flatMap((file) => (file.endsWith('.hex') ? [file.slice(0, -4)] : []));
}

export interface Answer {
  headers: IncomingHttpHeaders;
  status: number;
  /** Decoded `grpc-message`. */
  text: string;
  messages: Buffer[];
}

/** Send a call as it was recorded; `request` replaces the message. */
export async function sendRecorded(
  session: ClientHttp2Session,
  call: RecordedCall,
  { request = call.request }: { request?: Uint8Array } = {},
): Promise<Answer> {
  const stream = session.request({ ':method': 'POST', ':path': call.path, ...call.metadata });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (more) => (trailers = more));
  const answered = once(stream, 'response') as Promise<[IncomingHttpHeaders]>;
  stream.end(framed(request));
  const [[headers]] = await Promise.all([answered, once(stream, 'close')]);
  const end = { ...headers, ...trailers };
  return {
    headers,
    status: Number(end['grpc-status']),
    text: decodeURIComponent(String(end['grpc-message'] ?? '')),
    messages: unframed(Buffer.concat(chunks)),
  };
}

export interface RecordedAuth extends AsyncDisposable {
  /** For `openAuthClient`: no TLS. */
  connect(): Promise<Duplex>;
  /** The calls that were made, in order. */
  readonly seen: { path: string; request: Buffer }[];
}

/** Answers each method with the bytes of the recording; what was not recorded as grpc-go answers an unknown method. */
export async function startRecordedAuth(names: readonly string[]): Promise<RecordedAuth> {
  const calls = new Map(names.map(recordedCall).map((call) => [call.path, call]));
  const seen: RecordedAuth['seen'] = [];
  const sessions = new Set<Http2Session>();
  const server = createServer();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', async (stream, headers) => {
    const path = String(headers[':path']);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    seen.push({ path, request: unframed(Buffer.concat(chunks))[0] ?? Buffer.alloc(0) });
    const call = calls.get(path);
    if (call === undefined) {
      stream.respond({ 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      return;
    }
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(call.status), 'grpc-message': '' }));
    stream.respond({ 'content-type': 'application/grpc', version: '18.3.0' }, { waitForTrailers: true });
    stream.end(Buffer.concat(call.responses.map(framed)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    seen,
    async connect() {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function unframed(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}
