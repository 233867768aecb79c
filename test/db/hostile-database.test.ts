/**
 * A database server that answers the administrator of automatic users as it likes.
 * Tests: src/db/auto-users.ts, src/db/user-postgres.ts
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isTeleportError } from '../../src/errors.js';
import { encodeBackend } from '../../src/pg/encode.js';
import type { BackendMessage } from '../../src/pg/messages.js';
import type { Database } from '../../src/resources/types.js';
import { createTestCa } from '../support/ca.js';
import { until } from '../support/until.js';
import { role, startTestAgent, type TestAgent, USER } from './agent.js';
import { type ScriptedDatabase, startScriptedDatabase } from './scripted-database.js';

let server: ScriptedDatabase;
let database: Database;
let agent: TestAgent;
/** What it says to a statement; undefined: nothing. */
let answer: (sql: string) => BackendMessage[] | undefined;
/** What it was asked. */
let asked: string[];

const done: BackendMessage[] = [
  { type: 'CommandComplete', commandTag: 'DONE' },
  { type: 'ReadyForQuery', txStatus: 'T' },
];
const row = (...values: string[]): BackendMessage => ({
  type: 'DataRow',
  values: values.map((one) => Buffer.from(one)),
});
const isFacts = (sql: string) => sql.includes("SELECT 'me'");
const isLook = (sql: string) => sql.includes('GROUP BY u.oid');

beforeEach(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  server = await startScriptedDatabase(dbCa);
  // Whole messages only: what is asked ends in a Sync, or is a Query.
  let came = Buffer.alloc(0);
  asked = [];
  server.answer = (bytes) => {
    came = Buffer.concat([came, bytes]);
    if (came.includes('X\0\0\0\u0004')) came = Buffer.alloc(0);
    const isQuery = came[0] === 0x51 && came.length === 1 + came.readUInt32BE(1);
    if (!isQuery && !came.subarray(-5).equals(Buffer.from('S\0\0\0\u0004'))) return Buffer.alloc(0);
    const sql = came.toString('latin1');
    came = Buffer.alloc(0);
    asked.push(sql);
    return Buffer.concat((answer(sql) ?? []).map(encodeBackend));
  };
  database = {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', labels: {} },
    spec: { protocol: 'postgres', uri: `localhost:${server.port}`, admin_user: { name: 'boss' } },
  };
  agent = await startTestAgent({ databases: [database], dbClientCa, databaseCas: [dbCa.certPem] });
  agent.roles = [role({ db_roles: ['reader'], db_users: [] }, { create_db_user_mode: 'keep' })];
  await agent.as({ serviceName: 'pg' });
});

afterEach(async () => {
  server.stop();
  await agent.stop();
});

async function refusal(): Promise<string> {
  const refused = await agent.session({ user: USER, database: 'dev' }).catch((error: unknown) => error);
  if (!isTeleportError(refused)) throw new Error('was let in');
  return refused.message;
}

test('R-B3 one that goes silent keeps nobody for longer than a statement may take', async () => {
  answer = (sql) => (isFacts(sql) ? undefined : done);
  expect(await refusal()).toContain('no end of the statement within 15 s');
});

test('R-B3 where Auth no longer holds the user, its change is left at once', async () => {
  answer = (sql) => (isFacts(sql) ? undefined : done);
  const refused = refusal();
  await until('the look', () => asked.some(isFacts) || undefined);
  agent.loseLocks();
  expect(await refused).toContain('Auth has gone');
});

test('R-B5 one that answers with rows without end is left before they fill the memory', async () => {
  answer = (sql) => (isFacts(sql) ? Array<BackendMessage>(20_000).fill(row()) : done);
  expect(await refusal()).toContain('the results of the database are more than 10000 rows');
});

test('R-B6 one that names who was left behind: only who can be, and not without end', async () => {
  const names = ['pg_x', 'x'.repeat(64), 'y'.repeat(60_000), ...Array.from({ length: 300 }, (_, at) => `user${at}`)];
  let of = '';
  answer = (sql) => {
    if (isLook(sql)) return [...names.map((name) => row(name, 'false')), ...done];
    if (!isFacts(sql)) return done;
    of = sql.match(/user[0-9]+/)![0];
    const hasRoles = asked.filter((one) => isFacts(one) && one.includes(`${of}\0`)).length === 1;
    return [
      row('me', 'boss', 'true'),
      row('version', '150000', ''),
      row('user', of, 'true'),
      row('role', 'teleport-auto-user', 'boss'),
      ...(hasRoles ? [row('role', 'reader', 'boss')] : []),
      ...done,
    ];
  };
  const ended: string[] = [];
  await agent.context.autoUsers.sweep(database, (user) => ended.push(user));
  expect(ended).toHaveLength(100);
  expect(ended.filter((name) => !/^user[0-9]+$/.test(name))).toEqual([]);
});
