/** The fuzzer finds what it should: a fault behind several branches that no seed reaches, by what was counted on the way. */
import { type FileCounters, fuzz, randomFrom } from './fuzzer.js';

/** A parser with a fault, with its counters as istanbul keeps them. Each byte of the word is a branch of its own. */
function faulty(word: string, whatThen: () => void) {
  const counters: FileCounters = { f: [0], s: [], b: { 0: [...word].map(() => 0) } };
  const run = (data: Buffer) => {
    counters.f[0]! += 1;
    for (const [at, letter] of [...word].entries()) {
      if (data[at] !== letter.charCodeAt(0)) return;
      counters.b[0]![at]! += 1;
    }
    whatThen();
  };
  return { run, counters: () => ({ 'a.ts': counters }) };
}

const broken = () => {
  throw new RangeError('read beyond the end');
};

test('a fault behind five bytes, one after the other', () => {
  const kept: string[] = [];
  const onNew = (data: Buffer) => kept.push(data.toString('latin1'));
  const { find, runs } = fuzz({
    ...faulty('FUZZ!', broken),
    seeds: [],
    seed: 1,
    isOver: (so) => so > 200_000,
    onNew,
  });
  expect(find?.input.toString('latin1').slice(0, 5)).toBe('FUZZ!');
  expect(find?.error).toEqual(new RangeError('read beyond the end'));
  // By chance alone it would take 256 to the fifth.
  expect(runs).toBeLessThan(200_000);
  expect(kept.length).toBeGreaterThan(3);
});

test('the same seed does the same, another one something else', () => {
  const inputs = (seed: number) => {
    const seen: string[] = [];
    const onInput = (data: Buffer) => seen.push(data.toString('hex'));
    fuzz({ ...faulty('FUZZ!', () => {}), seeds: [Buffer.from('seed')], seed, isOver: (so) => so > 500, onInput });
    return seen;
  };
  expect(inputs(7)).toEqual(inputs(7));
  expect(inputs(7)).not.toEqual(inputs(8));
});

test('a seed that is bad is found before anything is made of it, and no input is too long', () => {
  const options = { seed: 1, isOver: (so: number) => so > 2_000, maxBytes: 10 };
  expect(fuzz({ ...faulty('X', broken), ...options, seeds: [Buffer.from('Xy')] })).toMatchObject({ runs: 2 });
  const lengths: number[] = [];
  fuzz({
    ...faulty('ab', () => {}),
    ...options,
    seeds: [Buffer.from('abababab')],
    onInput: (data) => lengths.push(data.length),
  });
  expect(Math.max(...lengths)).toBe(10);
});

test('its random numbers are spread', () => {
  const random = randomFrom(3);
  const counts = new Array<number>(8).fill(0);
  for (let left = 8_000; left > 0; left--) counts[random(8)]! += 1;
  for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(150);
});
