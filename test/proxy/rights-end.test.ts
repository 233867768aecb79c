/**
 * Whose right ends by more than a lock is out at the Proxy as well, whatever the agent does: users who are gone, and
 * certificates of an authority that was rotated. Tests: src/proxy/reception.ts
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { encodeFirst } from '../../src/pg/startup.js';
import { deadlineIn, readExactly } from '../../src/pg/stream.js';
import type { TunnelAgent } from '../../src/tunnel/agent.js';
import { createTestCa } from '../support/ca.js';
import { gone } from '../support/gone.js';
import { errorFields, messagesOf } from '../support/pg-raw.js';
import { until } from '../support/until.js';
import { CLUSTER, startTestAgent, startTestProxy, type TestProxy } from './test-proxy.js';

let peer: TestProxy;
let agent: TunnelAgent;
const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: 0x30000,
  parameters: new Map([['user', 'bob']]),
});
/** AuthenticationOk: what the agent says to everything. */
const ANSWER = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);

beforeEach(async () => {
  peer = await startTestProxy();
  agent = await startTestAgent(
    peer,
    (stream: Duplex) =>
      void stream
        .on('error', () => {})
        .on('data', () => stream.write(ANSWER))
        .resume(),
  );
});
afterEach(async () => {
  await agent.close();
  await peer.close();
});

async function open(ALPNProtocols: string[], credentials: { cert: string; key: string }): Promise<TLSSocket> {
  const at = { host: '127.0.0.1', port: peer.port, rejectUnauthorized: false };
  const socket = connectTls({ ...at, ALPNProtocols, ...credentials });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** Alice in a database, with an agent that answers. */
async function session(): Promise<TLSSocket> {
  const socket = await open(['teleport-postgres'], peer.authorities.user({ database: 'sales', usage: 'usage:db' }));
  await answered(socket, STARTUP);
  return socket;
}

async function answered(socket: Duplex, bytes: Buffer): Promise<void> {
  socket.write(bytes);
  expect(await readExactly(socket, ANSWER.length, deadlineIn(60_000))).toEqual(ANSWER);
}

/** What both of Alice's connections hear when something happens. */
async function endOf(happen: () => void): Promise<string | undefined> {
  const [database, transport] = [
    await session(),
    await open(['teleport-proxy-ssh-grpc', 'h2'], peer.authorities.user()),
  ];
  const closed = gone(transport.resume());
  const words = database.toArray();
  happen();
  await closed;
  return errorFields(messagesOf(Buffer.concat((await words) as Buffer[]))[0]!).M;
}

test('M8 of a user who was deleted', async () => {
  expect(await endOf(() => peer.auth.remove('alice'))).toBe('terminating connection: user "alice" was deleted');
});

test('A-M6 at the web API too, and who is locked does not get there', async () => {
  const web = () => open(['http/1.1'], peer.authorities.user());
  const held = await web();
  held.write('GET /webapi/find HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(held, 'data');
  const closed = once(held.resume(), 'close');
  peer.auth.lock({ user: 'alice' });
  await closed;
  await once((await web()).resume(), 'close');
});

test('H6 of the old authority of users', async () => {
  const rotate = () => {
    peer.authorities.userCa = createTestCa(CLUSTER);
    peer.auth.rotated();
  };
  expect(await endOf(rotate)).toBe(
    'terminating connection: the authority that signed the certificate was rotated, and is not believed any more',
  );
});

test('H6 of the old authority of hosts: the tunnel, but for the session in it', async () => {
  const running = await session();
  peer.authorities.hostCa = createTestCa(CLUSTER);
  peer.auth.rotated();
  await until('the tunnel is gone', async () => peer.proxy.agents().length === 0 || undefined);
  await answered(running, Buffer.from('still here'));
  running.destroy();
});
