/** H9: the order of the test files is random, and one seed always gives the same one. */
import { createRequire } from 'node:module';

const RandomOrder = createRequire(import.meta.url)('./sequencer.cjs') as new (
  options: object,
) => {
  sort(tests: { path: string }[]): { path: string }[];
};

const tests = Array.from({ length: 50 }, (_, at) => ({ path: `/test/${String(at).padStart(2, '0')}.test.ts` }));
const order = (seed: number, given = tests) =>
  new RandomOrder({ globalConfig: { seed } }).sort(given).map(({ path }) => path);

test('H9 one seed gives one order, however the files were found', () => {
  expect(order(7)).toEqual(order(7, [...tests].reverse()));
});

test('H9 another seed gives another order, of the same files', () => {
  expect(order(7)).not.toEqual(order(8));
  expect(order(7).sort()).toEqual(tests.map(({ path }) => path));
});
