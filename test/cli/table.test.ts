/** Tables: Teleport's bytes where there is room, the terminal's width where there is not. */
import { jest } from '@jest/globals';
import CliTable from 'cli-table3';
import fc from 'fast-check';
import { cellWidth } from '../../src/cli/cells.js';
import { drawTable } from '../../src/cli/table.js';

const titles = ['Name', 'Description', 'Allowed Users', 'Labels', 'Connect'];
const row = ['pg', 'self-hosted postgres', '[postgres reader writer]', 'env=dev,team=data', 'tsh db connect pg'];
const cut = ['Labels', 'Description', 'Allowed Users'];
const linesOf = (text: string) => text.trimEnd().split('\n');
const at = (width: number | undefined, rows = [row]) => drawTable({ titles, rows, cut, copied: ['Connect'] }, width);

// The bytes of Teleport 18.3.0 with -v.
test('a table has titles, dashes and rows, all padded', () => {
  expect(at(undefined, [['pg', 'self-hosted postgres', '[reader]', 'env=dev', '']]).text).toBe(
    [
      'Name Description          Allowed Users Labels  Connect ',
      '---- -------------------- ------------- ------- ------- ',
      'pg   self-hosted postgres [reader]      env=dev         ',
      '',
    ].join('\n'),
  );
});

test('an empty table has titles and dashes, a short title takes five cells, rows alone have neither', () => {
  const empty = drawTable({ titles: ['ID', 'URI', 'Allowed Users'], rows: [] }, 80);
  expect(empty).toEqual({ text: 'ID   URI  Allowed Users \n--   ---  ------------- \n', isCut: false });
  expect(drawTable({ rows: [['peer.local', 'online', 'root', '']] }, 80).text).toBe('peer.local online root      \n');
  expect(drawTable({ rows: [] }, 80).text).toBe('');
});

test('U9 what is not a terminal gets everything, and a terminal with room too', () => {
  const whole = at(undefined);
  expect(whole.isCut).toBe(false);
  expect(whole.text).not.toContain('...');
  const needed = linesOf(whole.text)[0]!.length;
  expect(at(200)).toEqual(whole);
  expect(at(needed)).toEqual(whole);
});

test('U9 the last separator is the first to go, and takes nothing with it', () => {
  const whole = at(undefined);
  const needed = linesOf(whole.text)[0]!.length;
  expect(at(needed - 1)).toEqual({ text: whole.text.replaceAll(' \n', '\n'), isCut: false });
  expect(at(needed - 2).isCut).toBe(true);
});

test('U9 the least valuable column is cut first, by what is missing and no more; the command never', () => {
  const needed = cellWidth(linesOf(at(undefined).text)[0]!);
  expect(linesOf(at(needed - 4).text)[2]).toBe(
    'pg   self-hosted postgres [postgres reader writer] env=dev,tea... tsh db connect pg',
  );
  for (let width = 17; width <= needed - 2; width++) {
    const { text, isCut } = at(width);
    expect([width, isCut]).toEqual([width, true]);
    for (const line of text.split('\n').slice(0, -1)) expect(cellWidth(line)).toBeLessThanOrEqual(width);
    expect(linesOf(text)[2]).toMatch(/^((p|pg) .*)?tsh db connect pg$/);
  }
});

test('U9 a terminal that the command alone is too wide for gets everything but what is cut to its title', () => {
  expect(linesOf(at(16).text).map((line) => line.trimEnd())).toEqual([
    'Name Description Allowed Users Labels Connect',
    '---- ----------- ------------- ------ -----------------',
    'pg   self-hos... [postgres ... env... tsh db connect pg',
  ]);
});

