/** What the tap does to others: how long it keeps the agent's one thread. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { SessionAudit } from '../../src/db/session-audit.js';
import { StatementTap } from '../../src/db/statement-tap.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { UserTurns } from '../../src/turns.js';
import { createTestCa } from '../support/ca.js';
import type { RawClient } from '../support/pg-raw.js';
import { role, startTestAgent, type TestAgent } from './agent.js';
import { type ScriptedDatabase, startScriptedDatabase } from './scripted-database.js';

let database: ScriptedDatabase;
let agent: TestAgent;

beforeAll(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  database = await startScriptedDatabase(dbCa);
  const resource = {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', labels: { env: 'dev' } },
    spec: { protocol: 'postgres', uri: `localhost:${database.port}` },
  };
  agent = await startTestAgent({ databases: [resource], dbClientCa, databaseCas: [dbCa.certPem] });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'pg' });
});
afterAll(async () => {
  await agent.stop();
  database.stop();
});
beforeEach(async () => {
  await agent.idle();
  agent.events.length = 0;
});

const clientIn = async (): Promise<RawClient> => (await agent.rawSession()).client;

const EMPTY = encodeFrontend({ type: 'Query', query: '' });
/** That a socket gives at once. */
const MOST_CHUNK_BYTES = 65_536;
/** EmptyQueryResponse and ReadyForQuery. */
const ANSWER = Buffer.from('49000000045a0000000549', 'hex');

test('M10 a chunk of tiny statements is recorded in turns, whole before it goes on, and others are served between', async () => {
  const count = 10_000;
  let [arrived, answered] = [0, 0];
  database.answer = (bytes) => {
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

test('H2 of 60,000 messages that nobody answers the database gets 20,000 and one chunk, and their end is two records', async () => {
  let arrived = 0;
  database.answer = (bytes) => {
    arrived += bytes.length;
    return Buffer.alloc(0);
  };
  const [client, other] = [await clientIn(), await clientIn()];
  client.socket.on('error', () => {});
  client.socket.write(Buffer.alloc(60_000 * EMPTY.length, EMPTY));
  while (arrived < 20_000 * EMPTY.length) await new Promise(setImmediate);
  database.answer = () => ANSWER;
  for (let n = 0; n < 3; n++) {
    other.socket.write(EMPTY);
    await other.until('Z');
  }
  const most = 20_000 + MOST_CHUNK_BYTES / EMPTY.length;
  const recorded = () => agent.events.filter(({ event }) => event === 'db.session.query').length - 3;
  expect(recorded()).toBeLessThanOrEqual(most);
  // The agent does not read on, so it is the database that hangs up.
  database.hangUp();
  client.socket.destroy();
  other.socket.destroy();
  await agent.idle();
  const [ran, ...others] = agent.events.filter(({ outcome }) => outcome !== undefined);
  expect(ran).toMatchObject({ outcome: 'unknown', success: false });
  expect(others).toEqual([expect.objectContaining({ outcome: 'unknown', statements: recorded() - 1 })]);
  expect(agent.events.find(({ uid }) => uid === others[0]!.uid_to)).toMatchObject({ event: 'db.session.query' });
  expect(recorded()).toBeLessThanOrEqual(most);
});

test('H2 room is waited for also where records are not durable, and in chunks of more than 64 statements', async () => {
  let statements = 0;
  const audit = {
    statement: () => String(statements++),
    result() {},
    write() {},
    pause: () => Promise.resolve(),
    undurable: 1_000,
    durable: Promise.resolve(),
  };
  let now = 0;
  const tap = new StatementTap(audit as unknown as SessionAudit, new UserTurns(() => (now += 1e6)).of('alice'));
  const chunk = Buffer.alloc(1_000 * EMPTY.length, EMPTY);
  for (let n = 0; n <= 20; n++) await tap.fromClient(chunk);
  expect(statements).toBe(21_000);
  const held = tap.fromClient(chunk);
  for (let n = 0; n < 100; n++) await new Promise(setImmediate);
  expect(statements).toBe(21_000);
  tap.follow.push(Buffer.alloc(1_000 * ANSWER.length, ANSWER));
  await held;
  expect(statements).toBe(22_000);
});

test('H2 results are written in turns, a hundred at a time', async () => {
  const count = 10_000;
  let arrived = 0;
  database.answer = (bytes) => {
    arrived += bytes.length;
    return arrived === count * EMPTY.length ? Buffer.alloc(count * ANSWER.length, ANSWER) : Buffer.alloc(0);
  };
  const client = await clientIn();
  const written: number[] = [];
  agent.spool.append = async (events) => {
    const results = (events as { event: string }[]).filter(({ event }) => event === 'db.session.result').length;
    if (results > 0) written.push(results);
  };
  client.socket.write(Buffer.alloc(count * EMPTY.length, EMPTY));
  for (let n = 0; n < count; n++) await client.until('Z');
  client.socket.destroy();
  await agent.idle();
  agent.spool.append = async () => {};
  expect(written.reduce((sum, results) => sum + results, 0)).toBe(count);
  expect(Math.max(...written)).toBe(100);
});
