/** Cells: what a terminal shows, on every Node the same. */
import { cellWidth, firstCells, padCells } from '../../src/cli/cells.js';
import { cellsInTmux, hasTmux } from '../support/tmux.js';

/** Terminals agree about these. */
const SHOWN: readonly [what: string, text: string, cells: number][] = [
  ['nothing', '', 0],
  ['ASCII', 'tsh db ls', 9],
  ['Latin', 'Zoë', 3],
  ['a letter and its accent', 'e\u0301', 1],
  ['Greek', 'αβγ', 3],
  ['Chinese and Japanese', '日本語', 6],
  ['a blank as wide', '\u3000', 2],
  ['wide Latin', 'ＡＢ', 4],
  ['narrow kana with its mark', 'ｶﾞ', 2],
  ['Hangul', '한글', 4],
  ['Hangul letter by letter', '\u1112\u1161\u11ab', 2],
  ['Hebrew with points', 'שָׁלוֹם', 4],
  ['Arabic', 'السلام', 6],
  ['Thai', 'ภาษาไทย', 7],
  ['Thai with the vowel am', 'น้ำ', 2],
  ['Lao', 'ນ້ຳ', 2],
  ['Devanagari, two consonants in one', 'क्षि', 3],
  ['Devanagari', 'नमस्ते', 4],
  ['Tamil', 'தமிழ்', 4],
  ['Bengali', 'বাংলা', 5],
  ['Khmer', 'ខ្មែរ', 4],
  ['Burmese', 'မြန်မာ', 5],
  ['Tibetan', 'བོད', 2],
  ['a letter under many marks', 'Z\u0324\u0354\u0367', 1],
  ['a blank without width', 'a\u200bb', 2],
  ['a joiner', 'a\u200db', 2],
  ['a mark of byte order', '\ufeffx', 1],
  ['an emoji', '🫠', 2],
  ['a heart that is text', '❤', 1],
  ['emoji that are joined', '👩\u200d💻', 2],
  ['a family', '👨\u200d👩\u200d👧\u200d👦', 2],
  ['a flag', '🇩🇪', 2],
  ['three dots', '…', 1],
  ['a colour', '\u001b[31mred\u001b[39m', 3],
  ['a link that ends with BEL', '\u001b]8;;https://example.com/a\u0007link\u001b]8;;\u0007', 4],
  ['a link that ends with ST', '\u001b]8;;https://example.com/a\u001b\\link\u001b]8;;\u001b\\', 4],
];

/** About these they do not: older ones show the parts side by side, or do not know the emoji yet. */
const SHOWN_BY_NEWER: typeof SHOWN = [
  ['a colour of skin', '👍🏽', 2],
  ['a colour of skin on a sign that can be text', '☝🏽', 2],
  ['a heart that is an emoji', '❤\ufe0f', 2],
  ['a key', '1\ufe0f\u20e3', 2],
  ['a flag made of emoji', '🏳\ufe0f\u200d⚧\ufe0f', 2],
  ['an emoji of Unicode 15', '🩷', 2],
  ['an emoji of Unicode 16', '🫩', 2],
];

test.each([...SHOWN, ...SHOWN_BY_NEWER])('U9 cells of %s', (_, text, cells) => {
  expect(cellWidth(text)).toBe(cells);
  expect(cellWidth(`${text}|${text}`)).toBe(2 * cells + 1);
});

(hasTmux ? test : test.skip)('U9 a real terminal, tmux, shows as many', () => {
  expect(cellsInTmux(SHOWN.map(([, text]) => text))).toEqual(SHOWN.map(([, , cells]) => cells));
});

test('U9 the first cells of a text end between its characters', () => {
  expect(firstCells('tsh db ls', 3)).toBe('tsh');
  expect(firstCells('日本語', 5)).toBe('日本');
  expect(firstCells('a👩\u200d💻b', 2)).toBe('a');
  expect(firstCells('e\u0301e\u0301', 1)).toBe('e\u0301');
  expect(firstCells('한글', 1)).toBe('');
  for (const [, text, cells] of SHOWN.filter(([, one]) => !one.includes('\u001b'))) {
    expect(firstCells(text, cells)).toBe(text);
    expect(cellWidth(firstCells(text, cells - 1))).toBeLessThan(cells || 1);
  }
});

test('U9 a text is filled up with blanks by its cells, and left alone where it is wider', () => {
  expect(padCells('日本', 6)).toBe('日本  ');
  expect(padCells('e\u0301', 3)).toBe('e\u0301  ');
  expect(padCells('日本', 3)).toBe('日本');
});