test('U9 a name is cut at the last, down to one cell, and its title with it', () => {
  const one = (name: string, width: number) => {
    const { text } = drawTable({ titles: ['Name', 'Labels'], rows: [[name, 'env=dev']], cut: ['Labels'] }, width);
    return linesOf(text).map((line) => line.trimEnd());
  };
  expect(one('analytics-eu', 20)).toEqual(['Name         Labels', '------------ -------', 'analytics-eu env=dev']);
  expect(one('analytics-eu', 18)).toEqual(['Name', '------------', 'analytics-eu']);
  expect(one('analytics-eu', 8)).toEqual(['Name', '--------', 'analy...']);
  expect(one('analytics-eu', 4)).toEqual(['Name', '----', 'a...']);
  expect(one('analytics-eu', 3)).toEqual(['N..', '---', 'a..']);
  expect(one('analytics-eu', 1)).toEqual(['N', '-', 'a']);
  expect(one('日本語', 3)).toEqual(['N..', '---', '日.']);
  expect(one('日本語', 4)).toEqual(['Name', '----', '日..']);
  expect(one('日本語', 1)).toEqual(['N', '-', '.']);
});

test('U9 -v shows everything, however narrow the terminal is', () => {
  const rows = [row];
  expect(drawTable({ titles, rows, cut, isWhole: true }, 20)).toEqual(at(undefined));
  expect(drawTable({ rows }, 20)).toEqual(drawTable({ rows }, undefined));
});

const SCRIPTS = [
  '日本語',
  '\u1112\u1161\u11ab',
  'e\u0301',
  '👩\u200d💻',
  '🫠',
  'น้ำ',
  'שָׁלוֹם',
  'a\u200bb',
  'क्षि',
  '👍🏽',
  '\u200b',
  'a',
];

test('U9 columns stand under each other in cells, whatever is written in them', () => {
  const { text } = drawTable({ titles: ['Name', 'X'], rows: SCRIPTS.map((one) => [one, '|']) }, undefined);
  const lines = linesOf(text).slice(2);
  expect(lines.map((line) => cellWidth(line.slice(0, line.indexOf('|'))))).toEqual(SCRIPTS.map(() => 7));
  expect(lines.map((line) => line.slice(0, line.indexOf('|')).trimEnd())).toEqual(SCRIPTS);
});

test('U9 no line is wider than the terminal, whatever is written in the table', () => {
  const cell = fc.oneof(
    fc.string({ unit: fc.constantFrom(...SCRIPTS, '#', ' ', '\u001b', '\n'), maxLength: 20 }),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
  );
  const line = fc.tuple(cell, cell, cell);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 5 }), fc.integer({ min: 1, max: 90 }), (rows, width) => {
      const table = { titles: ['Name', 'Labels', 'Type'], rows, cut: ['Labels'] };
      const lines = drawTable(table, width).text.split('\n').slice(0, -1);
      expect(lines).toHaveLength(rows.length + 2);
      for (const one of lines) expect(cellWidth(one)).toBeLessThanOrEqual(width);
      const whole = drawTable(table, undefined).text.split('\n').slice(0, -1);
      expect(new Set(whole.map(cellWidth)).size).toBe(1);
    }),
    { numRuns: 200 },
  );
});

test('U9 a long table takes as much work a line as a short one', () => {
  // The time that cli-table3 takes grows with the square of what it draws at once.
  const draw = jest.spyOn(CliTable.prototype, 'toString');
  const workOf = (count: number) => {
    draw.mockClear();
    const { text } = at(
      80,
      Array.from({ length: count }, () => row),
    );
    expect(linesOf(text)).toHaveLength(count + 2);
    return draw.mock.contexts.reduce<number>((work, table) => work + (table as unknown[]).length ** 2, 0) / count;
  };
  try {
    expect(workOf(2000) / workOf(200)).toBeLessThan(1.5);
  } finally {
    draw.mockRestore();
  }
});

test('a mark of its own stands where something was cut', () => {
  const { text, isCut } = drawTable(
    { titles: ['ID', 'Roles'], rows: [['1', 'a,b,c,d,e,f,g']], cut: ['Roles'], cutMark: '... [+]' },
    14,
  );
  expect([linesOf(text)[2], isCut]).toEqual(['1    a,... [+]', true]);
});
