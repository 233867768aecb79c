import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findPsql, runPsql } from '../../../src/localproxy/psql/run.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'psql-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function script(name: string, text: string, mode = 0o755): string {
  mkdirSync(join(folder, name), { recursive: true });
  const file = join(folder, name, 'psql');
  writeFileSync(file, `#!/bin/sh\n${text}\n`);
  chmodSync(file, mode);
  return file;
}

const PIPED = { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' } as const;

describe('psql as a child', () => {
  test('is the first executable of PATH, and nothing else', async () => {
    script('plain', 'exit 0', 0o644);
    const file = script('good', 'exit 0');
    const path = [join(folder, 'none'), '', join(folder, 'plain'), join(folder, 'good')].join(':');
    expect(await findPsql(path)).toBe(file);
    expect(await findPsql(join(folder, 'none'))).toBeUndefined();
    expect(await findPsql(undefined)).toBeUndefined();
  });

  test('passes its exit status, output and exactly the given environment on', async () => {
    const file = script('status', 'echo "out $1 $FOO $HOME_OF_TEST"; echo err >&2; exit 3');
    const exited = await runPsql({ file, args: ['uri'], env: { FOO: 'bar', PATH: process.env.PATH }, stdio: PIPED });
    expect(exited).toEqual({ status: 3, stdout: 'out uri bar \n', stderr: 'err\n' });
  });

  test('reports a signal as 128 and its number', async () => {
    const file = script('killed', 'kill -TERM $$');
    const { status } = await runPsql({ file, args: [], env: { PATH: process.env.PATH }, stdio: PIPED });
    expect(status).toBe(143);
  });

  test('says which program cannot be run', async () => {
    const run = runPsql({ file: join(folder, 'gone'), args: [], env: {}, stdio: PIPED });
    await expect(run).rejects.toMatchObject({ code: 'ConnectionProblem' });
  });
});
