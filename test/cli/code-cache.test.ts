/**
 * The code that a program keeps for its next run: kept whole, run only where nobody else can have written it, and done
 * without wherever there is a doubt. The built programs as processes.
 * Tests: bin/code-cache.ts
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isRoot, NOBODY } from '../support/nobody.js';

let home: string;
let folder: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'code-cache-'));
  folder = join(home, '.cache', 'teleshift');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/**
 * Writes to standard error whether V8 took the code it was given, and what the program read: the files of its cache.
 * `used` or `refused` for each file with code, nothing for one without.
 */
const TELL = `
  const vm = require('node:vm');
  const { Script } = vm;
  vm.Script = class extends Script {
    constructor(source, options) {
      super(source, options);
      if (options.cachedData) process._rawDebug('code ' + (this.cachedDataRejected ? 'refused' : 'used'));
    }
  };`;

function run(words: string[], vars: Record<string, string | undefined> = {}, program = 'tsh', nodeArgs: string[] = []) {
  const preload = join(home, 'preload.cjs');
  writeFileSync(preload, TELL);
  const args = [...nodeArgs, '--require', preload, `dist/${program}.js`, ...words];
  const env = { PATH: process.env.PATH, HOME: home, ...vars };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  return { status, stdout, code: stderr.match(/(?<=^code )\w+$/gm) ?? [] };
}

const VERSION = ['version', '--client'];
const cached = () => (existsSync(folder) ? readdirSync(folder).sort() : []);
const cacheOf = (program: string) => join(folder, cached().find((name) => name.startsWith(`${program}-`))!);
const commandsIn = (file: string) => JSON.parse(/\{"commands".*\}/.exec(readFileSync(file, 'latin1'))![0]).commands;
const wordOf = (name: string) => /\.js\.([a-z]+)\.v/.exec(name)?.[1];
/** Of a run that did without, and wrote what it would have read. */
const cold = { status: 0, code: [] };
const warm = { status: 0, code: ['used'] };

test.each(['tsh', 'tctl', 'teleport'])('the second run of %s uses the code of the first', (program) => {
  const first = run(['version'], {}, program);
  expect(first).toMatchObject(cold);
  expect(cached()).toHaveLength(1);
  const written = statSync(cacheOf(program)).mtimeMs;
  expect(run(['version'], {}, program)).toEqual({ ...first, ...warm });
  expect(statSync(cacheOf(program)).mtimeMs).toBe(written);
});

test('it is for its owner only, and nothing else lies beside it', () => {
  run(VERSION);
  expect([join(home, '.cache'), folder].map((one) => statSync(one).mode & 0o777)).toEqual([0o700, 0o700]);
  expect(statSync(cacheOf('tsh')).mode & 0o777).toBe(0o600);
  expect(readdirSync(home).sort()).toEqual(['.cache', 'preload.cjs']);
});

test('a command that was not run before adds what it used', () => {
  const env = ['db', 'env', 'orders'];
  expect(run(env)).toMatchObject({ status: 1, code: [] });
  const small = statSync(cacheOf('tsh')).size;
  expect(run(['db', 'ls'])).toMatchObject({ status: 1, code: ['used'] });
  expect(commandsIn(cacheOf('tsh'))).toEqual(['db env [db]', 'db ls [labels]']);
  expect(statSync(cacheOf('tsh')).size).toBeGreaterThan(small);
  expect(run(env)).toMatchObject({ status: 1, code: ['used'] });
  expect(commandsIn(cacheOf('tsh'))).toEqual(['db env [db]', 'db ls [labels]']);
});

test('a first word has a file of its own; what begins with another one than its command shares one', () => {
  run(VERSION);
  expect(run(['db', 'ls'])).toMatchObject({ status: 1, code: [] });
  expect(cached().map(wordOf)).toEqual(['db', 'version']);
  expect(run(['--proxy=localhost:1', ...VERSION])).toMatchObject(cold);
  expect(run(['--proxy=localhost:1', ...VERSION])).toMatchObject(warm);
  // What is shared helps a command that has no file yet, and nobody's words become the name of a file.
  expect(run(['--help'])).toMatchObject(warm);
  for (const word of ['versoin', '../db', '-', '']) run([word]);
  expect(cached().map(wordOf)).toEqual(['db', undefined, 'version']);
  expect(run(VERSION)).toMatchObject(warm);
});

test('the AWS SDK has a cache of its own, which only its commands read', () => {
  const aws = { AWS_ENDPOINT_URL: 'http://127.0.0.1:1', AWS_EC2_METADATA_DISABLED: 'true', AWS_MAX_ATTEMPTS: '1' };
  const ls = ['db', 'ls', '--aws', '--region=us-east-1'];
  const first = run(ls, aws);
  expect(first).toMatchObject({ status: 1, code: [] });
  expect(cached().map((name) => name.split('-')[0])).toEqual(['aws', 'tsh']);
  expect(run(ls, aws)).toMatchObject({ status: 1, code: ['used', 'used'] });
  expect(run(['db', 'env', 'orders'], aws)).toMatchObject({ status: 1, code: ['used'] });
});

