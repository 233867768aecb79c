/** H11: what a change touches is found by imports, by programs that are started, and by data that is named. */
import { touchedTests } from './changed.js';

test('a source file leads to the tests that import it, also by others', () => {
  const tests = touchedTests(['src/pg/sqlstate.ts']);
  expect(tests).toContain('test/pg/sqlstate.test.ts');
  expect(tests).not.toContain('test/rbac/check.test.ts');
});

test('a source file of a program leads to the tests that start it', () => {
  expect(touchedTests(['src/cli/exit.ts'])).toContain('test/tsh/unwritable.test.ts');
});

test('a file of the test helpers leads to the tests that use it', () => {
  expect(touchedTests(['test/support/ca.ts']).length).toBeGreaterThan(3);
});

test('a transcript leads to the tests that read its folder', () => {
  expect(touchedTests(['test/transcripts/tctl-refused.txt'])).toContain('test/tctl/transcripts.test.ts');
});

test('what every test stands on touches all, and a licence touches none', () => {
  expect(touchedTests(['package-lock.json'])).toBe('all');
  expect(touchedTests(['LICENSE'])).toEqual([]);
});
