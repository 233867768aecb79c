/**
 * A statement and its record: which comes first, and what becomes of the statement when the record cannot be had.
 * With a real PostgreSQL server and a real spool, on a disk that fills up where one can be mounted.
 * Tests: src/audit/spool.ts, src/db/engine.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type AuditSpool, type AuditSpoolOptions, openAuditSpool } from '../../src/audit/spool.js';
import { silent } from '../../src/log.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { taking } from '../audit/records.js';
import { createTestCa } from '../support/ca.js';
import { errorFields, type RawClient } from '../support/pg-raw.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { mountSmallDisk, testOnSmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';
import { type AuditRecord, role, startTestAgent, type TestAgent } from './agent.js';

let server: Postgres;
let agent: TestAgent;
let dir: string;
/** What reached Auth. */
let shipped: AuditRecord[];
let spool: AuditSpool | undefined;

beforeAll(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  server = await startPostgres({
    tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
    users: [{ name: 'analyst' }],
    databases: [{ name: 'dev', owner: 'analyst' }],
  });
  const database = (name: string, labels: Record<string, string>) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels },
    spec: { protocol: 'postgres', uri: `localhost:${server.port}` },
  });
  agent = await startTestAgent({
    databases: [database('pg', { env: 'dev' }), database('wide', wideLabels)],
    dbClientCa,
    databaseCas: [dbCa.certPem],
  });
  agent.roles = [role({})];
  await agent.as({ serviceName: 'pg' });
});
afterAll(async () => {
  await agent?.stop();
  await server?.stop();
});
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'order-'));
  shipped = [];
  await server.query('drop table if exists ran', { database: 'dev' });
  await server.query('create table ran (what text)', { database: 'dev' });
  await server.query('grant all on ran to analyst', { database: 'dev' });
});
afterEach(async () => {
  await agent.idle();
  await spool?.close();
  spool = undefined;
  rmSync(dir, { recursive: true });
});

const wideLabels = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`wide${n}`, 'x'.repeat(4000)]));

async function useSpool(options: Partial<AuditSpoolOptions> = {}): Promise<AuditSpool> {
  const ship = taking((lines) => shipped.push(...lines.map((line) => JSON.parse(line) as AuditRecord)));
  spool = await openAuditSpool({ dir, ship, log: silent, gatherMs: 1, retryMs: { first: 1, longest: 2 }, ...options });
  agent.context.spool = spool;
  return spool;
}

/** An Auth that never answers. */
const stuck: AuditSpoolOptions['ship'] = (_, signal) =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stop'))));

const clientIn = async (): Promise<RawClient> => (await agent.rawSession()).client;

const insert = (what: string) => encodeFrontend({ type: 'Query', query: `insert into ran values ('${what}')` });
const inserts = (name: string, count: number) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => insert(`${name} ${n}`)));

const ran = async () =>
  (await server.query('select what from ran', { database: 'dev' })).map(({ what }) => what as string);

/** Rows whose statement is not among the records. */
async function unrecorded(): Promise<string[]> {
  const texts = new Set(shipped.map(({ db_query }) => db_query));
  return (await ran()).filter((what) => !texts.has(`insert into ran values ('${what}')`));
}

/** The end of a session, as its client hears it. */
async function lastWords(client: RawClient): Promise<Record<string, string>> {
  const last = (await client.rest()).at(-1)!;
  client.socket.destroy();
  return errorFields(last);
}

test('H2 a statement whose record Auth would refuse does not run, and its client hears 54000', async () => {
  const own = await useSpool();
  await agent.as({ serviceName: 'wide' });
  const client = await clientIn();
  client.socket.write(insert('taken'));
  await client.until('Z');
  client.socket.write(insert('\x01'.repeat(50_000)));
  expect(await lastWords(client)).toMatchObject({ C: '54000', H: expect.stringContaining('labels of the database') });
  await agent.idle();
  await own.drained();
  await agent.as({ serviceName: 'pg' });
  expect(await ran()).toEqual(['taken']);
  expect(await unrecorded()).toEqual([]);
  expect(shipped.at(-1)).toMatchObject({ event: 'db.session.end' });
});

