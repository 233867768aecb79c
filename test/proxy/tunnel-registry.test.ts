import { connect, createServer, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { TunnelHello } from '../../src/api/tunnel.js';
import { serveLine } from '../../src/api/tunnel-line.js';
import { silent } from '../../src/log.js';
import { createTunnelRegistry, type TunnelRegistry } from '../../src/proxy/tunnel.js';
import { createHelloReader } from '../../src/proxy/tunnel-hello.js';

const USER = { certificateDer: Buffer.alloc(3000, 7), clientAddr: '192.0.2.1:5' };

let registry: TunnelRegistry;
const sockets: Socket[] = [];

beforeEach(() => {
  registry = createTunnelRegistry({ clusterName: 'c', log: silent, answerTimeoutMs: 2_000, random: () => 0.5 });
});
afterEach(async () => {
  await registry.close();
  for (const socket of sockets.splice(0)) socket.destroy();
});

async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ noDelay: true, allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const dialled = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1', noDelay: true });
  const both: [Socket, Socket] = [await accepted, dialled];
  server.close();
  for (const socket of both) socket.on('error', () => {});
  sockets.push(...both);
  return both;
}

async function agent(
  hostId: string,
  databases: TunnelHello['databases'],
  onConnection: Parameters<typeof serveLine>[1]['onConnection'],
  more: { silenceTimeoutMs?: number; registry?: TunnelRegistry } = {},
) {
  const accepting = more.registry ?? registry;
  const [ours, theirs] = await pair();
  const hello = (): TunnelHello => ({ hostId, hostname: hostId, version: '1', databases });
  const line = serveLine(ours as TLSSocket, {
    hello,
    onConnection,
    onStanding: () => {},
    silenceTimeoutMs: more.silenceTimeoutMs ?? 60_000,
    log: silent,
  });
  accepting.accept(theirs, { hostId });
  while (!accepting.agents().some((known) => known.hostId === hostId)) await accepting.changed();
  return line;
}

test("an idle line lives as long as the Proxy's pings come, and no longer", async () => {
  const quick = createTunnelRegistry({ clusterName: 'c', log: silent, pingIntervalMs: 20 });
  await agent('idle', [], () => {}, { silenceTimeoutMs: 200, registry: quick });
  // Three times the limit of silence: that it outlives this is what is asked.
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect(quick.agents()).toHaveLength(1);
  await quick.close();

  const mute = createTunnelRegistry({ clusterName: 'c', log: silent, pingIntervalMs: 60_000 });
  await agent('mute', [], () => {}, { silenceTimeoutMs: 50, registry: mute });
  await mute.changed();
  expect(mute.agents()).toEqual([]);
  await mute.close();
});

test('healthy agents come before unknown ones before unhealthy ones', async () => {
  const asked: string[] = [];
  for (const health of ['unhealthy', 'healthy', 'unknown'] as const) {
    await agent(health, [{ name: 'd', health }], (stream) => {
      asked.push(health);
      stream.end();
    });
  }
  (await registry.open('d', USER)).resume();
  expect(asked).toEqual(['healthy']);
});

test('the next agent is tried when one hangs up', async () => {
  const first = await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => stream.destroy());
  await agent('b', [{ name: 'd', health: 'unhealthy' }], (stream) => stream.end('from b'));
  first.destroy();
  const stream = await registry.open('d', USER);
  expect((await stream.toArray()).join('')).toBe('from b');
});

test('an unknown database and an agent that is gone have their texts', async () => {
  await expect(registry.open('nope', USER)).rejects.toMatchObject({
    code: 'NotFound',
    message: 'database "nope" not found among registered databases in cluster "c"',
  });
});

test('bytes, certificate, address and half-close go through', async () => {
  let got: unknown;
  await agent('a', [{ name: 'd', health: 'healthy' }], (stream, connection) => {
    got = connection;
    // Echo that answers only after the other half was closed.
    void stream.toArray().then((chunks) => stream.end(Buffer.concat(chunks as Buffer[])));
  });
  const stream = await registry.open('d', USER);
  const sent = Buffer.alloc(5_000_000, 'abc');
  stream.end(sent);
  expect(Buffer.concat((await stream.toArray()) as Buffer[]).equals(sent)).toBe(true);
  expect(got).toEqual(USER);
});

test('a slow reader does not stop the others', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 1);
  await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => {
    let left = 64;
    new Duplex({
      read() {
        this.push(left-- > 0 ? chunk : null);
      },
      write(_chunk, _encoding, done) {
        done();
      },
    }).pipe(stream);
  });
  // Three clients that read nothing: each fills its own window (16 MiB), together more than the connection's (32 MiB).
  const slow = await Promise.all([1, 2, 3].map(() => registry.open('d', USER)));
  for (const stream of slow) stream.pause();
  const quick = await registry.open('d', USER);
  let bytes = 0;
  for await (const piece of quick) bytes += (piece as Buffer).length;
  expect(bytes).toBe(64 * 1024 * 1024);
  for (const stream of slow) stream.destroy();
});

test('drain waits for open streams, then hangs up', async () => {
  let theirs: Duplex | undefined;
  const line = await agent('a', [{ name: 'd', health: 'healthy' }], (stream) => {
    theirs = stream;
  });
  const stream = await registry.open('d', USER);
  const closed = registry.close({ drainMs: 10_000 });
  await line.over;
  expect(line.isLeft).toBe(true);
  theirs!.end('last words');
  stream.end();
  expect((await stream.toArray()).join('')).toBe('last words');
  theirs!.resume();
  await closed;
  expect(registry.agents()).toEqual([]);
});

test('a hello is read across chunks and refused when it is none', () => {
  const heard: TunnelHello[] = [];
  const read = createHelloReader((hello) => heard.push(hello));
  const hello = { hostId: 'h', hostname: 'n', version: '1', databases: [{ name: 'd', health: 'odd' }] };
  const line = Buffer.from(`${JSON.stringify(hello)}\n`);
  for (const byte of line) read(Buffer.of(byte));
  expect(heard).toEqual([{ ...hello, databases: [{ name: 'd', health: 'unknown' }] }]);
  for (const broken of ['{}', 'x', '[]', '{"hostId":1}']) {
    expect(() => createHelloReader(() => {})(Buffer.from(`${broken}\n`))).toThrow(/hello/);
  }
});
