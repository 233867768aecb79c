/** Widths of columns on a narrow terminal, in numbers. */
import fc from 'fast-check';
import { type Columns, naturalWidths, sum, widthsWithin } from '../../src/cli/columns.js';

/** As `tsh db ls`: a name, three columns that give way to it, a command. */
const listing: Columns = {
  cells: [
    { title: 4, content: 23 },
    { title: 11, content: 20 },
    { title: 13, content: 22 },
    { title: 6, content: 17 },
    { title: 7, content: 17 },
  ],
  cut: [3, 1, 2],
  copied: [4],
  mark: 3,
};

test.each([
  [104, [24, 21, 23, 18, 18], 'everything'],
  [103, [24, 21, 23, 17, 18], 'the least valuable column is cut by what is missing'],
  [93, [24, 21, 23, 7, 18], 'down to its title'],
  [92, [24, 20, 23, 7, 18], 'then the next one'],
  [75, [24, 12, 14, 7, 18], 'and the next'],
  [74, [24, 12, 20, 0, 18], 'the least valuable one is left out, and the others have its room'],
  [67, [24, 0, 23, 0, 18], 'then the next one'],
  [55, [24, 0, 0, 0, 18], 'and the next'],
  [41, [23, 0, 0, 0, 18], 'a name is cut when nothing else can be'],
  [20, [2, 0, 0, 0, 18], 'down to one cell'],
  [19, [0, 0, 0, 0, 18], 'what people copy stays when it fits alone'],
  [17, [24, 12, 14, 7, 18], 'where the terminal breaks it, nothing is left out'],
])('U9 in %i cells: %j, %s', (room, widths) => {
  expect(widthsWithin(room, listing)).toEqual(widths);
});

test('U9 columns that are empty go first, unless all are', () => {
  const cells = [
    { title: 4, content: 10 },
    { title: 6, content: 30 },
    { title: 7, content: 0 },
  ];
  expect(widthsWithin(40, { cells, cut: [1], copied: [2], mark: 3 })).toEqual([11, 21, 8]);
  expect(widthsWithin(25, { cells, cut: [1], copied: [2], mark: 3 })).toEqual([11, 14, 0]);
  const titles = cells.map(({ title }) => ({ title, content: 0 }));
  expect(widthsWithin(12, { cells: titles, cut: [1], copied: [], mark: 3 })).toEqual([4, 0, 8]);
});

test('U9 names share what there is: the widest is cut first, and the last column goes first', () => {
  const names = (...content: number[]): Columns => ({
    cells: content.map((one) => ({ title: 4, content: one })),
    cut: [],
    copied: [],
    mark: 3,
  });
  expect(widthsWithin(20, names(30, 6, 12))).toEqual([6, 7, 7]);
  expect(widthsWithin(6, names(30, 6, 12))).toEqual([2, 2, 2]);
  expect(widthsWithin(5, names(30, 6, 12))).toEqual([2, 2, 0]);
  expect(widthsWithin(2, names(30, 6, 12))).toEqual([2, 0, 0]);
});

test('U9 no line is wider than its room, unless what people copy alone is', () => {
  const use = fc.constantFrom('cut', 'copied', 'name');
  const column = fc.record({ title: fc.integer({ min: 1, max: 20 }), content: fc.nat(80), use });
  fc.assert(
    fc.property(fc.array(column, { minLength: 1, maxLength: 9 }), fc.integer({ min: 2, max: 300 }), (cells, room) => {
      const used = (as: string) => [...cells.keys()].filter((at) => cells[at]!.use === as);
      const [cut, copied] = [used('cut'), used('copied')];
      const widths = widthsWithin(room, { cells, cut, copied, mark: 3 });
      const natural = naturalWidths(cells);
      const alone = sum(copied.map((at) => cells[at]!.content + 1));
      if (alone <= room) expect(sum(widths)).toBeLessThanOrEqual(room);
      expect(Math.max(...widths)).toBeGreaterThan(0);
      expect(widths.every((width, at) => width <= natural[at]!)).toBe(true);
      if (sum(natural) <= room) expect(widths).toEqual(natural);
      for (const at of copied) if (cells[at]!.content > 0) expect(widths[at]).toBeGreaterThan(cells[at]!.content);
      const isNameCut = used('name').some((at) => widths[at]! < natural[at]! && cells[at]!.content > 0);
      if (isNameCut && alone <= room) for (const at of cut) expect(widths[at]).toBe(0);
    }),
    { numRuns: 2000 },
  );
});
