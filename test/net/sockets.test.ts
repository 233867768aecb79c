/**
 * Tests: src/net/client-hello.ts, src/net/dial.ts, src/net/http-proxy.ts, src/net/listen.ts
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseClientHello } from '../../src/net/client-hello.js';
import { dialTcp, proxyFor } from '../../src/net/dial.js';
import { listen } from '../../src/net/listen.js';
import { type RelayOptions, type RelayResult, relay } from '../../src/net/relay.js';
import { withDeadline } from '../../src/wait.js';

test.each(['http://a%zz:b@proxy:3128', 'http://a:%@proxy:3128', 'http://[:1'])(
  'a proxy that cannot be read is told by its variable, without its password: %s',
  (HTTPS_PROXY) => {
    const read = () => proxyFor(new URL('https://example.com'), { HTTPS_PROXY });
    expect(read).toThrow(expect.objectContaining({ code: 'BadParameter', message: 'HTTPS_PROXY is not a URL' }));
  },
);

test('an address that is none is told as one', async () => {
  const dialled = dialTcp({ host: 'a[b', port: 1, vars: {} });
  await expect(dialled).rejects.toMatchObject({ code: 'BadParameter', message: '"a[b:1" is not an address' });
});

test('hostile ClientHellos are refused, and none is waited for without end', () => {
  const record = (body: Buffer) => Buffer.concat([Buffer.from([22, 3, 1, body.length >> 8, body.length & 255]), body]);
  const hello = (extensions: string) => {
    const ext = Buffer.from(extensions, 'hex');
    const body = Buffer.concat([
      Buffer.alloc(34),
      Buffer.from('00' + '00021301' + '0100', 'hex'),
      Buffer.from([ext.length >> 8, ext.length & 255]),
      ext,
    ]);
    return Buffer.concat([Buffer.from([1, 0, body.length >> 8, body.length & 255]), body]);
  };
  const good = hello('00000006000400000161' + '001000050003026832');
  expect(parseClientHello(record(good))).toEqual({ complete: true, serverName: 'a', alpn: ['h2'] });
  const split = Buffer.concat([...good].map((byte) => record(Buffer.from([byte]))));
  expect(parseClientHello(split)).toEqual({ complete: true, serverName: 'a', alpn: ['h2'] });
  for (let cut = 0; cut < split.length; cut++)
    expect(parseClientHello(split.subarray(0, cut))).toEqual({ complete: false });
  const bad = [
    Buffer.from('GET / HT'),
    record(Buffer.from([2, 0, 0, 0])),
    record(Buffer.from([1, 0xff, 0xff, 0xff])),
    Buffer.from([22, 3, 1, 0xff, 0xff]),
    // A whole message, but in a thousand records.
    Buffer.concat(
      [Buffer.from([1, 0, 4, 0]), Buffer.alloc(1024)].flatMap((part) => [...part].map((b) => record(Buffer.from([b])))),
    ),
    record(hello('0000ffff')),
    record(hello('00100005000302')),
    record(hello('0010000400020000')),
    record(Buffer.concat([Buffer.from([1, 0, 0, 2]), Buffer.alloc(2)])),
  ];
  for (const bytes of bad) expect(() => parseClientHello(bytes)).toThrow(expect.objectContaining({ code: 'Protocol' }));
});

test('refused, unknown and late are said as Go says them', async () => {
  await expect(dialTcp({ host: '127.0.0.1', port: 1 })).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: 'dial tcp 127.0.0.1:1: connect: connection refused',
  });
  await expect(dialTcp({ host: '', path: '/nowhere/s', port: 0 })).rejects.toMatchObject({
    message: 'dial unix /nowhere/s: connect: no such file or directory',
  });
  const gone = new AbortController();
  gone.abort(new Error('enough'));
  await expect(dialTcp({ host: '127.0.0.1', port: 1, signal: gone.signal })).rejects.toThrow('enough');
  await expect(withDeadline(new Promise(() => {}), 1, 'Godot')).rejects.toMatchObject({
    message: 'timed out after 1 s waiting for Godot',
  });
});

test('an address in use is named; closing drains and then cuts', async () => {
  const sockets: Socket[] = [];
  const listener = await listen({ onConnection: (socket) => void sockets.push(socket) });
  await expect(listen({ port: listener.port, onConnection() {} })).rejects.toMatchObject({
    code: 'AlreadyExists',
    message: `listen tcp ${listener.address}: bind: address already in use`,
    hint: `Another program has this port: lsof -i :${listener.port} shows which. Stop it, or choose another port.`,
  });
  const polite = connect(listener.port, '127.0.0.1').resume();
  const stubborn = connect(listener.port, '127.0.0.1').resume();
  await Promise.all([once(polite, 'connect'), once(stubborn, 'connect')]);
  while (listener.connections.size < 2) await new Promise((done) => setImmediate(done));
  const closed = listener.close({ drainMs: 50 });
  polite.destroy();
  await Promise.all([closed, once(stubborn, 'close')]);
  expect(listener.connections.size).toBe(0);
  await expect(dialTcp({ host: '127.0.0.1', port: listener.port })).rejects.toThrow('connection refused');
});

test('a Unix socket is for its owner alone, and one that is there is not replaced', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'net-'));
  try {
    const path = join(dir, '.s.PGSQL.5432');
    await using _listener = await listen({ path, onConnection: (socket) => void socket.end('x') });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await expect(listen({ path, onConnection() {} })).rejects.toMatchObject({ code: 'AlreadyExists' });
    const client = await dialTcp({ host: '', port: 0, path });
    expect((await once(client, 'data')).toString()).toBe('x');
    client.destroy();
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('HTTPS_PROXY and NO_PROXY are read as Go reads them', () => {
  const via = (url: string, no = '') => proxyFor(new URL(url), { HTTPS_PROXY: 'proxy:3128', NO_PROXY: no })?.host;
  expect(via('https://a.example.com')).toBe('proxy:3128');
  expect(via('https://localhost:1')).toBeUndefined();
  expect(via('https://127.0.0.1:1')).toBeUndefined();
  for (const no of ['*', 'example.com', '.example.com', 'a.example.com:443', 'x, a.example.com'])
    expect(via('https://a.example.com', no)).toBeUndefined();
  for (const no of ['ample.com', 'a.example.com:80', 'b.example.com'])
    expect(via('https://a.example.com', no)).toBe('proxy:3128');
  expect(via('https://10.1.2.3', '10.0.0.0/8')).toBeUndefined();
  expect(via('https://11.1.2.3', '10.0.0.0/8')).toBe('proxy:3128');
});

test('a dial goes through the HTTP proxy with its credentials, and early bytes are kept', async () => {
  let head = '';
  await using proxy = await listen({
    onConnection(socket) {
      socket.on('data', (chunk) => {
        head += chunk.toString();
        if (head.endsWith('\r\n\r\n'))
          socket.end(head.includes('db.example.com:5439') ? 'HTTP/1.1 200 OK\r\n\r\nhello' : 'HTTP/1.1 403 No\r\n\r\n');
      });
    },
  });
  const vars = { HTTPS_PROXY: `http://al%40ice:pw@127.0.0.1:${proxy.port}` };
  const socket = await dialTcp({ host: 'db.example.com', port: 5439, vars });
  expect((await once(socket, 'data')).toString()).toBe('hello');
  socket.destroy();
  expect(head).toContain(`Proxy-Authorization: Basic ${Buffer.from('al@ice:pw').toString('base64')}\r\n`);
  head = '';
  await expect(dialTcp({ host: 'no.example.com', port: 1, vars })).rejects.toThrow(
    'the HTTP proxy refused a tunnel to no.example.com:1: HTTP status 403',
  );
});

/** client ── relay ── server, all on loopback. */
async function joined(options: RelayOptions, onServer: (socket: Socket) => void) {
  let result: Promise<RelayResult> | undefined;
  const server = await listen({ onConnection: onServer });
  const middle = await listen({
    async onConnection(socket) {
      const up = await dialTcp({ host: '127.0.0.1', port: server.port, allowHalfOpen: true });
      result = relay(socket, up, options);
      result.catch(() => {});
    },
  });
  const client = connect({ host: '127.0.0.1', port: middle.port, allowHalfOpen: true });
  client.on('error', () => {});
  return {
    client,
    result: () => result!,
    async [Symbol.asyncDispose]() {
      client.destroy();
      await Promise.all([server.close(), middle.close()]);
    },
  };
}

