// The last line of a test run, from Jest's own report: `N passed, N failed, N skipped`; `count.mjs STATUS [FILE]`.
// Without a report no test has run, and why stands above. A run that failed although its tests passed (a warning of
// Node's, a crash at the end) counts as one failure.
import { existsSync, readFileSync } from 'node:fs';

const [status, file = 'node_modules/.cache/teleshift/jest.json'] = process.argv.slice(2);
const nothing = {
  numFailedTests: 1,
  numRuntimeErrorTestSuites: 0,
  numPendingTests: 0,
  numTodoTests: 0,
  numPassedTests: 0,
};
const report = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : nothing;
const tests = report.numFailedTests + report.numRuntimeErrorTestSuites;
const failed = tests === 0 && status !== '0' ? 1 : tests;
const skipped = report.numPendingTests + report.numTodoTests;
console.log(`${report.numPassedTests} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed === 0 ? 0 : 1;
