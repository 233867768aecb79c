/** The stand-ins for AWS, Redshift and a cluster share no line with the programs: a fault in ours must not be answered by the same fault. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';

const SUPPORT = resolve('test/support');
/** Folders whose code or build the doubles may not touch. */
const PROGRAMS = ['src', 'dist'].map((folder) => resolve(folder));

/** Every file of a double: those of its folder, and those that begin with its name. */
const DOUBLES = readdirSync(SUPPORT, { recursive: true, encoding: 'utf8' })
  .filter(
    (path) =>
      /^(aws|redshift|fake-cluster)(\/|-double\.ts|-double\/)/.test(path) ||
      /^(redshift[^/]*|fake-[^/]*|ca)\.ts$/.test(path),
  )
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => join(SUPPORT, path));

/** What a text imports, exports from, requires or loads late: every module name. */
function modulesOf(text: string): string[] {
  const pattern = /(?:\bfrom|\bimport|\brequire|\bresolve)\s*\(?\s*['"`]([^'"`]+)['"`]/g;
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

/** The own files that a file leads to, itself included; packages are left out. */
function reach(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const name of modulesOf(readFileSync(file, 'utf8'))) {
    if (!name.startsWith('.')) continue;
    const path = resolve(dirname(file), name).replace(/\.js$/, '.ts');
    if (PROGRAMS.some((folder) => path.startsWith(`${folder}/`))) seen.add(path);
    else if (statSync(path, { throwIfNoEntry: false })?.isFile()) reach(path, seen);
  }
  return seen;
}

test('every file of the doubles is looked at', () => {
  const names = DOUBLES.map((path) => basename(path));
  for (const name of [
    'aws-double.ts',
    'redshift-double.ts',
    'wire.ts',
    'dialect.ts',
    'sigv4.ts',
    'fake-keytar.ts',
    'cluster.ts',
    'ca.ts',
  ]) {
    expect(names).toContain(name);
  }
});

test.each(DOUBLES.map((path) => [relative(SUPPORT, path), path]))('%s leads to nothing of ours', (_, path) => {
  const own = [...reach(path)].filter((one) => PROGRAMS.some((folder) => one.startsWith(`${folder}/`)));
  expect(own.map((one) => relative('.', one))).toEqual([]);
  // The package's own name would lead to the build.
  expect(modulesOf(readFileSync(path, 'utf8')).filter((name) => /^(teleshift|#)/.test(name))).toEqual([]);
});

test.each([
  "import { a } from '../../src/pg/encode.js';",
  "import type { A } from '../../src/pg/encode.js';",
  "import '../../src/pg/encode.js';",
  "export * from '../../src/pg/encode.js';",
  "const a = await import('../../src/pg/encode.js');",
  "const a = require('../../src/pg/encode.js');",
])('an import is seen in %s', (text) => {
  expect(modulesOf(text)).toEqual(['../../src/pg/encode.js']);
});
