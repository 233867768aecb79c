/**
 * Who may read the audit log: with a rule on events all of it, everybody else what she ran herself.
 * Tests: src/api/audit-lines.ts, src/auth/grpc/audit-reader.ts
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditQuery, auditLines } from '../../src/api/audit-lines.js';
import type { AuthClient } from '../../src/api/client.js';
import { auditEvent } from '../../src/audit/events.js';
import { recordText } from '../../src/audit/record-text.js';
import { CLUSTER, TestAuth } from './test-auth.js';

let cluster: TestAuth;
let alice: AuthClient;
let auditor: AuthClient;
beforeAll(async () => {
  cluster = await TestAuth.start();
  const as = async (name: string, roles: string[]) =>
    await cluster.as(await cluster.login(name, await cluster.invite(name, roles)));
  const admin = await cluster.asHost('Admin');
  await admin.auth.upsertRoleV2({ role: { version: 'v7', metadata: { name: 'dev' }, spec: {} } });
  alice = await as('alice', ['dev']);
  auditor = await as('ann', ['auditor']);
  const agent = await cluster.asHost('Db');
  const query = (user: string, n: number) =>
    recordText(
      auditEvent(
        'db.session.query',
        'ok',
        { user, db_service: 'sales', db_query: `select ${n}` },
        { clusterName: CLUSTER, now: () => new Date() },
      ),
    );
  for (let n = 0; n < 30; n++) {
    await agent.databaseAgent.emitAuditEvents({ events: [query('alice', n), query('bob', 100 + n)] });
  }
});
afterAll(() => cluster.remove());

async function read(client: AuthClient, query: Partial<AuditQuery> = {}): Promise<Record<string, unknown>[]> {
  const found: Record<string, unknown>[] = [];
  for await (const line of auditLines(client, { limit: 0, ...query })) found.push(JSON.parse(line));
  return found;
}
const texts = (records: Record<string, unknown>[]) => records.map(({ db_query }) => db_query);

test('a rule on events shows everything', async () => {
  const kinds = new Set((await read(auditor)).map(({ event }) => event));
  expect([...kinds]).toEqual(expect.arrayContaining(['user.create', 'user.login', 'db.session.query']));
  expect(texts(await read(auditor, { user: 'bob', kinds: ['db.session.'], limit: 2 }))).toEqual([
    'select 100',
    'select 101',
  ]);
});

test('without one it is refused', async () => {
  await expect(read(alice)).rejects.toMatchObject({
    code: 'AccessDenied',
    message: expect.stringContaining('access denied to perform action "list" on "event"'),
  });
  const agent = await cluster.asHost('Db');
  await expect(read(agent)).rejects.toMatchObject({ code: 'AccessDenied' });
  await expect(read(agent, { own: true })).rejects.toMatchObject({ code: 'AccessDenied' });
  await expect(read(await cluster.as({}), { own: true })).rejects.toMatchObject({ code: 'AccessDenied' });
});

test('one’s own statements need none, and are nobody else’s', async () => {
  const own = await read(alice, { own: true, newestFirst: true, limit: 5 });
  expect(texts(own)).toEqual([29, 28, 27, 26, 25].map((n) => `select ${n}`));
  expect(new Set((await read(alice, { own: true })).map(({ user }) => user))).toEqual(new Set(['alice']));
  expect(new Set((await read(alice, { own: true, user: 'bob' })).map(({ user }) => user))).toEqual(new Set(['alice']));
  await expect(read(alice, { own: true, kinds: ['user.login'] })).rejects.toMatchObject({ code: 'AccessDenied' });
  await expect(read(alice, { own: true, kinds: ['db.'] })).rejects.toMatchObject({ code: 'AccessDenied' });
});

test('what ran under a name before somebody had it is not hers', async () => {
  const agent = await cluster.asHost('Db');
  const context = { clusterName: CLUSTER, now: cluster.now };
  const said = (db_query: string) =>
    recordText(auditEvent('db.session.query', 'ok', { user: 'carol', db_query }, context));
  await agent.databaseAgent.emitAuditEvents({ events: [said('of another carol')] });
  const carol = await cluster.as(await cluster.login('carol', await cluster.invite('carol', ['dev'])));
  const late = { ...JSON.parse(said('of another carol, sent late')), time: '2026-01-01T00:00:00.000Z' };
  await agent.databaseAgent.emitAuditEvents({ events: [said('her own'), recordText(late)] });
  expect(texts(await read(carol, { own: true }))).toEqual(['her own']);
});

test('words are bounded, and the refusal says by what', async () => {
  await expect(read(auditor, { user: 'x'.repeat(1025) })).rejects.toMatchObject({
    code: 'BadParameter',
    message: expect.stringContaining('the request has 1025 characters in user, and 1024 are the most'),
  });
  await expect(read(auditor, { kinds: ['x'.repeat(1025)] })).rejects.toThrow('characters in one of kinds');
  await expect(read(auditor, { kinds: Array.from({ length: 51 }, () => 'x') })).rejects.toMatchObject({
    code: 'BadParameter',
    message: expect.stringContaining('the request has 51 kinds, and 50 are the most'),
  });
});
