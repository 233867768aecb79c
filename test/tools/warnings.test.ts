/** N9: a warning of Node's in a test run, in Jest or in what it starts, fails the run. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'warned-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A run of one test file with this body, and its last line. */
function runOf(body: string): { status: number | null; stderr: string; count: string } {
  writeFileSync(join(folder, 'one.test.cjs'), body);
  const report = join(folder, 'report.json');
  const config = `--config=${JSON.stringify({ rootDir: folder, transform: {} })}`;
  const run = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 100_000 });
  const { status, stderr } = run('test/tools/jest.mjs', config, '--json', `--outputFile=${report}`);
  return { status, stderr, count: run('test/tools/count.mjs', String(status), report).stdout };
}

test('N9 a leak of listeners fails the run, and its stack is shown', () => {
  const { status, stderr, count } = runOf(`
    const { EventEmitter } = require('node:events');
    test('passes', () => {
      const one = new EventEmitter();
      for (let at = 0; at < 11; at++) one.on('event', () => {});
    });`);
  expect([status, count]).toEqual([1, '1 passed, 1 failed\n']);
  expect(stderr).toContain('Node warned in this run, which fails it:');
  expect(stderr).toMatch(/MaxListenersExceededWarning: [\s\S]* at .*one\.test\.cjs/);
});

test('N9 so does a warning of a program that a test starts', () => {
  const { status, stderr } = runOf(`
    const { execFileSync } = require('node:child_process');
    test('passes', () => {
      execFileSync(process.execPath, ['-e', 'new (require("node:url").Url)(); Buffer(1)']);
    });`);
  expect(status).toBe(1);
  expect(stderr).toContain('DeprecationWarning: Buffer()');
});

test('N9 so does a rejection that nobody handles', () => {
  const { status } = runOf("test('passes', () => void setImmediate(() => Promise.reject(new Error('unheard'))));");
  expect(status).not.toBe(0);
});

test('N9 a run without warnings passes', () => {
  expect(runOf("test('passes', () => {});")).toMatchObject({ status: 0, count: '1 passed, 0 failed\n' });
});
