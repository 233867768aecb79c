/** H7: what a comment cites of `docs/spec` stands there, and nothing else stands there. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SPEC = 'docs/spec';
const PAGES = readdirSync(SPEC).filter((file) => file !== 'README.md');

/** `cli.md` → its section numbers. */
const sections = new Map(
  PAGES.map((page) => [
    page,
    [...readFileSync(join(SPEC, page), 'utf8').matchAll(/^## (\d+(?:\.\d+)*) /gm)].map((m) => m[1]!),
  ]),
);

const NAME = new RegExp(
  `(?<![\\w/-])(${PAGES.map((page) => page.replace('.md', '')).join('|')})(\\.md| reference\\b)`,
  'g',
);
/** `4.10`, `1.2, 1.3 and 1.11`, `7.3 to 7.5`. */
const NUMBERS = /^ (\d+(?:\.\d+)*(?:(?:,| and|, and| to) \d+(?:\.\d+)*)*)/;

interface Citation {
  file: string;
  page: string;
  numbers: string[];
}

function citations(): Citation[] {
  return ['src', 'bin', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(?:ts|mjs|proto)$/.test(path) && !path.startsWith('house/'))
      .flatMap((path) => {
        const file = join(folder, path);
        const text = readFileSync(file, 'utf8').replace(/\n\s*(?:\*|\/\/|#)(?= )/g, '');
        return [...text.matchAll(NAME)].map((match) => {
          const numbers = NUMBERS.exec(text.slice(match.index + match[0].length, match.index + 120))?.[1] ?? '';
          return { file, page: `${match[1]}${match[2]}`, numbers: numbers.match(/\d+(?:\.\d+)*/g) ?? [] };
        });
      }),
  );
}

test('H7 every citation names a page of docs/spec and sections that it has', () => {
  const found = citations();
  expect(found.length).toBeGreaterThan(100);
  expect(
    found.filter(({ page, numbers }) => !numbers.length || !numbers.every((one) => sections.get(page)?.includes(one))),
  ).toEqual([]);
});

test('H7 only what is cited stands in docs/spec', () => {
  const cited = new Set(citations().flatMap(({ page, numbers }) => numbers.map((one) => `${page} ${one}`)));
  const needless = [...sections].flatMap(([page, own]) =>
    // A section stands for those inside it.
    own
      .filter((one) => ![...cited].some((text) => text === `${page} ${one}` || text.startsWith(`${page} ${one}.`)))
      .map((one) => `${page} ${one}`),
  );
  expect(needless).toEqual([]);
});
