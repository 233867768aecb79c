/** X9: an agent whose token binds it to databases gets nobody who asks for another one, whatever it says in its tunnel. */
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { silent } from '../../src/log.js';
import { encodeFirst } from '../../src/pg/startup.js';
import { TTL_MS } from '../../src/proxy/bound-agents.js';
import { runTunnel } from '../../src/tunnel/agent.js';
import { startTestProxy, type TestProxy } from './test-proxy.js';

const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: 0x30000,
  parameters: new Map([['user', 'bob']]),
});

let peer: TestProxy;
const agents: { close(): Promise<void> }[] = [];
beforeAll(async () => {
  peer = await startTestProxy();
  for (const [hostId, isBound] of [
    ['bound', true],
    ['free', false],
  ] as const) {
    agents.push(
      runTunnel({
        proxies: [{ host: '127.0.0.1', port: peer.port }],
        identity: peer.authorities.host('Db', hostId, { isBound }),
        hello: () => ({
          hostId,
          hostname: hostId,
          version: '18.3.0',
          databases: ['orders', 'prod', ...(isBound ? ['mine'] : [])].map((name) => ({ name, health: 'healthy' })),
        }),
        onConnection: (stream) => {
          stream.on('error', () => {}).end(hostId);
        },
        log: silent,
      }),
    );
  }
  while (peer.proxy.agents().length < 2) await peer.proxy.agentsChanged();
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.close()));
  await peer.close();
});

/** Who serves the database, or the refusal. */
async function served(database: string): Promise<string> {
  const socket: TLSSocket = connectTls({
    host: '127.0.0.1',
    port: peer.port,
    rejectUnauthorized: false,
    ALPNProtocols: ['teleport-postgres'],
    ...peer.authorities.user({ database }),
  });
  await once(socket, 'secureConnect');
  socket.write(STARTUP);
  const chunks = (await socket.toArray()) as Buffer[];
  return Buffer.concat(chunks).toString();
}

test('X9 people are led to it for what Auth has taken from it, and for nothing else', async () => {
  peer.auth.offers.push({ database: 'mine', hostId: 'bound' }, { database: 'orders', hostId: 'free' });
  const began = performance.now();
  expect(await served('mine')).toBe('bound');
  for (let at = 0; at < 20; at++) {
    expect(await served('orders')).toBe('free');
    expect(await served('prod')).toBe('free');
  }
  // Auth is asked once in a while, and about bound agents only.
  const lives = 1 + Math.floor((performance.now() - began) / TTL_MS);
  expect(peer.auth.lists.length).toBeLessThanOrEqual(3 * lives);
});
