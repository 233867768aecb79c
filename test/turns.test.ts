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