test('XDG_CACHE_HOME names the place, an absolute one', () => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'code-cache-xdg-'));
  try {
    expect(run(VERSION, { XDG_CACHE_HOME: elsewhere })).toMatchObject(cold);
    expect(readdirSync(join(elsewhere, 'teleshift'))).toHaveLength(1);
    expect(cached()).toEqual([]);
    run(VERSION, { XDG_CACHE_HOME: 'relative' });
    expect(existsSync('relative')).toBe(false);
    expect(cached()).toHaveLength(1);
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

test.each<[string, Record<string, string | undefined>]>([
  ["Node's own switch", { NODE_DISABLE_COMPILE_CACHE: '1' }],
  ['no home', { HOME: undefined }],
  ['a home that is not there', { HOME: '/nonexistent/home' }],
  ['a home in which nothing can be made', { HOME: '/proc' }],
  ['a file where the folder should be', { XDG_CACHE_HOME: '/dev/null' }],
])('without a cache: %s', (_, vars) => {
  expect(run(VERSION, vars)).toMatchObject(cold);
  expect(run(VERSION, vars)).toMatchObject(cold);
  expect(cached()).toEqual([]);
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = bytes[at]! ^ 1;
  writeFileSync(file, bytes);
}

describe('what is not used, and written anew where it may be', () => {
  test.each<[string, (file: string) => void]>([
    ['an empty file', (file) => truncateSync(file, 0)],
    ['three bytes', (file) => writeFileSync(file, 'abc')],
    ['one byte that is another one', (file) => flip(file, 5_000)],
    ['one byte near the end of the code', (file) => flip(file, statSync(file).size - 1_000)],
    ['a file that ends early', (file) => truncateSync(file, statSync(file).size - 100)],
    ['a length longer than the file', (file) => writeFileSync(file, Buffer.alloc(5000, 0xff))],
    ['no JSON', (file) => writeFileSync(file, Buffer.concat([Buffer.alloc(5000), Buffer.from([9, 0, 0, 0])]))],
  ])('%s', (_, spoil) => {
    run(VERSION);
    const file = cacheOf('tsh');
    const whole = statSync(file).size;
    spoil(file);
    expect(run(VERSION)).toMatchObject(cold);
    expect(statSync(file).size).toBeGreaterThan(whole * 0.9);
    expect(run(VERSION)).toMatchObject(warm);
  });

  test("what is not V8's, or is of V8 with other flags, V8 refuses", () => {
    run(VERSION);
    const file = cacheOf('tsh');
    const code = Buffer.alloc(5000, 1);
    const text = Buffer.from(JSON.stringify({ commands: ['version'], crc: crc32(code) }));
    writeFileSync(file, Buffer.concat([code, text, Buffer.from([text.length, 0, 0, 0])]));
    expect(run(VERSION)).toMatchObject({ status: 0, code: ['refused'] });
    expect(run(VERSION)).toMatchObject(warm);
    expect(run(VERSION, {}, 'tsh', ['--stack-size=900', '--no-opt'])).toMatchObject({ status: 0, code: ['refused'] });
  });

  test('a link', () => {
    run(VERSION);
    const file = cacheOf('tsh');
    renameSync(file, join(home, 'elsewhere'));
    symlinkSync(join(home, 'elsewhere'), file);
    expect(run(VERSION)).toMatchObject(cold);
    expect(run(VERSION)).toMatchObject(warm);
    const moved = join(home, 'moved');
    renameSync(folder, moved);
    symlinkSync(moved, folder);
    const before = readdirSync(moved);
    expect(run(VERSION)).toMatchObject(cold);
    // Nor is anything written through it.
    expect(run(['status'])).toMatchObject({ code: cold.code });
    expect(readdirSync(moved)).toEqual(before);
  });

  (process.platform === 'win32' ? test.skip : test)('X13 a pipe, which nobody waits for', () => {
    run(VERSION);
    const file = cacheOf('tsh');
    rmSync(file);
    execFileSync('mkfifo', [file]);
    expect(run(VERSION)).toMatchObject(cold);
    expect(statSync(file).isFile()).toBe(true);
  });

  test.each([
    ['the file', 0o620],
    ['the file', 0o602],
    ['the folder', 0o720],
    ['the folder', 0o702],
  ])('%s, where others may write to it: %o', (what, mode) => {
    run(VERSION);
    chmodSync(what === 'the file' ? cacheOf('tsh') : folder, mode);
    expect(run(VERSION)).toMatchObject(cold);
  });

  (isRoot ? test : test.skip)('what belongs to another user: read by nobody, and no file of ours put beside it', () => {
    run(VERSION);
    const file = cacheOf('tsh');
    chownSync(file, NOBODY, NOBODY);
    expect(run(VERSION)).toMatchObject(cold);
    expect(statSync(file).uid).toBe(0); // written anew, in a folder of root's
    for (const one of [folder, join(home, '.cache'), home]) {
      chownSync(one, NOBODY, NOBODY);
      if (one !== folder) rmSync(folder, { recursive: true, force: true });
      if (one === home) rmSync(join(home, '.cache'), { recursive: true });
      const before = cached();
      expect(run(VERSION)).toMatchObject(cold);
      expect(cached()).toEqual(before);
    }
    expect(existsSync(join(home, '.cache'))).toBe(false);
  });
});

test('caches of other builds go when they are old, and others stay', () => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const day = 24 * 3600;
  for (const [name, days] of [['tsh-OLD.js.v20.0.0-x64', 31] as const, ['tsh-NEW.js.v22.0.0-x64', 29] as const]) {
    const at = Date.now() / 1000 - days * day;
    writeFileSync(join(folder, name), '');
    utimesSync(join(folder, name), at, at);
  }
  run(VERSION);
  expect(cached()).toHaveLength(2);
  expect(cached()).toContain('tsh-NEW.js.v22.0.0-x64');
});
