/** H1, H3: a record that Auth refuses or cannot read, from a real spool through Auth's real handler. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { auditEvent } from '../../src/audit/events.js';
import { MOST_RECORD_BYTES, recordText } from '../../src/audit/record-text.js';
import { type AuditSpool, openAuditSpool } from '../../src/audit/spool.js';
import { shipTo } from '../../src/db/ship.js';
import { silent } from '../../src/log.js';
import { CLUSTER, TestAuth } from '../auth/test-auth.js';

let cluster: TestAuth;
let agent: AuthClient;
let dir: string;
let spool: AuditSpool;
beforeAll(async () => {
  cluster = await TestAuth.start();
  agent = await cluster.asHost('Db');
});
afterAll(() => cluster.remove());
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ship-'));
  spool = await openAuditSpool({
    dir,
    ship: shipTo(agent),
    log: silent,
    gatherMs: 1,
    retryMs: { first: 1, longest: 2 },
  });
});
afterEach(async () => {
  await spool.close();
  rmSync(dir, { recursive: true });
});

const context = { clusterName: CLUSTER, now: () => new Date() };
const query = (db_query: string, more: object = {}) =>
  recordText({ ...auditEvent('db.session.query', 'ok', { user: 'alice', db_query }, context), ...more });

/** What was set aside. */
const aside = () =>
  readdirSync(join(dir, 'refused')).flatMap((name) =>
    readFileSync(join(dir, 'refused', name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { reason: string; record: string }),
  );

const recorded = async () => (await cluster.events('db.session.query')).map((event) => event.db_query);

test('H1 is kept with the reason, and those around it are recorded', async () => {
  const wrong = query('of somewhere else', { cluster_name: 'elsewhere' });
  const lines = [query('before'), wrong, query('after')];
  await spool.write(lines.map((line) => `${line}\n`).join(''), { user: 'alice' });
  await spool.drained();
  expect(await recorded()).toEqual(['before', 'after']);
  expect(aside()).toMatchObject([{ reason: 'its cluster_name is that of another cluster', record: wrong }]);
  expect(spool.state).toEqual({ waitingBytes: 0, refusedRecords: 1, isFailing: false });
});

test('H3 neither one as long as may be nor one that no message can hold stops those behind it', async () => {
  const long = query('', { user: 'x'.repeat(MOST_RECORD_BYTES - query('', { user: '' }).length) });
  const endless = query('endless', { user: 'x'.repeat(2_500_000) });
  // Together, with what frames each, a little more than Auth reads.
  const behind = Array.from({ length: 3_000 }, (_, n) => query(`${n} ${'x'.repeat(200)}`));
  const lines = [long, ...behind, endless, query('last')];
  const before = (await recorded()).length;
  await spool.write(lines.map((line) => `${line}\n`).join(''), { user: 'alice' });
  await spool.drained();
  expect((await recorded()).slice(before).map((text) => (text as string).replace(/ x+$/, ''))).toEqual([
    '',
    ...behind.map((_, n) => `${n}`),
    'last',
  ]);
  expect(aside()).toMatchObject([{ reason: 'it is longer than 1048576 bytes', record: endless }]);
});
