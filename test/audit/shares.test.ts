import { expect, test } from '@jest/globals';
import { Shares } from '../../src/audit/shares.js';

const MIB = 2 ** 20;

test('X5 a user has a quarter of the spool, others go on, and what was handed over counts no more', () => {
  const shares = new Shares(100 * MIB);
  let waiting = 0;
  const put = (segment: number, user: string, bytes: number) => {
    shares.check({ user }, bytes, waiting);
    shares.add(segment, { user }, bytes);
    waiting += bytes;
  };
  put(1, 'mallory', 20 * MIB);
  put(2, 'mallory', 5 * MIB);
  expect(() => put(2, 'mallory', 1)).toThrow(
    'the records of user "mallory" that Auth has not taken yet fill their share of the audit spool (26214400 bytes)',
  );
  put(2, 'alice', 20 * MIB);
  shares.clear(1);
  waiting -= 20 * MIB;
  put(3, 'mallory', 20 * MIB);
  expect(() => put(3, 'mallory', 1)).toThrow('fill their share');
});

test('X5 the last twentieth of the spool is for the ends of sessions', () => {
  const shares = new Shares(100 * MIB);
  expect(() => shares.check({ user: 'alice' }, 1, 95 * MIB)).toThrow('the audit spool is full (104857600 bytes)');
  shares.check({ user: 'alice', isEnd: true }, 1, 95 * MIB);
  // An end is not refused because its user has used up a share.
  shares.add(1, { user: 'mallory' }, 25 * MIB);
  shares.check({ user: 'mallory', isEnd: true }, 1, 25 * MIB);
  expect(() => shares.check({ user: 'alice', isEnd: true }, 1, 100 * MIB)).toThrow('full');
});

test('M2 results have a tenth more than the share of their user, and nothing of what is kept back for ends', () => {
  const shares = new Shares(100 * MIB);
  const results = { user: 'mallory', areResults: true };
  shares.add(1, { user: 'mallory' }, 25 * MIB);
  shares.check(results, 2.5 * MIB, 25 * MIB);
  expect(() => shares.check(results, 2.5 * MIB + 1, 25 * MIB)).toThrow('fill their share');
  expect(() => shares.check({ ...results, user: 'alice' }, 1, 95 * MIB)).toThrow('is full');
});

test('X5 a user waits sooner while Auth is behind: after 32 MiB', () => {
  let now = 0;
  const shares = new Shares(2 ** 30, () => now);
  const behind = 200 * MIB;
  shares.add(1, { user: 'mallory' }, 32 * MIB);
  expect(shares.pauseMs('mallory', behind)).toBe(0);
  shares.add(1, { user: 'mallory' }, 16 * MIB);
  expect(shares.pauseMs('mallory', 0)).toBe(0);
  expect(shares.pauseMs('mallory', behind)).toBeCloseTo(15_000);
  expect(shares.pauseMs('alice', behind)).toBe(0);
  // Where Auth keeps up again, 512 MiB a minute are paid off.
  now = 1_500;
  expect(shares.pauseMs('mallory', behind)).toBeCloseTo(3_000);
  now = 1_875;
  expect(shares.pauseMs('mallory', behind)).toBe(0);
  shares.add(1, { user: 'mallory' }, 500 * MIB);
  expect(shares.pauseMs('mallory', behind)).toBe(60_000);
});

test('M3 a user writes 512 MiB a minute after 1 GiB at once, also where Auth keeps up', () => {
  let now = 0;
  const shares = new Shares(2 ** 30, () => now);
  shares.add(1, { user: 'mallory' }, 1024 * MIB);
  shares.clear(1);
  expect(shares.pauseMs('mallory', 0)).toBe(0);
  shares.add(2, { user: 'mallory' }, 256 * MIB);
  shares.clear(2);
  expect(shares.pauseMs('mallory', 0)).toBeCloseTo(30_000);
  expect(shares.pauseMs('alice', 0)).toBe(0);
  now = 30_000;
  expect(shares.pauseMs('mallory', 0)).toBe(0);
  shares.add(3, { user: 'mallory' }, 128 * MIB);
  expect(shares.pauseMs('mallory', 0)).toBeCloseTo(15_000);
});
