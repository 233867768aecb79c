/** Tests: src/net/ping-stream.ts, src/net/socket-errors.ts, src/net/websocket.ts. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type Duplex, PassThrough } from 'node:stream';
import { dialTcp, dialTls } from '../../src/net/dial.js';
import { listen } from '../../src/net/listen.js';
import { PingStream } from '../../src/net/ping-stream.js';
import { isDisconnect } from '../../src/net/socket-errors.js';
import { makeTlsServer } from '../../src/net/tls-server.js';
import { acceptUpgrade, UPGRADE_PATH, upgradeConnection } from '../../src/net/websocket.js';
import { createTestCa } from '../support/ca.js';

const MIB = 1024 * 1024;

const frame = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)]);

async function all(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('frames cut anywhere, pings between them, and an impossible length', async () => {
  const below = new PassThrough();
  const stream = new PingStream(below);
  for (const byte of Buffer.concat([Buffer.alloc(4), frame('abc'), Buffer.alloc(8), frame('d')]))
    below.push(Buffer.from([byte]));
  below.push(null);
  expect((await all(stream)).toString()).toBe('abcd');
  const hostile = new PassThrough();
  const refused = once(new PingStream(hostile, { mostFrameBytes: 10 }).resume(), 'error');
  hostile.push(frame('12345678901'));
  expect((await refused)[0]).toMatchObject({ code: 'Protocol' });
});

test('written bytes are framed, pings are sent, an empty write is no ping', async () => {
  // A ping can be on its way when the other end goes.
  await using listener = await listen({
    onConnection: (socket) => void new PingStream(socket, { pingIntervalMs: 5 }).on('error', () => {}),
  });
  const client = connect(listener.port, '127.0.0.1');
  // Two may come together.
  expect((await once(client, 'data'))[0].subarray(0, 4)).toEqual(Buffer.alloc(4));
  client.destroy();
  const got = new Promise<Buffer>((resolve) => {
    void listen({
      onConnection: (socket) =>
        void all(socket)
          .then(resolve)
          .finally(() => socket.destroy()),
    }).then(async (sink) => {
      const stream = new PingStream(await dialTcp({ host: '127.0.0.1', port: sink.port })).on('error', () => {});
      stream.write('ab');
      stream.write(Buffer.alloc(0));
      stream.end('c');
      stream.once('close', () => void sink.close());
      stream.resume();
    });
  });
  expect(await got).toEqual(Buffer.concat([frame('ab'), frame('c')]));
});

test('TLS and 20 MB go through the ping framing both ways', async () => {
  const authority = createTestCa();
  const tls = makeTlsServer({
    identity: authority.issue(['localhost']),
    onSecure: (socket) => void socket.pipe(socket),
  });
  await using listener = await listen({ onConnection: (socket) => tls.accept(new PingStream(socket)) });
  const below = new PingStream(await dialTcp({ host: '127.0.0.1', port: listener.port }));
  const client = await dialTls({ socket: below, host: 'localhost', port: 0, ca: authority.certPem });
  const size = 20 * 1024 * 1024;
  client.end(Buffer.alloc(size, 1));
  expect((await all(client)).length).toBe(size);
});

async function upgradeServer(onTunnel: (tunnel: Duplex) => void) {
  const server = createServer((_, response) => void response.writeHead(404).end());
  server.on('upgrade', (request, socket, head) => {
    acceptUpgrade(request, socket, head, { pingIntervalMs: 5 }).then(onTunnel, () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

test.each(['alpn', 'alpn-ping'] as const)(
  'a WebSocket tunnel %s carries bytes both ways and ends',
  async (protocol) => {
    await using server = await upgradeServer((tunnel) => void tunnel.pipe(tunnel));
    const socket = await dialTcp({ host: '127.0.0.1', port: server.port });
    const tunnel = await upgradeConnection(socket, { host: `127.0.0.1:${server.port}`, protocol, timeoutMs: 60_000 });
    const size = 5 * 1024 * 1024;
    tunnel.write(Buffer.alloc(size, 3));
    let got = 0;
    for await (const chunk of tunnel) {
      got += (chunk as Buffer).length;
      if (got === size) tunnel.end();
    }
    expect(got).toBe(size);
  },
);

test('bytes for somebody who has left fail as on a socket', async () => {
  let arrive: (tunnel: Duplex) => void = () => {};
  const arrived = new Promise<Duplex>((resolve) => {
    arrive = resolve;
  });
  await using server = await upgradeServer((tunnel) => arrive(tunnel));
  const socket = await dialTcp({ host: '127.0.0.1', port: server.port });
  await upgradeConnection(socket, { host: `127.0.0.1:${server.port}`, protocol: 'alpn', timeoutMs: 60_000 });
  const tunnel = await arrived;
  socket.destroy();
  await once(tunnel.resume(), 'end');
  const error = await new Promise((resolve) => tunnel.write('late', resolve));
  expect(isDisconnect(error)).toBe(true);
});

test('the answer to a WebSocket request has exactly the four headers, and pings say teleport', async () => {
  await using server = await upgradeServer((tunnel) => void tunnel.resume());
  const client = connect(server.port, '127.0.0.1');
  client.write(
    `GET ${UPGRADE_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: alpn-ping\r\n\r\n`,
  );
  let text = '';
  for await (const chunk of client) {
    text += (chunk as Buffer).toString('latin1');
    if (text.includes('\x89\x08teleport')) break;
  }
  const names = text
    .split('\r\n\r\n')[0]!
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(':')[0]!.toLowerCase());
  expect(names.sort()).toEqual(['connection', 'sec-websocket-accept', 'sec-websocket-protocol', 'upgrade']);
});

/** The head of a binary frame of a client, with an empty mask. */
function clientFrame(length: number): Buffer {
  const head = Buffer.alloc(14);
  head.writeUInt16BE(0x82ff);
  head.writeBigUInt64BE(BigInt(length), 2);
  return head;
}

