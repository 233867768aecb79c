import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type AuditSpoolOptions, openAuditSpool } from '../../src/audit/spool.js';
import { silent } from '../../src/log.js';
import { append, numbers, taking } from './records.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'spool-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const retryMs = { first: 1, longest: 2 };
const open = (ship: Parameters<typeof taking>[0], options: Partial<AuditSpoolOptions> = {}) =>
  openAuditSpool({ dir, ship: taking(ship), log: silent, retryMs, ...options });
const never = () => new Promise<void>(() => {});
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

test('events are shipped in order and segments that are done disappear', async () => {
  const got: number[] = [];
  const spool = await open(async (lines) => void got.push(...numbers(lines)), { segmentBytes: 200, batchBytes: 64 });
  for (const n of upTo(100)) await append(spool, { n, text: 'ü'.repeat(20) });
  await spool.drained();
  expect(got).toEqual(upTo(100));
  await spool.close();
  expect(readdirSync(dir).filter((name) => name.endsWith('.spool')).length).toBeLessThanOrEqual(1);
});

test('a hand-over that fails is repeated until it succeeds, and nothing overtakes it', async () => {
  const got: number[] = [];
  let failures = 3;
  const spool = await open(async (lines) => {
    if (failures-- > 0) throw new Error('away');
    got.push(...numbers(lines));
  });
  await Promise.all(upTo(20).map((n) => append(spool, { n })));
  await spool.drained();
  expect(got).toEqual(upTo(20));
  await spool.close();
});

test('a restart goes on where shipping stopped, without the torn end of a crash', async () => {
  const first = await open(
    (_, signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stop')))),
  );
  await append(first, { n: 0 }, { n: 1 });
  await first.close();
  appendFileSync(join(dir, readdirSync(dir).find((name) => name.endsWith('.spool'))!), '{"n":2');
  const got: number[] = [];
  const second = await open(async (lines) => void got.push(...numbers(lines)));
  await append(second, { n: 3 });
  await second.drained();
  await second.close();
  const third = await open(async (lines) => void got.push(...numbers(lines)));
  await append(third, { n: 4 });
  await third.drained();
  await third.close();
  expect(got).toEqual([0, 1, 3, 4]);
});

test('an event that is longer than a hand-over goes alone', async () => {
  const got: string[][] = [];
  const spool = await open(async (lines) => void got.push(lines), { batchBytes: 16 });
  await append(spool, { n: 0 }, { n: 1, text: 'x'.repeat(1000) }, { n: 2 });
  await spool.drained();
  await spool.close();
  expect(numbers(got.flat())).toEqual([0, 1, 2]);
});

test('a full spool refuses with a reason instead of forgetting', async () => {
  const spool = await open(
    (_, signal) => Promise.race([never(), new Promise<void>((_, no) => signal.addEventListener('abort', no))]),
    {
      maxBytes: 1000,
    },
  );
  for (const user of ['a', 'b', 'c', 'd']) await append(spool, { user, text: 'x'.repeat(200) });
  const refused = expect.objectContaining({ code: 'LimitExceeded', message: expect.stringContaining('spool is full') });
  await expect(append(spool, { user: 'e', text: 'x'.repeat(70) })).rejects.toEqual(refused);
  await spool.close();
});
