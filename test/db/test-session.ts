/**
 * One agent before a real PostgreSQL server that wants client certificates, for the tests of its sessions. What the names below
 * stand for is there once `useSessions` has been called and the first test begins.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach } from '@jest/globals';
import pg from 'pg';
import { createTestCa, type TestCa } from '../support/ca.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { LOGIN, role, startTestAgent, type TestAgent } from './agent.js';

export let server: Postgres;
export let agent: TestAgent;
export let strangerCa: TestCa;
let clock: () => Date = () => new Date();

/** The clock of the agent, until the test ends. */
export function setClock(now: () => Date): void {
  clock = now;
}

let stopPlain = () => {};
async function startPlain(): Promise<number> {
  const { createServer } = await import('node:net');
  const plain = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('N'));
  }).listen(0, '127.0.0.1');
  stopPlain = () => void plain.close();
  await once(plain, 'listening');
  return (plain.address() as { port: number }).port;
}

/** Server and agent for the tests of this file; each test begins with what a login needs. */
export function useSessions(): void {
  beforeAll(async () => {
    const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
    strangerCa = createTestCa('Stranger');
    server = await startPostgres({
      tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
      users: [{ name: 'analyst' }, { name: 'reporting' }],
      databases: [{ name: 'dev', owner: 'analyst' }],
    });
    const plain = await startPlain();
    const database = (name: string, spec: object = {}) => ({
      kind: 'db',
      version: 'v3',
      metadata: { name, labels: { env: 'dev' } },
      spec: { protocol: 'postgres', uri: `localhost:${server.port}`, ...spec },
    });
    agent = await startTestAgent({
      databases: [
        database('pg'),
        database('wrong-ca', { tls: { ca_cert: strangerCa.certPem } }),
        database('wrong-name', { tls: { server_name: 'db.example.com' } }),
        database('verify-ca', { tls: { mode: 'verify-ca', server_name: 'db.example.com' } }),
        database('verify-ca-wrong', { tls: { mode: 'verify-ca', ca_cert: strangerCa.certPem } }),
        database('insecure', { tls: { mode: 'insecure', ca_cert: strangerCa.certPem } }),
        database('no-tls', { uri: `localhost:${plain}` }),
        database('gone', { uri: 'localhost:1' }),
      ],
      dbClientCa,
      databaseCas: [dbCa.certPem],
      now: () => clock(),
    });
  });
  afterAll(async () => {
    await agent?.stop();
    await server?.stop();
    stopPlain();
  });
  beforeEach(async () => {
    await agent.idle();
    clock = () => new Date();
    agent.events.length = 0;
    agent.lines.length = 0;
    agent.roles = [role({})];
    agent.locks = [];
    agent.access = {};
    agent.spool.append = async () => {};
    await agent.as({ serviceName: 'pg' });
  });
}

export async function pgClient(): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: agent.port, ...LOGIN });
  client.on('error', () => {});
  await client.connect();
  return client;
}

export async function refusal(login: { user: string; database?: string } = LOGIN): Promise<string> {
  const session = await agent.session(login).catch((error: unknown) => error as Error);
  if (session instanceof Error) return session.message;
  session.close();
  throw new Error('was let in');
}

/** Everything up to the end of the connection. */
export async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Logged in by hand, so that nothing of ours reads what comes. */
export async function rawSession(version = 0x3_0000, parameters: [string, string][] = Object.entries(LOGIN)) {
  return await agent.rawSession(version, parameters);
}