test('A-M2 a frame of 255 MiB is refused at its head, one of 1 MiB goes through', async () => {
  let come = (_: number) => {};
  const came = new Promise<number>((resolve) => (come = resolve));
  await using server = await upgradeServer((tunnel) => {
    let bytes = 0;
    tunnel.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes >= MIB) come(bytes);
    });
  });
  const client = connect(server.port, '127.0.0.1');
  client.write(
    `GET ${UPGRADE_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: alpn\r\n\r\n`,
  );
  client.write(Buffer.concat([clientFrame(MIB), Buffer.alloc(MIB)]));
  expect(await came).toBe(MIB);
  client.write(clientFrame(255 * MIB));
  let text = '';
  for await (const chunk of client) text += (chunk as Buffer).toString('latin1');
  // Close, with status 1009: too big.
  expect(text).toContain('\x88\x02\x03\xf1');
});

test('a WebSocket request without its key is answered with 400 and ended', async () => {
  await using server = await upgradeServer((tunnel) => void tunnel.resume());
  const client = connect(server.port, '127.0.0.1');
  client.write(`GET ${UPGRADE_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
  let text = '';
  for await (const chunk of client) text += (chunk as Buffer).toString('latin1');
  expect(text).toMatch(/^HTTP\/1\.1 400 /);
});

test('the older raw upgrade is answered, its bytes framed for alpn-ping; unknown kinds get 404', async () => {
  await using server = await upgradeServer((tunnel) => void tunnel.pipe(tunnel));
  const ask = async (kind: string, until: Buffer) => {
    const client = connect(server.port, '127.0.0.1');
    client.write(`GET ${UPGRADE_PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${kind}\r\n\r\n`);
    client.write(kind === 'alpn' ? 'hello' : frame('hello'));
    let got = Buffer.alloc(0);
    for await (const chunk of client) {
      got = Buffer.concat([got, chunk as Buffer]);
      if (got.includes(until)) break;
    }
    client.destroy();
    return got.toString('latin1');
  };
  expect(await ask('alpn', Buffer.from('\r\n\r\nhello'))).toContain(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: alpn\r\nX-Teleport-Upgrade: alpn\r\n',
  );
  expect(await ask('alpn-ping', frame('hello'))).toContain('Upgrade: alpn-ping');
  expect(await ask('foo', Buffer.from('[foo]'))).toMatch(/^HTTP\/1\.1 404 .*unsupported upgrade types: \[foo\]$/s);
});

test('a server that does not know the path is called too old', async () => {
  const server = createServer((_, response) => void response.writeHead(404).end());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = await dialTcp({ host: '127.0.0.1', port });
  await expect(
    upgradeConnection(socket, { host: `127.0.0.1:${port}`, protocol: 'alpn', timeoutMs: 60_000 }),
  ).rejects.toMatchObject({ code: 'NotImplemented' });
  server.closeAllConnections();
  server.close();
});
