import { expect, test } from '@jest/globals';
import { ranStatements, resultText } from '../../../src/tsh/db/statements.js';

const common = { time: 't', db_service: 'sales', db_user: 'reader', db_name: 'dev', sid: 's1' };
const record = (event: string, more: object) => ({ ...common, event: `db.session.${event}`, ...more });
const step = (event: string, more: object) => record(`postgres.statements.${event}`, more);

test('a simple query has its text and what it came to', () => {
  const ran = ranStatements([
    record('query', { uid: '1', db_query: 'select 1' }),
    record('query', { uid: '2', db_query: 'selec', db_query_parts: 3 }),
    record('query', { uid: '3', db_query: 'insert' }),
    record('result', { uid_of: '2', success: false, sqlstate: '42601', error: 'syntax error' }),
    record('result', { uid_of: '1', success: true, rows: 1, duration_ms: 0.5 }),
    record('result', { uid_of: 'of an older one', success: true }),
  ]);
  expect(ran).toMatchObject([
    { text: 'select 1', isCut: false, result: { success: true, rows: 1, durationMs: 0.5 } },
    { text: 'selec', isCut: true, result: { success: false, sqlState: '42601', error: 'syntax error' } },
    { text: 'insert', database: 'sales', dbUser: 'reader', dbName: 'dev', session: 's1' },
  ]);
  expect(ran.map(resultText)).toEqual(['1 row', '42601', '']);
});

test('a prepared statement is one each time it is executed, in its own session', () => {
  const ran = ranStatements([
    step('parse', { uid: '1', statement_name: 'a', query: 'select $1' }),
    step('parse', { uid: '2', sid: 's2', statement_name: 'a', query: 'other' }),
    step('bind', { uid: '3', statement_name: 'a', portal_name: 'p' }),
    step('execute', { uid: '4', portal_name: 'p' }),
    step('bind', { uid: '5', statement_name: 'a' }),
    step('execute', { uid: '6' }),
    record('result', { uid_of: '6', success: true, affected_records: 2 }),
  ]);
  expect(ran.map(({ text }) => text)).toEqual(['select $1', 'select $1']);
  expect(ran.map(resultText)).toEqual(['', '2 rows']);
});

test('L1 a Parse or Bind that failed or was skipped hides nothing of what runs under its name', () => {
  const ran = ranStatements([
    step('parse', { uid: '1', statement_name: 'a', query: 'delete' }),
    step('parse', { uid: '2', statement_name: 'a', query: 'harmless' }),
    step('parse', { uid: '3', statement_name: 'b', query: 'harmless too' }),
    step('bind', { uid: '4', statement_name: 'a', portal_name: 'p' }),
    step('bind', { uid: '5', statement_name: 'b', portal_name: 'p' }),
    step('execute', { uid: '6', portal_name: 'p' }),
    record('result', { uid_of: '2', success: false, sqlstate: '42P05' }),
    record('result', { uid_of: '5', success: false, outcome: 'skipped' }),
    record('result', { uid_of: '6', success: true }),
  ]);
  expect(ran.map(({ text }) => text)).toEqual(['delete']);
});

test('H2 a result of statements in a row is that of each of them, in their session only', () => {
  const records = [
    step('parse', { uid: '1', statement_name: 'a', query: 'first' }),
    step('bind', { uid: '2', statement_name: 'a', portal_name: 'p' }),
    step('execute', { uid: '3', portal_name: 'p' }),
    record('query', { uid: '4', sid: 's2', db_query: 'of another session' }),
    step('parse', { uid: '5', statement_name: 'a', query: 'second' }),
    step('bind', { uid: '6', statement_name: 'a', portal_name: 'p' }),
    step('execute', { uid: '7', portal_name: 'p' }),
    record('result', { uid: '8', uid_of: '3', uid_to: '7', statements: 4, success: false, outcome: 'skipped' }),
    step('execute', { uid: '9', portal_name: 'p' }),
    record('query', { uid: '10', db_query: 'last' }),
    record('result', { uid: '11', uid_of: '9', uid_to: '10', statements: 2, success: false, outcome: 'unknown' }),
  ];
  const said = (of: typeof records) => ranStatements(of).map((one) => `${one.text}: ${resultText(one)}`);
  const all = ['first: unknown', 'of another session: ', 'first: unknown', 'first: unknown', 'last: unknown'];
  expect(said(records)).toEqual(all);
  // Where the records begin between them.
  expect(said(records.slice(4))).toEqual([
    '(prepared earlier): unknown',
    '(prepared earlier): unknown',
    'last: unknown',
  ]);
});

test('H2 what was prepared in a row of unknown results may have taken its name', () => {
  const ran = ranStatements([
    record('query', { uid: '1', db_query: 'slow' }),
    step('parse', { uid: '2', statement_name: 'a', query: 'text' }),
    step('bind', { uid: '3', statement_name: 'a' }),
    step('execute', { uid: '4' }),
    record('result', { uid: '5', uid_of: '1', uid_to: '4', statements: 2, success: false, outcome: 'unknown' }),
  ]);
  expect(ran.map(({ text }) => text)).toEqual(['slow', 'text']);
});

test('L1 names are those of PostgreSQL: 63 bytes', () => {
  const name = 'é'.repeat(31);
  const ran = ranStatements([
    step('parse', { uid: '1', statement_name: `${name}xy`, query: 'long' }),
    step('bind', { uid: '2', statement_name: `${name}xz`, portal_name: '\u00e9', portal_name_encoding: 'latin1' }),
    step('bind', { uid: '3', statement_name: 'other', portal_name: '\u00e9' }),
    step('execute', { uid: '4', portal_name: '\u00e9', portal_name_encoding: 'latin1' }),
  ]);
  expect(ran.map(({ text }) => text)).toEqual(['long']);
});

test('what was prepared before the records begin has its name, or nothing', () => {
  const ran = ranStatements([
    step('bind', { uid: '1', statement_name: 'old', portal_name: 'p' }),
    step('execute', { uid: '2', portal_name: 'p' }),
    step('execute', { uid: '3', portal_name: 'q' }),
    record('postgres.function', { uid: '4', function_oid: 17 }),
    record('result', { uid_of: '4', success: false }),
  ]);
  expect(ran.map(({ text }) => text)).toEqual(['(prepared: old)', '(prepared earlier)', '(function 17)']);
  expect(resultText(ran[2]!)).toBe('unknown');
});
