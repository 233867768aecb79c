/** The way to Auth: how often the position is written, and what a call holds. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openAuditSpool } from '../../src/audit/spool.js';
import { silent } from '../../src/log.js';
import { until } from '../support/until.js';
import { append, numbers, taking } from './records.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'shipper-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const position = () => JSON.parse(readFileSync(join(dir, 'shipped'), 'utf8')) as { segment: number; offset: number };

test('the position is written once a second, and at the end', async () => {
  const spool = await openAuditSpool({ dir, log: silent, gatherMs: 1, ship: taking() });
  const written = new Set<bigint>();
  const look = () => {
    const facts = statSync(join(dir, 'shipped'), { bigint: true, throwIfNoEntry: false });
    if (facts) written.add(facts.mtimeNs);
    return facts;
  };
  const start = performance.now();
  for (let n = 0; n < 100; n++) {
    await append(spool, { n });
    await spool.drained();
    look();
  }
  await until('it is written', () => look() || undefined);
  const seconds = (performance.now() - start) / 1000;
  expect(written.size).toBeLessThanOrEqual(1 + Math.ceil(seconds));
  await append(spool, { n: 100 });
  await spool.drained();
  await spool.close();
  const all = Array.from({ length: 101 }, (_, n) => `{"n":${n}}\n`).join('');
  expect(position()).toEqual({ segment: 1, offset: all.length });
});

test('one call holds what comes in a moment, up to its size, and one is made at a time', async () => {
  const calls: number[] = [];
  let running = 0;
  const spool = await openAuditSpool({
    dir,
    log: silent,
    gatherMs: 60_000,
    batchBytes: 1000,
    ship: taking(async (lines) => {
      running += 1;
      expect(running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      calls.push(lines.length);
    }),
  });
  await Promise.all(Array.from({ length: 95 }, (_, n) => append(spool, { n, text: 'x'.repeat(80) })));
  // The last ones are fewer than a call holds: they wait for company, but not at the end.
  await spool.drained();
  expect(calls.reduce((sum, count) => sum + count)).toBe(95);
  expect(Math.max(...calls)).toBeLessThanOrEqual(10);
  expect(calls.length).toBeLessThanOrEqual(12);
  await spool.close();
});

test('records in the hole that a power cut left are passed over, those around it are shipped', async () => {
  const got: number[] = [];
  const away = await openAuditSpool({ dir, log: silent, ship: () => Promise.reject(new Error('away')) });
  await append(away, { n: 0 });
  await append(away, { n: 1, text: 'x'.repeat(100) });
  await append(away, { n: 2 });
  await away.close();
  const path = join(dir, '00000001.spool');
  const bytes = readFileSync(path);
  bytes.fill(0, 40, 60);
  writeFileSync(path, bytes);
  const spool = await openAuditSpool({
    dir,
    log: silent,
    gatherMs: 1,
    ship: taking((lines) => got.push(...numbers(lines))),
  });
  await spool.drained();
  expect(got).toEqual([0, 2]);
  await spool.close();
});

test('H3 a line that is longer than a call goes alone, whatever is behind it', async () => {
  const calls: number[][] = [];
  const spool = await openAuditSpool({
    dir,
    log: silent,
    gatherMs: 1,
    batchBytes: 1000,
    ship: taking((lines) => calls.push(numbers(lines))),
  });
  await append(spool, { n: 0, text: 'x'.repeat(1100) }, { n: 1 }, { n: 2 }, { n: 3, text: 'x'.repeat(5000) }, { n: 4 });
  await spool.drained();
  expect(calls).toEqual([[0], [1, 2], [3], [4]]);
  await spool.close();
});