testOnSmallDisk(
  'X5 F2 on a full disk no statement runs unrecorded, alone or in a crowd, and the client hears 53100',
  async () => {
    const disk = mountSmallDisk(512);
    try {
      const files = await useSpool({ dir: join(disk.dir, 'spool'), segmentBytes: 8192 });
      const open = await Promise.all(Array.from({ length: 6 }, clientIn));
      const crowd = await clientIn();
      disk.fill();
      crowd.socket.write(inserts('crowd', 5000));
      expect(await lastWords(crowd)).toMatchObject({ C: '53100', M: expect.stringContaining('the disk is full') });
      for (const [n, client] of open.entries()) {
        client.socket.write(insert(`alone ${n} ${'x'.repeat(20_000)}`));
        expect(await lastWords(client)).toMatchObject({
          S: 'FATAL',
          C: '53100',
          H: expect.stringContaining('Free space'),
        });
      }
      await agent.idle();
      expect((await ran()).filter((what) => what.startsWith('alone'))).toEqual([]);
      disk.free();
      const after = await clientIn();
      after.socket.write(insert('after'));
      await after.until('Z');
      after.socket.destroy();
      await agent.idle();
      await files.drained();
      expect(await unrecorded()).toEqual([]);
      expect(await ran()).toContain('after');
      await files.close();
      spool = undefined;
    } finally {
      disk.unmount();
    }
  },
);

test('X5 a user who fills a share of the spool is refused with 53100, others work on', async () => {
  const files = await useSpool({
    maxBytes: 400_000,
    segmentBytes: 20_000,
    ship: stuck,
  });
  const mallory = await clientIn();
  const text = 'x'.repeat(10_000);
  for (let n = 0; n < 20; n++) mallory.socket.write(insert(`${n} ${text}`));
  expect(await lastWords(mallory)).toMatchObject({
    C: '53100',
    M: expect.stringContaining('the records of user "alice" that Auth has not taken yet fill their share'),
    H: expect.stringContaining('Auth Service'),
  });
  expect((await ran()).length).toBeLessThan(10);
  files.write('{"of":"somebody else"}\n', { user: 'bob' });
});

test('M2 results that fill the share of their user end the session, others work on, and the end is recorded', async () => {
  const maxBytes = 1_000_000;
  const files = await useSpool({ maxBytes, segmentBytes: 20_000, ship: stuck });
  const mallory = await clientIn();
  // Its message is 4,000 characters of which each is six in the record.
  const failing = encodeFrontend({ type: 'Query', query: "do $$ begin raise '%', repeat(chr(1), 4000); end $$" });
  mallory.socket.write(Buffer.concat(Array.from({ length: 80 }, () => failing)));
  expect(await lastWords(mallory)).toMatchObject({ C: '53100', M: expect.stringContaining('fill their share') });
  await agent.idle();
  expect(files.state.waitingBytes).toBeLessThan(maxBytes * 0.3);
  files.write('{"of":"somebody else"}\n', { user: 'bob' });
  await files.close();
  await useSpool();
  await spool!.drained();
  expect(shipped.at(-2)).toMatchObject({ event: 'db.session.end' });
});

test('X5 a disk that does not keep what it has taken ends the session with 58030 and without an answer', async () => {
  let isFailing = false;
  const fail = () => Promise.reject(Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' }));
  await useSpool({ sync: () => (isFailing ? fail() : Promise.resolve()) });
  const client = await clientIn();
  isFailing = true;
  client.socket.write(encodeFrontend({ type: 'Query', query: "select 'the answer'" }));
  expect(await lastWords(client)).toMatchObject({ C: '58030', M: expect.stringContaining('i/o error') });
  expect(client.received().toString()).not.toContain('the answer');
  isFailing = false;
});

test('X5 a client that pipelines has at most 64 records that are not durable', async () => {
  let release = () => {};
  let held: Promise<void> = Promise.resolve();
  const files = await useSpool({ sync: () => held });
  const client = await clientIn();
  held = new Promise((resolve) => (release = resolve));
  client.socket.setNoDelay(true);
  for (let n = 0; n < 300; n++) {
    client.socket.write(insert(`${n}`));
    if (n % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await until('some have run', async () => (await ran()).length > 0 || undefined);
  expect((await ran()).length).toBeLessThanOrEqual(64);
  release();
  await until('all have run', async () => (await ran()).length === 300 || undefined);
  client.socket.destroy();
  await agent.idle();
  await files.drained();
  expect(await unrecorded()).toEqual([]);
});
