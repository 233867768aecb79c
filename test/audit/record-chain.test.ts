/**
 * The format that travels: what an Auth Service, and `tctl audit verify`, may count on.
 * Tests: src/audit/events.ts
 */
import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { NO_RECORD_BEFORE, RecordChain, sumOfRecord } from '../../src/audit/record-chain.js';

const now = () => new Date('2026-11-21T12:00:00.123Z');
const chain = (common: Record<string, unknown> = { user: 'alice', sid: 's' }) =>
  new RecordChain(common, { clusterName: 'root.example.com', now });

test('records are numbered from 0, and each bears the SHA-256 of the text before it', () => {
  const session = chain();
  const texts: string[] = [];
  const put = (lines: string) => void texts.push(...lines.split('\n').slice(0, -1));
  session.append([session.record('db.session.start', 'ok', { success: true })], put);
  const query = (db_query: string) => session.record('db.session.query', 'ok', { db_query, success: true });
  session.append([query("select 'ü'"), query('')], put);
  session.append([session.record('db.session.end', 'ok', {}, { time: new Date(0), uid: 'u' })], put);

  const records = texts.map((text) => JSON.parse(text) as Record<string, unknown>);
  expect(records.map(({ ei }) => ei)).toEqual([0, 1, 2, 3]);
  const sums = texts.map((text) => createHash('sha256').update(text, 'utf8').digest('hex'));
  expect(sums).toEqual(texts.map(sumOfRecord));
  expect(records.map(({ prev }) => prev)).toEqual([NO_RECORD_BEFORE, ...sums.slice(0, -1)]);
  expect(NO_RECORD_BEFORE).toMatch(/^0{64}$/);
  expect(records[1]).toMatchObject({
    event: 'db.session.query',
    code: 'TDB02I',
    time: '2026-11-21T12:00:00.123Z',
    cluster_name: 'root.example.com',
    user: 'alice',
    sid: 's',
    db_query: "select 'ü'",
  });
  expect(records[2]).toMatchObject({ db_query: '' });
  expect(records[3]).toMatchObject({ uid: 'u', time: '1970-01-01T00:00:00.000Z' });
});

test('X5 what was not written leaves no gap', () => {
  const session = chain();
  const record = () => session.record('db.session.query', 'ok', { db_query: 'x' });
  const full = () => {
    throw new Error('full');
  };
  expect(() => session.append([record(), record()], full)).toThrow('full');
  const text = session.append([record()], (lines) => lines);
  expect(JSON.parse(text)).toMatchObject({ ei: 0, prev: NO_RECORD_BEFORE });
});

test('H2 a record that Auth would refuse is not written, and leaves no gap', () => {
  const session = chain({ user: 'alice', db_labels: { wide: '\u0001'.repeat(100_000) } });
  const written: string[] = [];
  const put = (lines: string) => void written.push(lines);
  const query = (bytes: number) => session.record('db.session.query', 'ok', { db_query: 'ü'.repeat(bytes / 2) });
  const refused = expect.objectContaining({ code: 'LimitExceeded', hint: expect.stringContaining('labels') });
  expect(() => session.append([query(2), query(2 ** 19)], put)).toThrow(refused);
  expect(written).toEqual([]);
  session.append([query(2)], put);
  expect(JSON.parse(written[0]!)).toMatchObject({ ei: 0, prev: NO_RECORD_BEFORE });
});

test('X12 no control character of a terminal or of Unicode stands raw in a record', () => {
  const hostile = 'a\x1b[2J\x7f\x85\x9b1m\u061c\u200f\u2028\u2029\u202e\u2066\u2069\ufeff\u200bü\u{1f600}\ud800';
  const session = chain({ user: hostile, sid: 's', db_labels: { [hostile]: hostile } });
  const text = session.append([session.record('db.session.query', 'ok', { db_query: hostile })], (lines) => lines);
  expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Cs}\u200b\ufeff]/u);
  expect(JSON.parse(text)).toMatchObject({ user: hostile, db_query: hostile, db_labels: { [hostile]: hostile } });
  expect(text).toContain('ü\u{1f600}');
});

test('a session without any field in common is one too', () => {
  const session = new RecordChain({}, { clusterName: '', now });
  const text = session.append([session.record('db.session.end', 'ok', {})], (lines) => lines);
  expect(Object.keys(JSON.parse(text))).toEqual(['ei', 'prev', 'event', 'uid', 'code', 'time']);
});
