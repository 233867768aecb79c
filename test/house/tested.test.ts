/** A source file's test is found by its name or by a line in its header. */
import { aimless, falseNames, namedIn, untested } from './tested.js';

test('H11 every source file has a test of its name, or one that names it', () => {
  expect(untested()).toEqual([]);
});

test('H11 every test is about a source file, or about the whole', () => {
  expect(aimless()).toEqual([]);
});

test('H11 what a test names is there, and the test runs it', () => {
  expect(falseNames()).toEqual([]);
});

test('the line stands in the first comment, and may be several', () => {
  expect(namedIn('/** Tests: src/ip.ts. */\nimport x;')).toEqual(['src/ip.ts']);
  expect(namedIn('/**\n * Words.\n * Tests: src/a.ts, src/b/c.ts\n * Tests: src/d.ts\n */\n')).toEqual([
    'src/a.ts',
    'src/b/c.ts',
    'src/d.ts',
  ]);
  expect(namedIn('import x;\n/** Tests: src/a.ts */')).toEqual([]);
});
