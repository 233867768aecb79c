// The last line of a test run, from Jest's own report: `N passed, N failed, N skipped`.
// Without a report no test has run, and why stands above.
import { existsSync, readFileSync } from 'node:fs';

const file = process.argv[2] ?? 'node_modules/.cache/teleshift/jest.json';
const nothing = {
  numFailedTests: 1,
  numRuntimeErrorTestSuites: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numPassedTests: 0,
};
const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : nothing;
const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
process.exitCode = report.success && failed === 0 ? 0 : 1;
