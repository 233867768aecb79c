/** H12: a document that names a file of the repository names one that is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const DOCUMENTS = [
  'README.md',
  'SECURITY.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md'))
    .map((path) => join('docs', path)),
];

test.each(DOCUMENTS)('H12 what %s names is there', (document) => {
  const text = readFileSync(document, 'utf8');
  const paths = [...text.matchAll(/`((?:src|bin|test|docs)\/[\w./-]+)`/g)].map((match) => match[1]!);
  const links = [...text.matchAll(/\]\(([\w./-]+)(?:#[\w-]*)?\)/g)].map((match) => join(dirname(document), match[1]!));
  expect([...paths, ...links].filter((path) => !existsSync(path))).toEqual([]);
});
