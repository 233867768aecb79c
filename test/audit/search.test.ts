/** The audit log in pages: both ways, whatever the size of a page, nothing twice and nothing left out. Tests: src/audit/blocks.ts */
import { appendFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditEvent } from '../../src/audit/events.js';
import { readAuditEvents } from '../../src/audit/read.js';
import { recordText } from '../../src/audit/record-text.js';
import { type AuditSearch, searchAuditLog } from '../../src/audit/search.js';
import { openAuditLog } from '../../src/audit/writer.js';

let dir: string;
let clock = new Date('2026-11-21T12:00:00Z');
const now = () => clock;
const context = { clusterName: 'root.example.com', now };
const COUNT = 900;
const all = Array.from({ length: COUNT + 3 }, (_, n) => n);
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'audit-'));
  const log = await openAuditLog({ dir, now });
  for (const n of all.slice(0, COUNT)) {
    if (n === 600) clock = new Date('2026-11-22T12:00:00Z');
    const [user, db_service] = [n % 3 === 0 ? 'alice' : 'bob "the\u0085"', n % 2 === 0 ? 'sales' : 'hr'];
    // Lines of all lengths, some longer than a block.
    const db_query = 'x'.repeat(n % 250 === 7 ? 300_000 : (n * 37) % 2000);
    const name = n % 5 === 0 ? 'db.session.start' : 'db.session.query';
    await log.append([auditEvent(name, 'ok', { n, user, db_service, db_query }, context)]);
  }
  clock = new Date('2026-11-23T00:00:10Z');
  const late = { n: COUNT, user: 'carol', time: '2026-11-22T23:59:59.000Z' };
  const liar = { n: COUNT + 1, user: 'carol', time: '1999-01-01T00:00:00.000Z' };
  await log.append([auditEvent('client.disconnect', 'ok', late, context)]);
  await log.append([auditEvent('client.disconnect', 'ok', liar, context)]);
  await log.append([auditEvent('user.login', 'ok', { n: COUNT + 2, user: 'alice', success: true }, context)]);
  await log.close();
  appendFileSync(join(dir, '2026-11-22.log'), 'not a record\n');
  appendFileSync(join(dir, '2026-11-23.log'), '{"half":');
});
afterAll(() => rmSync(dir, { recursive: true }));

async function found(search: Partial<AuditSearch> = {}): Promise<number[]> {
  const numbers: number[] = [];
  let start = '';
  for (let page = 0; page < 3000; page++) {
    const whole = { from: new Date('1990-01-01T00:00:00Z'), to: new Date('2030-01-01T00:00:00Z'), limit: 1000 };
    const { lines, next } = await searchAuditLog(dir, { ...whole, ...search, start });
    expect(lines.length).toBeLessThanOrEqual(search.limit ?? 1000);
    numbers.push(...lines.map((line) => (JSON.parse(line) as { n: number }).n));
    if (next === '') return numbers;
    start = next;
  }
  throw new Error('it does not end');
}

test.each([1, 7, 1000])('all of it, %d records a page, forwards and backwards', async (limit) => {
  expect(await found({ limit })).toEqual(all);
  expect(await found({ limit, newestFirst: true })).toEqual([...all].reverse());
});

test('of a user, a database, kinds, and all of these at once', async () => {
  expect(await found({ user: 'alice', limit: 50 })).toEqual(
    all.filter((n) => (n < COUNT ? n % 3 === 0 : n === COUNT + 2)),
  );
  expect(await found({ user: 'bob "the\u0085"' })).toEqual(all.filter((n) => n < COUNT && n % 3 !== 0));
  expect(await found({ database: 'hr' })).toEqual(all.filter((n) => n < COUNT && n % 2 === 1));
  expect(await found({ kinds: ['db.session.start', 'user.login'] })).toEqual(
    all.filter((n) => (n < COUNT ? n % 5 === 0 : n === COUNT + 2)),
  );
  expect(
    await found({ kinds: ['db.session.'], user: 'alice', database: 'sales', newestFirst: true, limit: 3 }),
  ).toEqual(all.filter((n) => n < COUNT && n % 6 === 0).reverse());
  expect(await found({ user: 'nobody' })).toEqual([]);
});

