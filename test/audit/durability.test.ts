/**
 * What becomes of those who wait when the disk does not keep what it has taken.
 * Tests: src/audit/segment.ts
 */
import { fdatasync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openAuditSpool } from '../../src/audit/spool.js';
import { createLogger } from '../../src/log.js';
import { append, numbers, taking } from './records.js';

let dir: string;
let logged = '';
const log = createLogger({ component: 'TEST', level: 'info', write: (line) => (logged += line) });
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'durable-'));
  logged = '';
});
afterEach(() => rmSync(dir, { recursive: true }));

const realSync = promisify(fdatasync);
const owner = { user: 'alice' };

test('records of a moment share one fdatasync, and what comes meanwhile shares the next', async () => {
  let syncs = 0;
  let release = () => {};
  const first = new Promise<void>((resolve) => (release = resolve));
  const sync = async (fd: number) => {
    if (syncs++ === 0) await first;
    await realSync(fd);
  };
  const spool = await openAuditSpool({ dir, ship: taking(), log, sync });
  const early = [1, 2, 3].map((n) => append(spool, { n }));
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const late = [4, 5].map((n) => append(spool, { n, user: 'bob' }));
  release();
  await Promise.all([...early, ...late]);
  expect(syncs).toBe(2);
  await spool.close();
});

test('X5 a failed fdatasync ends those who wait, is not tried again, and the next record begins a segment', async () => {
  const synced: number[] = [];
  let failures = 0;
  const got: number[] = [];
  const sync = async (fd: number) => {
    synced.push(fd);
    if (failures++ === 0) throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    await realSync(fd);
  };
  const spool = await openAuditSpool({ dir, ship: taking((lines) => got.push(...numbers(lines))), log, sync });
  const waiting = [spool.write('{"n":1}\n', owner), spool.write('{"n":2}\n', { user: 'bob' })];
  for (const record of waiting) await expect(record).rejects.toMatchObject({ code: 'ConnectionProblem' });
  await append(spool, { n: 3 });
  const [failed, ...later] = synced;
  expect(later.length).toBeGreaterThan(0);
  expect(later).not.toContain(failed);
  expect(logged).toContain('Audit events cannot be recorded');
  await spool.drained();
  // What can still be read of the segment is shipped all the same.
  expect(got).toEqual([1, 2, 3]);
  await spool.close();
});
