/** F13: a record that Auth does not take. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RefusedRecords } from '../../src/audit/refused.js';
import { openAuditSpool } from '../../src/audit/spool.js';
import { TeleportError } from '../../src/errors.js';
import { createLogger } from '../../src/log.js';
import { append, numbers, taking } from './records.js';

let dir: string;
let logged = '';
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
const now = () => new Date('2026-11-21T12:00:00Z');
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'refused-'));
  logged = '';
});
afterEach(() => rmSync(dir, { recursive: true }));

test('F13 is set aside with the reason and alarmed, and those around it arrive', async () => {
  const got: number[] = [];
  const bad = new Set([3, 4, 17]);
  const ship = taking((lines) => {
    if (numbers(lines).some((n) => bad.has(n))) throw new TeleportError('BadParameter', 'not of this agent');
    got.push(...numbers(lines));
  });
  const spool = await openAuditSpool({ dir, ship, log, now, gatherMs: 1 });
  await Promise.all(Array.from({ length: 20 }, (_, n) => append(spool, { n })));
  await spool.drained();
  expect(got).toEqual(Array.from({ length: 20 }, (_, n) => n).filter((n) => !bad.has(n)));
  expect(spool.state).toEqual({ waitingBytes: 0, refusedRecords: 3, isFailing: false });
  await spool.close();
  expect(readdirSync(join(dir, 'refused'))).toEqual(['2026-11-21.log']);
  const path = join(dir, 'refused', '2026-11-21.log');
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as object)).toEqual(
    [3, 4, 17].map((n) => ({ time: now().toISOString(), reason: 'not of this agent', record: `{"n":${n}}` })),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(logged).toContain('Auth refuses audit records, they are set aside in');
});

test('F13 another error than a refusal of the record sets nothing aside', async () => {
  const got: number[] = [];
  const failures = ['AccessDenied', 'LimitExceeded', 'ConnectionProblem'] as const;
  let calls = 0;
  const ship = taking((lines) => {
    const code = failures[calls++];
    if (code) throw new TeleportError(code, 'not now');
    got.push(...numbers(lines));
  });
  const spool = await openAuditSpool({ dir, ship, log, now, gatherMs: 1, retryMs: { first: 1, longest: 2 } });
  await append(spool, { n: 0 });
  await spool.drained();
  expect([got, spool.state.refusedRecords]).toEqual([[0], 0]);
  await spool.close();
});

test('F13 the folder is bounded: what does not fit is not taken', async () => {
  const refused = new RefusedRecords(join(dir, 'refused'), 300, now);
  await refused.add('x'.repeat(100), new Error('why'));
  const reason = expect.objectContaining({ code: 'LimitExceeded', hint: expect.stringContaining('remove its files') });
  await expect(refused.add('x'.repeat(200), new Error('why'))).rejects.toEqual(reason);
  expect(refused.count).toBe(1);
});
