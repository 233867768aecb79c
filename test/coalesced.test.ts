import { coalesced } from '../src/coalesced.js';

test('R-A-M3 one runs, and one more for all who ask meanwhile', async () => {
  let runs = 0;
  const ends: (() => void)[] = [];
  const ask = coalesced(async () => {
    runs++;
    await new Promise<void>((resolve) => ends.push(resolve));
  });
  const first = ask();
  const others = [ask(), ask(), ask()];
  expect(runs).toBe(1);
  ends[0]!();
  await first;
  while (ends.length < 2) await Promise.resolve();
  expect(runs).toBe(2);
  const late = ask();
  ends[1]!();
  await Promise.all(others);
  while (ends.length < 3) await Promise.resolve();
  ends[2]!();
  await late;
  expect(runs).toBe(3);
});

test('one that fails is the failure of those who asked for it, and the next one runs', async () => {
  let runs = 0;
  const ask = coalesced(async () => {
    runs++;
    await Promise.resolve();
    if (runs === 1) throw new Error('first');
  });
  const [first, second] = [ask(), ask()];
  await expect(first).rejects.toThrow('first');
  await second;
  await ask();
  expect(runs).toBe(3);
});
