/** H8: execa starts every child process, through one door. */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { desktopVariables, startChild } from '../src/child-process.js';

const SHELL = '/bin/sh';
const PIPED = { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' } as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'child-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('H8 a child sees the variables that it is given and none of this process', async () => {
  process.env.TELESHIFT_TEST_SECRET = 'of this process';
  try {
    const { end } = await startChild('/usr/bin/env', [], { env: { A: '1', B: undefined }, ...PIPED });
    expect(await end).toMatchObject({ exitCode: 0, stdout: 'A=1' });
  } finally {
    delete process.env.TELESHIFT_TEST_SECRET;
  }
});

test('H8 an end by status or by signal is an end and throws nothing', async () => {
  const status = await startChild(SHELL, ['-c', 'echo out; echo err >&2; exit 3'], { env: {}, ...PIPED });
  expect(await status.end).toMatchObject({ exitCode: 3, stdout: 'out', stderr: 'err' });
  const killed = await startChild(SHELL, ['-c', 'kill -TERM $$'], { env: {}, ...PIPED });
  const ended = await killed.end;
  expect([ended.exitCode, ended.signal]).toEqual([undefined, 'SIGTERM']);
});

test('H8 what cannot be started says so in the words of Node, without its arguments', async () => {
  const plain = join(folder, 'plain');
  writeFileSync(plain, 'no program');
  const start = (file: string, args: string[]) => startChild(file, args, { env: {}, ...PIPED });
  await expect(start(join(folder, 'gone'), ['secret'])).rejects.toMatchObject({
    code: 'ENOENT',
    message: `spawn ${join(folder, 'gone')} ENOENT`,
  });
  await expect(start(plain, ['secret'])).rejects.toMatchObject({ code: 'EACCES', message: `spawn ${plain} EACCES` });
  await expect(start(SHELL, ['x'.repeat(1 << 18)])).rejects.toMatchObject({ code: 'E2BIG', message: 'spawn E2BIG' });
});

test('H8 nothing is started for whoever has given up before', async () => {
  const file = join(folder, 'program');
  const mark = join(folder, 'mark');
  writeFileSync(file, `#!/bin/sh\n: > ${mark}\n`);
  chmodSync(file, 0o755);
  const stop = new AbortController();
  const starting = startChild(file, [], { env: {}, cancelSignal: stop.signal });
  stop.abort(new Error('given up'));
  await expect(starting).rejects.toThrow('given up');
  expect(existsSync(mark)).toBe(false);
});

test('H8 a program of the desktop sees its session, what it needs besides, and no secret', () => {
  const session = {
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/user/1000/bus',
    XDG_RUNTIME_DIR: '/run/user/1000',
    DISPLAY: ':0',
    HOME: '/home/alice',
    Path: 'C:\\Windows',
    LC_ALL: 'C.UTF-8',
  };
  const secrets = {
    AWS_SECRET_ACCESS_KEY: 'x',
    AWS_SESSION_TOKEN: 'x',
    PGPASSWORD: 'x',
    TELEPORT_LOGIN: 'x',
    GITHUB_TOKEN: 'x',
    PATH_TOKEN: 'x',
    MY_HOME: 'x',
  };
  expect(desktopVariables({ ...session, ...secrets, BROWSER: 'w3m' })).toEqual(session);
  expect(desktopVariables({ ...session, ...secrets, BROWSER: 'w3m' }, /^BROWSER$/)).toEqual({
    ...session,
    BROWSER: 'w3m',
  });
});
