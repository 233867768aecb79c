/** Tests: src/audit/events.ts, src/audit/read.ts. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type AuditEvent, auditEvent } from '../../src/audit/events.js';
import { readAuditEvents } from '../../src/audit/read.js';
import { openAuditLog } from '../../src/audit/writer.js';

let dir: string;
let clock: Date;
const now = () => clock;
const context = { clusterName: 'root.example.com', now };
const query = (text: string) => auditEvent('db.session.query', 'ok', { db_query: text, db_uri: '' }, context);
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'audit-'));
  clock = new Date('2026-11-21T23:59:00Z');
});
afterEach(() => rmSync(dir, { recursive: true }));

async function read(names?: string[]): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  const span = { dir, from: new Date('2026-11-21T00:00:00Z'), to: new Date('2026-11-23T00:00:00Z') };
  for await (const event of readAuditEvents({ ...span, ...(names ? { names } : {}) })) events.push(event);
  return events;
}

test('an event carries the common fields and leaves out empty ones, except those that are always written', () => {
  expect(query('')).toEqual({
    ei: 0,
    event: 'db.session.query',
    uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    code: 'TDB02I',
    time: '2026-11-21T23:59:00.000Z',
    cluster_name: 'root.example.com',
    db_query: '',
    db_uri: '',
  });
  const login = auditEvent('user.login', 'failed', { user: 'alice', success: false, error: '' }, context);
  expect(login).toMatchObject({ code: 'T1000W', success: false });
  expect(login).not.toHaveProperty('error');
});

test('events are read back in order from one private file a UTC day', async () => {
  const log = await openAuditLog({ dir, now });
  await Promise.all(['a', 'b', 'c'].map((text) => log.append([query(text)])));
  clock = new Date('2026-11-22T00:00:01Z');
  await log.append([query('d'), auditEvent('user.login', 'ok', { user: 'alice' }, context)]);
  await log.close();
  expect(readdirSync(dir).sort()).toEqual(['2026-11-21.log', '2026-11-22.log']);
  expect(statSync(join(dir, '2026-11-21.log')).mode & 0o777).toBe(0o600);
  expect((await read()).map((event) => event.db_query ?? event.event)).toEqual(['a', 'b', 'c', 'd', 'user.login']);
  expect(await read(['user.login'])).toHaveLength(1);
});

test('L5 a uid that was used elsewhere, or for another text, hides no record', async () => {
  const text = (db_query: string) => JSON.stringify({ ...query(db_query), uid: 'u' });
  const first = await openAuditLog({ dir, now });
  await first.take([{ uid: 'u', text: text('of one host') }], 'one');
  await first.take([{ uid: 'u', text: text('of another') }], 'other');
  await first.close();
  const second = await openAuditLog({ dir, now });
  await second.take([{ uid: 'u', text: text('of one host') }], 'one');
  await second.take([{ uid: 'u', text: text('of one host') }], 'other');
  await second.take([{ uid: 'u', text: text('something else') }], 'one');
  await second.close();
  const texts = (await read(['db.session.query'])).map((event) => event.db_query);
  expect(texts).toEqual(['of one host', 'of another', 'of one host', 'something else']);
});

test('a repeated event is acknowledged and written once, also after a restart', async () => {
  const event = query('select 1');
  const first = await openAuditLog({ dir, now });
  await Promise.all([first.append([event, event]), first.append([event])]);
  await first.close();
  const second = await openAuditLog({ dir, now });
  await second.append([event, query('select 2')]);
  await second.close();
  expect((await read()).map(({ db_query }) => db_query)).toEqual(['select 1', 'select 2']);
});

test('a torn last line is cut off when the log is opened again', async () => {
  const first = await openAuditLog({ dir, now });
  await first.append([query('a')]);
  await first.close();
  const path = join(dir, '2026-11-21.log');
  appendFileSync(path, '{"event":"db.session.query","uid":"to');
  expect(await read()).toHaveLength(1);
  const second = await openAuditLog({ dir, now });
  await second.append([query('b')]);
  await second.close();
  expect((await read()).map(({ db_query }) => db_query)).toEqual(['a', 'b']);
  expect(readFileSync(path, 'utf8').endsWith('}\n')).toBe(true);
});

test('an event without uid and a closed log are refused', async () => {
  const log = await openAuditLog({ dir, now });
  await expect(log.append([{ event: 'x' }])).rejects.toMatchObject({ code: 'BadParameter' });
  await log.close();
  await expect(log.append([query('a')])).rejects.toMatchObject({ code: 'ConnectionProblem' });
});
