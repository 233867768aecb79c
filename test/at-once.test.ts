import { expect, test } from '@jest/globals';
import { atOnce } from '../src/at-once.js';

test('work waits in line when the places are taken, and a failure gives its place back', async () => {
  const inTurn = atOnce(2);
  const ends: ((error?: Error) => void)[] = [];
  let most = 0;
  let running = 0;
  const work = (name: string) =>
    inTurn(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise<void>((resolve, reject) => ends.push((error) => (error ? reject(error) : resolve())));
      running -= 1;
      return name;
    });
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => work(name).catch((error: Error) => error.message));
  for (let done = 0; done < 5; done++) {
    while (ends.length <= done) await new Promise(setImmediate);
    if (done === 1) running -= 1;
    ends[done]!(done === 1 ? new Error('b failed') : undefined);
  }
  expect(await Promise.all(all)).toEqual(['a', 'b failed', 'c', 'd', 'e']);
  expect(most).toBe(2);
});
