/** Tests: src/api/authorities.ts, src/tunnel/protocol.ts. */
import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer } from 'node:tls';
import { silent } from '../../src/log.js';
import { runTunnel, type TunnelAgent, type TunnelConnection } from '../../src/tunnel/agent.js';
import { TUNNEL_ALPN, type TunnelHello } from '../../src/tunnel/protocol.js';
import { startTestProxy, type TestProxy } from '../proxy/test-proxy.js';

let peer: TestProxy;
const agents: TunnelAgent[] = [];

beforeAll(async () => {
  peer = await startTestProxy();
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.close()));
});
afterAll(() => peer.close());

function startAgent(
  hostId: string,
  databases: TunnelHello['databases'],
  onConnection: (stream: Duplex, connection: TunnelConnection) => void,
  more: {
    role?: 'Db' | 'Node' | undefined;
    hello?: () => TunnelHello;
    onChange?: (listener: () => void) => () => void;
  } = {},
): TunnelAgent {
  const agent = runTunnel({
    proxies: [{ host: '127.0.0.1', port: peer.port }],
    identity: peer.authorities.host(more.role ?? 'Db', hostId),
    hello: more.hello ?? (() => ({ hostId, hostname: 'node', version: '18.3.0', databases })),
    ...(more.onChange ? { onChange: more.onChange } : {}),
    onConnection,
    log: silent,
    minBackoffMs: 10,
    maxBackoffMs: 50,
  });
  agents.push(agent);
  return agent;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await peer.proxy.agentsChanged();
}

const names = () =>
  peer.proxy
    .agents()
    .flatMap(({ databases }) => databases.map(({ name }) => name))
    .sort();

test('an agent dials in, is listed with its databases, and tells of changes', async () => {
  let tell: () => void = () => {};
  const databases: TunnelHello['databases'] = [{ name: 'sales', health: 'healthy' }];
  startAgent('host-a', databases, (stream) => stream.end(), {
    onChange: (listener) => {
      tell = listener;
      return () => {};
    },
  });
  await until(() => names().includes('sales'));
  databases.push({ name: 'stock', health: 'unknown' });
  tell();
  await until(() => names().includes('stock'));
  expect(names()).toEqual(['sales', 'stock']);
  await agents[0]!.close();
  await until(() => names().length === 0);
});

/** What comes first: the Proxy takes the agent, or has cut it twice (it says hello at each try). */
async function outcome(hostId: string, claimed: TunnelHello, role: 'Db' | 'Node'): Promise<string> {
  let tries = 0;
  const refused = new Promise<string>((resolve) => {
    const hello = () => {
      tries += 1;
      if (tries === 3) resolve('refused');
      return claimed;
    };
    const agent = startAgent(hostId, [], (stream) => stream.end(), { role, hello });
    void agent.connected.then(() => resolve('connected'));
  });
  return await refused;
}
const hello = {
  hostname: 'n',
  version: '1',
  databases: [{ name: 'x', health: 'healthy' }],
} satisfies Partial<TunnelHello>;

test('a host that is no Database Service cannot open a tunnel', async () => {
  expect(await outcome('host-n', { ...hello, hostId: 'host-n' }, 'Node')).toBe('refused');
  expect(peer.proxy.agents()).toEqual([]);
});

test('an agent that claims another host id than its certificate is cut', async () => {
  expect(await outcome('host-b', { ...hello, hostId: 'somebody-else' }, 'Db')).toBe('refused');
  expect(peer.proxy.agents()).toEqual([]);
});

test('a newer connection of the same host takes over, and who lost dials again', async () => {
  startAgent('host-c', [{ name: 'again', health: 'healthy' }], (stream) => stream.end());
  await until(() => names().includes('again'));
  startAgent('host-c', [{ name: 'newer', health: 'healthy' }], (stream) => stream.end());
  await until(() => names().includes('newer') && !names().includes('again'));
  await agents[1]!.close();
  await until(() => names().includes('again'));
});

test('R-A-M1 a Proxy that asks for connections without end gets so many, and those that nobody takes are closed', async () => {
  const { certPem, keyPem, hostCaPems } = peer.authorities.host('Proxy', 'hostile');
  let most = 0;
  const open = new Set<Duplex>();
  const changed = new EventEmitter();
  const server = createServer(
    { cert: certPem, key: keyPem, ca: [...hostCaPems], ALPNProtocols: [TUNNEL_ALPN], requestCert: true },
    (socket) => {
      socket
        .on('error', () => {})
        .once('data', (line) => {
          if (line.includes('hello')) return void socket.write('{"ping":1}\n{"dial":10000}\n');
          open.add(socket);
          most = Math.max(most, open.size);
          socket.once('close', () => {
            open.delete(socket);
            changed.emit('changed');
          });
          changed.emit('changed');
        });
    },
  ).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = runTunnel({
    proxies: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
    identity: peer.authorities.host('Db', 'asked'),
    hello: () => ({ hostId: 'asked', hostname: 'asked', version: '18.3.0', databases: [] }),
    onConnection: (stream) => stream.destroy(),
    log: silent,
    idleMs: 200,
  });
  try {
    while (open.size < 40) await once(changed, 'changed');
    while (open.size > 4) await once(changed, 'changed');
    expect(most).toBeLessThanOrEqual(64);
  } finally {
    await agent.close();
    server.close();
  }
});
