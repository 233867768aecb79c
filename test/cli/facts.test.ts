import { factLines } from '../../src/cli/facts.js';

test('U9 values stand in one column of cells, whatever the labels are written in', () => {
  const lines = factLines(
    [
      ['Cluster:', 'example.com'],
      ['日本 key:', '/home/日本'],
      ['Cafe\u0301:', '☕'],
    ],
    12,
  );
  expect(lines).toEqual(['Cluster:    example.com', '日本 key:   /home/日本', 'Cafe\u0301:       ☕']);
});

test('a label that is too long has one blank after it; what a terminal would obey is quoted', () => {
  expect(factLines([['db/warehouse key:', '/keys']], 10)).toEqual(['db/warehouse key: /keys']);
  expect(factLines([['Name:', 'a\u001b[2Jb']], 8)).toEqual(['Name:   "a\\x1b[2Jb"']);
});
