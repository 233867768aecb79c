import { expect, test } from '@jest/globals';
import { UserTurns } from '../src/turns.js';

test('M10 who takes the thread for long waits as long, in all sessions together, and others do not', () => {
  let now = 1000;
  const turns = new UserTurns(() => now);
  const work = (user: string, ms: number) => {
    now += ms;
    turns.took(user, ms);
  };
  work('mallory', 10);
  expect(turns.waitMs('mallory')).toBe(0);
  work('mallory', 10);
  expect(turns.waitMs('mallory')).toBe(10);
  work('mallory', 200);
  expect(turns.waitMs('mallory')).toBe(210);
  expect(turns.waitMs('alice')).toBe(0);
  now += 210;
  expect(turns.waitMs('mallory')).toBe(0);
  // What was not used is not saved up for later.
  now += 100_000;
  work('mallory', 200);
  expect(turns.waitMs('mallory')).toBe(190);
});

test('who does not come back is forgotten, and who owes is not', () => {
  let now = 1_000_000;
  const turns = new UserTurns(() => now);
  turns.took('mallory', 100_000);
  for (let n = 0; n < 9_999; n++) turns.took(`passer-by ${n}`, 1);
  expect(turns.size).toBe(10_000);
  now += 100;
  turns.took('alice', 1);
  expect(turns.size).toBe(2);
  expect(turns.waitMs('mallory')).toBe(99_890);
  // Everybody owes.
  for (let n = 0; n < 10_100; n++) turns.took(`debtor ${n}`, 1);
  expect(turns.size).toBe(10_000);
});
