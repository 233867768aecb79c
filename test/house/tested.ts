/**
 * Which test is about which source file. It has its name (`test/pg/scan.test.ts` for `src/pg/scan.ts`), or a line
 * `Tests: src/pg/scan.ts, src/pg/decode.ts` in its first comment names it; a long list takes several such lines.
 */
import { existsSync, readFileSync } from 'node:fs';
import { ownFiles, targetsOf } from '../tools/changed.js';

/** Tests that are about no source file of their own: the house, the doubles, the tools, foreign programs, whole jobs, what the seeds say. */
const WHOLE = /^test\/(?:house|support|tools|interop|peers|cluster|seeds|attacks|fuzz)\/|^test\/rooms\.test\.ts$/;

const files = ownFiles();
const tests = files.filter((path) => path.endsWith('.test.ts'));
const sources = files.filter((path) => /^src\/(?!api\/gen\/).*(?<!\.d|\.bench)\.ts$/.test(path));

/** What the lines of a test's first comment name. */
export function namedIn(text: string): string[] {
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? '';
  return [...comment.matchAll(/\bTests: ((?:src|bin)\/[^\s,]+(?:, (?:src|bin)\/[^\s,]+)*)/g)].flatMap(([, list]) =>
    list!.split(', ').map((path) => path.replace(/\.$/, '')),
  );
}

const lines = new Map(tests.map((test) => [test, namedIn(readFileSync(test, 'utf8'))]));
const ofName = (test: string) => test.replace(/^test\//, 'src/').replace(/\.test\.ts$/, '.ts');

/** Source files that no test is about. */
export function untested(): string[] {
  const named = new Set([...lines.values()].flat());
  return sources.filter((path) => !named.has(path) && !existsSync(path.replace(/^src\/(.*)\.ts$/, 'test/$1.test.ts')));
}

/** Tests that are about nothing that can be named. */
export function aimless(): string[] {
  return tests.filter((test) => !WHOLE.test(test) && lines.get(test)!.length === 0 && !existsSync(ofName(test)));
}

/** Names that lead nowhere: to no file, to a file that the test does not run, or to the one whose name the test has. */
export function falseNames(): string[] {
  return tests.flatMap((test) => {
    const reached = reach(test);
    return lines
      .get(test)!
      .filter((path) => !reached.has(path) || path === ofName(test))
      .map((path) => `${test}: ${path}`);
  });
}

/** All that a file leads to, by imports and by the programs that it starts. */
function reach(from: string, seen = new Set<string>()): Set<string> {
  for (const path of targets(from)) {
    if (seen.has(path)) continue;
    seen.add(path);
    reach(path, seen);
  }
  return seen;
}

const known = new Map<string, string[]>();
function targets(path: string): string[] {
  const found = known.get(path) ?? targetsOf(path, readFileSync(path, 'utf8')).filter(existsSync);
  known.set(path, found);
  return found;
}
