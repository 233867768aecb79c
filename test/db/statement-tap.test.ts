/** What the tap does to others: how long it keeps the agent's one thread. */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { encodeReady } from '../../src/pg/backend.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { createTestCa } from '../support/ca.js';
import { type RawClient, rawClient, startupPacket } from '../support/pg-raw.js';
import { role, startTestAgent, type TestAgent } from './agent.js';

let database: Server;
let agent: TestAgent;
/** What the database says to what comes after the login. */
let answer: (bytes: Buffer) => Buffer;
const open = new Set<Socket>();

beforeAll(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  const secureContext = createSecureContext({ ...dbCa.issue(['localhost']) });
  const ready = encodeReady({ parameters: new Map(), backendKey: undefined, txStatus: 'I', negotiate: undefined });
  database = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write('S');
      const tls = new TLSSocket(socket, { isServer: true, secureContext });
      tls.on('error', () => {});
      tls.once('data', () => {
        tls.write(ready);
        tls.on('data', (bytes: Buffer) => tls.write(answer(bytes)));
      });
    });
  }).listen(0, '127.0.0.1');
  await once(database, 'listening');
  const { port } = database.address() as { port: number };
  const resource = {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', labels: { env: 'dev' } },
    spec: { protocol: 'postgres', uri: `localhost:${port}` },
  };
  agent = await startTestAgent({ databases: [resource], dbClientCa, databaseCas: [dbCa.certPem] });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'pg' });
});
afterAll(async () => {
  await agent.stop();
  for (const socket of open) socket.destroy();
  database.close();
});
beforeEach(async () => {
  await agent.idle();
  agent.events.length = 0;
});

async function clientIn(): Promise<RawClient> {
  const client = await rawClient({ host: '127.0.0.1', port: agent.port });
  client.socket.write(
    startupPacket(0x3_0000, [
      ['user', 'analyst'],
      ['database', 'dev'],
    ]),
  );
  await client.until('Z');
  return client;
}

const EMPTY = encodeFrontend({ type: 'Query', query: '' });
/** EmptyQueryResponse and ReadyForQuery. */
const ANSWER = Buffer.from('49000000045a0000000549', 'hex');

test('M10 a chunk of tiny statements is recorded in turns, whole before it goes on, and others are served between', async () => {
  const count = 10_000;
  let [arrived, answered] = [0, 0];
  answer = (bytes) => {
    arrived += bytes.length;
    const length = Math.floor(arrived / EMPTY.length) - answered;
    answered += length;
    return Buffer.alloc(length * ANSWER.length, ANSWER);
  };
  const [client, other] = [await clientIn(), await clientIn()];
  const written: { statements: number; arrived: number }[] = [];
  agent.spool.append = async (events) => {
    const statements = (events as { event: string }[]).filter(({ event }) => event === 'db.session.query').length;
    written.push({ statements, arrived });
  };
  client.socket.write(Buffer.alloc(count * EMPTY.length, EMPTY));
  while (written.reduce((sum, { statements }) => sum + statements, 0) < count) await new Promise(setImmediate);
  expect(Math.max(...written.map(({ statements }) => statements))).toBeLessThan(count / 2);
  other.socket.write(EMPTY);
  await other.until('Z');
  // What the database has, was recorded before.
  let recorded = 0;
  for (const { statements, arrived: had } of written) {
    expect(had / EMPTY.length).toBeLessThanOrEqual(recorded);
    recorded += statements;
  }
  client.socket.destroy();
  other.socket.destroy();
  await agent.idle();
  agent.spool.append = async () => {};
});
