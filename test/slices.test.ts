import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { inTheNameOf, Slices } from '../src/slices.js';

let now = 0;
/** Work of more than a slice. */
const work = () => {
  now += 11;
};

/** How often the event loop has gone round, while it is watched. */
function watchRounds() {
  let count = 0;
  let next: NodeJS.Immediate;
  const again = () => {
    count++;
    next = setImmediate(again);
  };
  next = setImmediate(again);
  return { count: () => count, [Symbol.dispose]: () => clearImmediate(next) };
}

// What a test before this one has begun is over.
beforeEach(async () => {
  jest.spyOn(performance, 'now').mockImplementation(() => now);
  for (let round = 0; round < 2; round++) await new Promise(setImmediate);
});

afterEach(() => {
  jest.restoreAllMocks();
});

test('H3 a crowd of long work by one person has one slice between two looks at the sockets', async () => {
  using loop = watchRounds();
  const slicesIn = new Map<number, number>();
  await inTheNameOf('mallory', () =>
    Promise.all(
      Array.from({ length: 20 }, async () => {
        const slices = new Slices();
        for (let slice = 0; slice < 3; slice++) {
          await slices.next();
          slicesIn.set(loop.count(), (slicesIn.get(loop.count()) ?? 0) + 1);
          work();
        }
      }),
    ),
  );
  expect(Math.max(...slicesIn.values())).toBe(1);
  expect(slicesIn.size).toBe(60);
});

test('H3 whoever else wants something has every second slice, however many one person has asked for', async () => {
  const done: string[] = [];
  const turns = (who: string, slices: number) =>
    inTheNameOf(who, async () => {
      const own = new Slices();
      for (let slice = 0; slice < slices; slice++) {
        await own.next();
        work();
        done.push(who);
      }
    });
  const crowd = Array.from({ length: 30 }, () => turns('mallory', 2));
  await turns('alice', 3);
  const before = done.filter((who) => who === 'mallory').length;
  expect(before).toBeLessThanOrEqual(5);
  await Promise.all(crowd);
  expect(done).toHaveLength(63);
});

test('short work does not wait', async () => {
  using loop = watchRounds();
  const before = loop.count();
  const slices = new Slices();
  for (let at = 0; at < 100; at++) await slices.next();
  expect(loop.count()).toBe(before);
});