test('a span of time finds what happened in it and what Auth received in it', async () => {
  const day = { from: new Date('2026-11-22T00:00:00Z'), to: new Date('2026-11-23T00:00:00Z') };
  expect(await found(day)).toEqual(all.slice(600, COUNT + 1));
  const night = { from: new Date('2026-11-23T00:00:00Z'), to: new Date('2026-11-24T00:00:00Z') };
  expect(await found(night)).toEqual([COUNT, COUNT + 1, COUNT + 2]);
});

test('a place that no page named is refused', async () => {
  const search = { from: new Date(0), to: new Date(), limit: 1 };
  for (const start of ['x', '../../etc/passwd:0', '2026-11-21:-1', '2026-11-21']) {
    await expect(searchAuditLog(dir, { ...search, start })).rejects.toMatchObject({ code: 'BadParameter' });
  }
  const behind = await searchAuditLog(dir, { ...search, start: '2026-11-21:99999999999' });
  expect(behind.lines.map((line) => JSON.parse(line).n)).toEqual([600]);
});

/** A log of its own, with these records of one day. */
async function withLog<T>(records: object[], use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'audit-'));
  try {
    const log = await openAuditLog({ dir: folder, now: () => new Date('2026-11-22T12:00:00Z') });
    await log.take(
      records.map((record, n) => ({
        uid: `${n}`,
        text: 'text' in record ? String(record.text) : JSON.stringify(record),
      })),
      'agent',
    );
    await log.close();
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const day = { from: new Date('2026-11-22T00:00:00Z'), to: new Date('2026-11-23T00:00:00Z'), limit: 10 };
const time = '2026-11-22T12:00:00.000Z';

test.each([true, false])(
  'M8 records that a clock or a name has put into the file of a later day are found (newest first: %s)',
  async (newestFirst) => {
    await withLog([{ n: 1, time }], async (folder) => {
      renameSync(join(folder, '2026-11-22.log'), join(folder, '2099-01-01.log'));
      expect((await searchAuditLog(folder, { ...day, newestFirst })).lines).toHaveLength(1);
      const read: unknown[] = [];
      for await (const one of readAuditEvents({ dir: folder, ...day })) read.push(one.n);
      expect(read).toEqual([1]);
    });
  },
);

test('M7 a line that no message could hold is shown without its long members, and what stands behind it too', async () => {
  const long = { event: 'db.session.query', time, uid: 'u', db_query: '\u007f'.repeat(2 ** 20) };
  await withLog([{ text: recordText(long) }, { n: 2, time }], async (folder) => {
    const { lines, next } = await searchAuditLog(folder, day);
    expect(next).toBe('');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { event: 'db.session.query', uid: 'u', auth: { n: 1 }, shortened_bytes: expect.any(Number) },
      { n: 2 },
    ]);
    expect(lines[0]!.length).toBeLessThan(1000);
  });
});

test('L3 a name is found in every spelling in which an agent may have sent it', async () => {
  const records = [
    { text: `{"user":"zo\u00e9","time":"${time}"}` },
    { text: `{"user":"zo\\u00e9","time":"${time}"}` },
    { user: 'zoe', time },
  ];
  await withLog(records, async (folder) => {
    expect((await searchAuditLog(folder, { ...day, user: 'zo\u00e9' })).lines).toHaveLength(2);
  });
});

test('L4 what happened before a moment is left out, whenever it was received', async () => {
  const records = [
    { n: 1, time: '2026-11-21T12:00:00.000Z' },
    { n: 2, time },
  ];
  await withLog(records, async (folder) => {
    const happenedSince = new Date('2026-11-22T00:00:00Z');
    const { lines } = await searchAuditLog(folder, { ...day, happenedSince });
    expect(lines.map((line) => JSON.parse(line).n)).toEqual([2]);
  });
});
