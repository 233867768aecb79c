/**
 * Answers that no Auth Service gives: each becomes one of our errors in time, and what is unknown is passed over.
 * Tests: src/api/client.ts, src/api/session.ts, src/api/status.ts
 */
import { once } from 'node:events';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { afterEach, expect, test } from '@jest/globals';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import { PingResponseSchema } from '../../src/api/gen/authservice_pb.js';

let client: AuthClient | undefined;
let server: Server | undefined;
const sockets = new Set<Socket>();

afterEach(async () => {
  await client?.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((done) => (server ? server.close(done) : done(undefined)));
  client = server = undefined;
});

async function against(listening: Server, timeoutMs = 60_000): Promise<AuthClient> {
  server = listening;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  client = openAuthClient({
    authority: 'peer',
    version: '18.3.0',
    defaultTimeoutMs: timeoutMs,
    connect: async () => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    },
  });
  return client;
}

/** HTTP/2 whose every answer is written by hand. */
const http2 = (answer: (stream: ServerHttp2Stream) => void): Server =>
  createHttp2Server().on('stream', (stream) => {
    stream.on('error', () => {});
    answer(stream);
  }) as unknown as Server;

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const framed = (message: Uint8Array, length = message.length) => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
};
const PING = Buffer.from(
  toBinary(PingResponseSchema, create(PingResponseSchema, { clusterName: 'peer', serverVersion: '18.3.0' })),
);
const NO_ANSWER = 'the Auth Service closed the connection without an answer';

/** What a web server or a balancer answers. */
const http = (status: number, body: string) => (stream: ServerHttp2Stream) => {
  stream.respond({ ':status': status, 'content-type': 'text/html' });
  stream.end(body);
};

/** A gRPC answer: these bytes, then this status. */
const grpc =
  (bytes: Buffer, trailers: Record<string, string> = { 'grpc-status': '0' }) =>
  (stream: ServerHttp2Stream) => {
    stream.respond(GRPC, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end(bytes);
  };

/** What to be told: the code and the text. */
type Expected = [code: string, text: string | RegExp];
const CLOSED = 'the connection to the Auth Service was closed: ';

async function failure(api: AuthClient): Promise<{ code?: string; message?: string }> {
  return await api.auth.ping({}).then(
    () => ({ message: 'no error' }),
    (error: { code: string; message: string }) => error,
  );
}

async function expectFailure(api: AuthClient, [code, text]: Expected): Promise<void> {
  const error = await failure(api);
  expect(error).toMatchObject({ name: 'TeleportError', code });
  if (typeof text === 'string') expect(error.message).toBe(text);
  else expect(error.message).toMatch(text);
}

test.each<[string, (stream: ServerHttp2Stream) => void, ...Expected]>([
  [
    'a status without text',
    grpc(Buffer.alloc(0), { 'grpc-status': '7' }),
    'AccessDenied',
    'the Auth Service answered PermissionDenied without a reason',
  ],
  [
    'a status that nobody knows',
    grpc(Buffer.alloc(0), { 'grpc-status': '99' }),
    'Protocol',
    /invalid grpc-status: 99$/,
  ],
  ['a status that is no number', grpc(Buffer.alloc(0), { 'grpc-status': 'x' }), 'Protocol', /invalid grpc-status: x$/],
  ['no status', grpc(framed(PING), {}), 'ConnectionProblem', /missing status$/],
  ['no message', grpc(Buffer.alloc(0)), 'Protocol', /missing output message/],
  ['two messages', grpc(Buffer.concat([framed(PING), framed(PING)])), 'Protocol', /extra output message/],
  ['a message that is none', grpc(framed(Buffer.from([0x0a, 0xff, 0xff]))), 'ConnectionProblem', /parse binary/],
  ['a message cut off', grpc(framed(PING, PING.length + 50)), 'Protocol', /incomplete envelope/],
  ['a message of 2 GiB', grpc(framed(PING, 0x7fffffff)), 'LimitExceeded', /2147483647 is larger than .* 4194304/],
  ['a compressed message', grpc(Buffer.from([1, 0, 0, 0, 1, 65])), 'ConnectionProblem', /compressed/],
  ['a page', http(200, '<html>'), 'Protocol', 'unsupported content type text/html'],
  ['502 of a balancer', http(502, '<html>Bad Gateway</html>'), 'ConnectionProblem', `${CLOSED}HTTP 502`],
  ['403 without a body', http(403, ''), 'ConnectionProblem', `${CLOSED}HTTP 403`],
  ['404', http(404, ''), 'Protocol', 'HTTP 404'],
  ['a reset', (stream) => stream.close(2), 'ConnectionProblem', /NGHTTP2_INTERNAL_ERROR/],
  ['a refusal', (stream) => stream.close(7), 'ConnectionProblem', /NGHTTP2_REFUSED_STREAM/],
  ['a hang-up', (stream) => stream.session?.destroy(), 'ConnectionProblem', NO_ANSWER],
  [
    'a hang-up in the middle',
    (stream) => {
      stream.respond(GRPC);
      stream.write(framed(PING).subarray(0, 8), () => stream.session?.destroy());
    },
    'ConnectionProblem',
    /stream closed/,
  ],
  ['a farewell', (stream) => stream.session?.goaway(11), 'ConnectionProblem', /Session closed with error code 11/],
  ['silence', () => {}, 'ConnectionProblem', /^no answer to Ping from the Auth Service within 1 s$/],
])('%s is one error', async (what, answer, ...expected) => {
  await expectFailure(await against(http2(answer), what === 'silence' ? 1_000 : undefined), expected);
});

test.each<[string, (socket: Socket) => void, ...Expected]>([
  ['closes', (socket) => socket.destroy(), 'ConnectionProblem', NO_ANSWER],
  ['ends', (socket) => socket.end(), 'ConnectionProblem', NO_ANSWER],
  ['speaks HTTP/1', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'ConnectionProblem', /Protocol error/],
  ['speaks SSH', (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'), 'ConnectionProblem', /Protocol error/],
  ['sends noise', (socket) => socket.write(Buffer.alloc(100, 0xff)), 'ConnectionProblem', /Protocol error/],
  ['says nothing', () => {}, 'ConnectionProblem', /^no answer to Ping from the Auth Service within 1 s$/],
])('a peer that %s is one error', async (what, answer, ...expected) => {
  const server = createTcpServer((socket) => void socket.once('data', () => answer(socket)));
  await expectFailure(await against(server, what === 'says nothing' ? 1_000 : undefined), expected);
});

test('fields that a newer server knows are passed over', async () => {
  // Fields 2047 and 2031, of bytes and of a number.
  const unknown = Buffer.from([0xfa, 0x7f, 0x03, 1, 2, 3, 0xf8, 0x7e, 0x05]);
  const api = await against(http2(grpc(framed(Buffer.concat([PING, unknown])))));
  expect(await api.auth.ping({})).toMatchObject({ clusterName: 'peer', serverVersion: '18.3.0' });
});
