/** H13: turns of phrase that a reader stumbles over are refused in code, help, errors and documents. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const REFUSED: readonly [phrase: RegExp, better: string][] = [
  [/\bby commas?\b/i, 'comma-separated'],
  [
    /\b(?:that|which|what|who|whom|all|databases|clusters) one (?:may|can|could|has|had|is|wants|logs|asks)\b/i,
    'you, or the person',
  ],
  [/\b(?:is|are|was|were|be|been|being) told\b/i, 'reports, shows, is shown'],
  [/\btold (?:of|in|by)\b/i, 'reports, shows'],
  [/(?<!\bthere )\b(?:is|are) no (?!longer\b|such\b|later\b|more\b)[a-z]/i, 'is not a'],
  [/\bmay nothing\b/i, 'has no privileges'],
  [/[.;*] Ours[.;:](?! one port)/, 'our own limit'],
];

function texts(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.(?:ts|md|proto)$/.test(path) && !/(?:^|\/)gen\//.test(path))
    .map((path) => join(folder, path));
}

const files = [...['src', 'bin', 'docs'].flatMap(texts), 'README.md'];

test.each(REFUSED)('H13 nobody writes %s', (phrase, better) => {
  const found = files.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line, at) => (phrase.test(line) ? [`${file}:${at + 1}: ${line.trim()} (better: ${better})`] : [])),
  );
  expect(found).toEqual([]);
});
