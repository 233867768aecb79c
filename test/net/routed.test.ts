import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { listen } from '../../src/net/listen.js';
import { dialRouted } from '../../src/net/routed.js';
import { makeTlsServer } from '../../src/net/tls-server.js';
import { acceptUpgrade } from '../../src/net/websocket.js';
import { createTestCa } from '../support/ca.js';

const web = createTestCa('web');
const inner = createTestCa('inner');

/** A Proxy, and in front of it what ends TLS: only a WebSocket leads through. */
async function startProxy({ isBehind }: { isBehind: boolean }) {
  const routed = makeTlsServer({
    identity: inner.issue(['localhost']),
    alpn: ['teleport-test'],
    onSecure: (socket) => void socket.pipe(socket),
  });
  const hosts: (string | undefined)[] = [];
  const http = createServer();
  http.on('upgrade', (request, socket, head) => {
    hosts.push(request.headers.host);
    acceptUpgrade(request, socket, head).then(
      (tunnel: Duplex) => routed.accept(tunnel),
      () => {},
    );
  });
  const balancer = makeTlsServer({
    identity: web.issue(['localhost']),
    onSecure: (socket) => void http.emit('connection', socket),
  });
  const front = isBehind ? balancer : routed;
  const listener = await listen({ host: 'localhost', onConnection: (socket) => front.accept(socket) });
  return {
    hosts,
    tls: { host: 'localhost', port: listener.port, ca: inner.certPem, alpn: ['teleport-test'] },
    async [Symbol.asyncDispose]() {
      routed.close();
      balancer.close();
      await listener.close();
    },
  };
}

async function echoed(socket: Duplex): Promise<string> {
  socket.write('hello');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  return chunk.toString();
}

test('without an upgrade the TLS goes straight to the Proxy', async () => {
  await using proxy = await startProxy({ isBehind: false });
  const socket = await dialRouted(proxy.tls);
  expect(socket.alpnProtocol).toBe('teleport-test');
  expect(await echoed(socket)).toBe('hello');
});

test.each(['alpn', 'alpn-ping'] as const)(
  'the upgrade %s leads through what ends TLS; each TLS is verified by its own authorities',
  async (protocol) => {
    await using proxy = await startProxy({ isBehind: true });
    const trust = { ca: web.certPem };
    const socket = await dialRouted(proxy.tls, { trust, protocol });
    expect(socket.alpnProtocol).toBe('teleport-test');
    expect(await echoed(socket)).toBe('hello');
    expect(proxy.hosts).toEqual([`localhost:${proxy.tls.port}`]);
    for (const [tls, outer] of [
      [{ ...proxy.tls, ca: web.certPem }, trust],
      [proxy.tls, { ca: inner.certPem }],
    ] as const) {
      await expect(dialRouted(tls, { trust: outer, protocol })).rejects.toMatchObject({ code: 'ConnectionProblem' });
    }
  },
);
