/**
 * The tests that a change touches: `npm run test:changed [-- COMMIT]` runs those that lead, by imports, by a program that
 * they start or by a file that they name, to a file that differs from COMMIT (default: the last one of `origin/main` or
 * `main` that is also ours), committed or not.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** A change of these can change anything. */
const EVERYTHING = /^(package(-lock)?\.json|tsconfig\.json|test\/tools\/(jest|build|global-setup|sequencer)\.\w+)$/;
/** Files whose content a test names by folder or by name. */
const DATA = /\.(?!ts$)\w+$/;

/** @returns paths of tests, or `all` */
export function touchedTests(changed: readonly string[], files = ownFiles()): string[] | 'all' {
  if (changed.some((path) => EVERYTHING.test(path))) return 'all';
  const texts = new Map(files.map((path) => [path, readFileSync(path, 'utf8')]));
  const users = new Map<string, Set<string>>();
  for (const [path, text] of texts) {
    for (const target of targetsOf(path, text)) users.set(target, (users.get(target) ?? new Set()).add(path));
  }
  const touched = new Set(changed);
  for (const data of changed.filter((path) => DATA.test(path))) {
    for (const [path, text] of texts) {
      if (text.includes(basename(data)) || text.includes(`${dirname(data)}`)) touched.add(path);
    }
  }
  for (const path of touched) for (const user of users.get(path) ?? []) touched.add(user);
  // The rules of the house read every source file.
  if (changed.some((path) => /^(src|bin|test|docs)\//.test(path))) {
    for (const path of files) if (/^test\/(house\/.*|rooms)\.test\.ts$/.test(path)) touched.add(path);
  }
  return [...touched].filter((path) => path.endsWith('.test.ts') && existsSync(path)).sort();
}

/** Every file that is ours and could be part of a test. */
export function ownFiles(): string[] {
  return ['src', 'bin', 'test'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(folder, path)),
  );
}

/** What a file imports, and the programs that it starts: who starts one from `dist` depends on all that is in it. */
export function targetsOf(path: string, text: string): string[] {
  const imports = [...text.matchAll(/(?:\bfrom|\bimport\(?)\s*'(\.[^']+)'/g)].map((match) =>
    join(dirname(path), match[1]!).replace(/\.js$/, '.ts'),
  );
  const starts = path.startsWith('test/') && /\bdist\b/.test(text);
  return starts
    ? [...imports, ...['tsh', 'tctl', 'teleport', 'keychain-child'].map((name) => `bin/${name}.ts`)]
    : imports;
}

/** Paths that differ from a commit, and those that git does not know yet. */
export function changedSince(commit: string): string[] {
  const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).split('\n').filter(Boolean);
  return [...new Set([...git('diff', '--name-only', commit), ...git('ls-files', '--others', '--exclude-standard')])];
}

/** Where this work left `main`; on `main` itself, what was committed last. */
function startOfWork(): string {
  for (const main of ['origin/main', 'main']) {
    const { status, stdout } = spawnSync('git', ['merge-base', 'HEAD', main], { encoding: 'utf8' });
    if (status === 0) return stdout.trim();
  }
  return 'HEAD';
}

export function main([commit = startOfWork()]: string[]): number {
  const tests = touchedTests(changedSince(commit));
  if (tests.length === 0) {
    console.log(`Nothing that a test reaches differs from ${commit}.`);
    return 0;
  }
  console.log(tests === 'all' ? 'Every test is touched.' : `${tests.length} test files are touched.`);
  const paths = tests === 'all' ? [] : ['--runTestsByPath', ...tests];
  return spawnSync(process.execPath, ['test/tools/jest.mjs', ...paths], { stdio: 'inherit' }).status ?? 1;
}
