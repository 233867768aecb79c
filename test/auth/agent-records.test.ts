/** What an agent says goes into the audit log with what Auth knows; what contradicts it does not. */
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { auditEvent } from '../../src/audit/events.js';
import { RecordChain } from '../../src/audit/record-chain.js';
import { recordText } from '../../src/audit/record-text.js';
import { MOST_IN_CALL, sortRecords } from '../../src/auth/agent-records.js';
import { CLUSTER, TestAuth } from './test-auth.js';

let cluster: TestAuth;
let agent: AuthClient;
let hostId: string;
beforeAll(async () => {
  cluster = await TestAuth.start();
  agent = await cluster.asHost('Db');
  ({ hostId } = await cluster.identity('Db'));
});
afterAll(() => cluster.remove());

const context = { clusterName: CLUSTER, now: () => new Date() };
const query = (more: object = {}) =>
  recordText({ ...auditEvent('db.session.query', 'ok', { user: 'alice', db_query: 'select 1' }, context), ...more });

test('X2 a record carries the time at which Auth had it and the host that delivered it, whatever it says itself', async () => {
  const before = new Date();
  const text = query({ user: 'somebody-else', time: '1999-01-01T00:00:00.000Z', server_id: hostId });
  expect((await agent.databaseAgent.emitAuditEvents({ events: [text] })).refused).toEqual([]);
  const found = (await cluster.events('db.session.query')).find(({ user }) => user === 'somebody-else');
  const event = found as unknown as { auth: { received: string; host: string } };
  expect(event.auth.host).toBe(hostId);
  expect(Date.parse(event.auth.received)).toBeGreaterThanOrEqual(before.getTime());
});

test('F13 what is refused is named in the answer, and the others are recorded', async () => {
  const events = [
    query({ db_query: 'first' }),
    'not JSON',
    query({ event: 'user.login', code: 'T1000I' }),
    query({ db_query: 'last' }),
  ];
  const { refused } = await agent.databaseAgent.emitAuditEvents({ events });
  expect(refused.map(({ index, reason }) => [index, reason])).toEqual([
    [1, 'it is not a JSON object'],
    [2, 'an agent has no such event'],
  ]);
  expect(refused[1]!.uid).toMatch(/^[0-9a-f-]{36}$/);
  const texts = (await cluster.events('db.session.query')).map((event) => event.db_query);
  expect(texts).toEqual(expect.arrayContaining(['first', 'last']));
  expect(await cluster.events('user.login')).toEqual([]);
});

/** Of so many bytes. */
function ofLength(bytes: number): string {
  const missing = bytes - query({ db_query: '' }).length;
  return query({ db_query: 'x'.repeat(missing) });
}

const teller = { hostId: 'h1', clusterName: CLUSTER };
test.each<[string, string, string | undefined]>([
  ['of a session', query({ server_id: 'h1' }), undefined],
  ['with a chain', query({ ei: 3, prev: '0'.repeat(64) }), undefined],
  ['of a newer agent', query({ event: 'db.session.news', code: 'TDB99I' }), undefined],
  ['of another host', query({ server_id: 'h2' }), 'its server_id is that of another host'],
  ['of another cluster', query({ cluster_name: 'x' }), 'its cluster_name is that of another cluster'],
  ['of a login', query({ event: 'user.login' }), 'an agent has no such event'],
  ['with the code of another event', query({ code: 'T1000I' }), 'db.session.query has not this code'],
  ['with a stamp of its own', query({ auth: {} }), 'it says what only Auth can say'],
  ['without uid', query({ uid: '' }), 'it has no uid'],
  ['without time', query({ time: 'yesterday' }), 'it has no time'],
  ['that is a list', '[]', 'it is not a JSON object'],
  ['that is null', 'null', 'it is not a JSON object'],
  ['that is too long', query({ db_query: 'x'.repeat(2 ** 20) }), 'it is longer than 1048576 bytes'],
  ['that is too long in bytes', query({ db_query: 'ü'.repeat(2 ** 19) }), 'it is longer than 1048576 bytes'],
  ['that is not too long', ofLength(2 ** 20), undefined],
  ['that is too long by one', ofLength(2 ** 20 + 1), 'it is longer than 1048576 bytes'],
  [
    'with a chain and a member twice',
    query({ prev: '0'.repeat(64) }).replace('"event":', '"event":"user.login","event":'),
    'it is not in the form of audit records',
  ],
  ['with a chain and two lines', `${query({ prev: '0'.repeat(64) })}\n{}`, 'it is not a JSON object'],
  [
    'with a chain and a space',
    query({ prev: '0'.repeat(64) }).replace(':', ': '),
    'it is not in the form of audit records',
  ],
])('a record %s', async (_, text, reason) => {
  const { taken, refused } = await sortRecords([text], teller);
  expect(refused.map((one) => one.reason)).toEqual(reason === undefined ? [] : [reason]);
  expect(taken).toHaveLength(reason === undefined ? 1 : 0);
});