test('the end of one half is passed on, and the answer still comes', async () => {
  await using path = await joined({}, (socket) => {
    let asked = '';
    socket
      .on('data', (chunk) => {
        asked += chunk;
      })
      .on('end', () => socket.end(`you said ${asked}`));
  });
  path.client.end('hello');
  const chunks: Buffer[] = [];
  for await (const chunk of path.client) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe('you said hello');
  expect(await path.result()).toEqual({ bytesAtoB: 5, bytesBtoA: 14 });
});

test('a half that does not end is cut by the deadline, a reset is an ordinary end', async () => {
  await using path = await joined({ halfCloseTimeoutMs: 20 }, (socket) => void socket.resume());
  path.client.end('x');
  path.client.resume();
  await once(path.client, 'close');
  expect(await path.result()).toEqual({ bytesAtoB: 1, bytesBtoA: 0 });
  await using cut = await joined({}, (socket) => void socket.once('data', () => socket.resetAndDestroy()));
  cut.client.write('x');
  cut.client.resume();
  await once(cut.client, 'end');
  expect((await cut.result()).bytesAtoB).toBe(1);
});

test('a tap sees every byte and can hold an answer back; what it throws cuts the relay', async () => {
  let release: (() => void) | undefined;
  const seen: string[] = [];
  await using path = await joined(
    {
      onAtoB: (chunk) => void seen.push(chunk.toString()),
      onBtoA: () =>
        new Promise<void>((done) => {
          release = done;
        }),
    },
    (socket) => void socket.on('data', () => socket.end('answer')).once('end', () => socket.end()),
  );
  let got = '';
  path.client.on('data', (chunk) => {
    got += chunk;
  });
  path.client.write('ask');
  while (!release) await new Promise((done) => setImmediate(done));
  expect([seen, got]).toEqual([['ask'], '']);
  release();
  await once(path.client, 'end');
  expect(got).toBe('answer');
  await using broken = await joined(
    { onAtoB: () => Promise.reject(new Error('no record')) },
    (socket) => void socket.resume(),
  );
  broken.client.write('x');
  broken.client.resume();
  await once(broken.client, 'end');
  await expect(broken.result()).rejects.toThrow('no record');
});

test('a reader that stops holds the writer, and 40 MB arrive whole', async () => {
  const size = 40 * 1024 * 1024;
  await using path = await joined({}, (socket) => void socket.end(Buffer.alloc(size, 7)));
  await once(path.client, 'connect');
  let got = 0;
  for await (const chunk of path.client) got += (chunk as Buffer).length;
  path.client.end();
  expect(got).toBe(size);
  expect((await path.result()).bytesBtoA).toBe(size);
});
