/** The audit log in pages: both ways, whatever the size of a page, nothing twice and nothing left out. Tests: src/audit/blocks.ts */
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditEvent } from '../../src/audit/events.js';
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