test('a record without a chain, of an older agent, is written in the form of audit records', async () => {
  const text = `{"event": "db.session.query", "code": "TDB02I", "uid": "u", "time": "2026-11-21T00:00:00Z", "db_query": "\u0085"}`;
  expect((await sortRecords([text], teller)).taken[0]!.text).toBe(
    '{"event":"db.session.query","code":"TDB02I","uid":"u","time":"2026-11-21T00:00:00Z","db_query":"\\u0085"}',
  );
});

test('M7 a record that is short as it comes and too long as it would be written is refused', async () => {
  const flood = (count: number) =>
    JSON.stringify({ ...(JSON.parse(query()) as object), db_query: '\u007f'.repeat(count) });
  expect(flood(2 ** 19).length).toBeLessThan(2 ** 20);
  const { taken, refused } = await sortRecords([flood(2 ** 19), flood(100_000)], teller);
  expect(refused.map(({ index, reason }) => [index, reason])).toEqual([[0, 'it is longer than 1048576 bytes']]);
  expect(taken.map(({ text }) => text.length > 600_000)).toEqual([true]);
});

test('what an agent writes is taken letter for letter, whatever is in it', async () => {
  const chain = new RecordChain({ user: 'alice\u200b', sid: 's' }, context);
  for (let from = 0; from <= 0xffff; from += 256) {
    const chars = String.fromCharCode(...Array.from({ length: 256 }, (_, n) => from + n));
    const fields = { db_query: chars, db_labels: { [chars]: '1', __proto__x: '2', '7': '3' } };
    const line = chain.append([chain.record('db.session.query', 'ok', fields)], (text) => text.slice(0, -1));
    const { taken, refused } = await sortRecords([line], teller);
    expect(refused).toEqual([]);
    expect(taken[0]!.text).toBe(line);
    expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/);
  }
});

test('an agent of another version may escape more, and not less', async () => {
  const text = query({ prev: '0'.repeat(64), db_query: 'a\u00e9\u200b' });
  expect((await sortRecords([text.replace('\u00e9', '\\u00e9')], teller)).refused).toEqual([]);
  expect((await sortRecords([text.replace('\\u200b', '\u200b')], teller)).refused).toHaveLength(1);
  expect((await sortRecords([text.replace('"a', '"\\u0061')], teller)).refused).toHaveLength(1);
});

test('H4 a call with more records than an agent sends is refused by their number, before one is read', async () => {
  const parsed = jest.spyOn(JSON, 'parse');
  try {
    await expect(sortRecords(new Array<string>(MOST_IN_CALL + 1).fill(''), teller)).rejects.toMatchObject({
      code: 'BadParameter',
      message: '4097 audit records in one call, and 4096 are the most',
    });
    expect(parsed).not.toHaveBeenCalled();
  } finally {
    parsed.mockRestore();
  }
  expect((await sortRecords(new Array<string>(MOST_IN_CALL).fill(query()), teller)).taken).toHaveLength(MOST_IN_CALL);
});
