/**
 * Homes, folders and disks that take nothing: the path is named, and the way out, before a person is asked for
 * anything.
 * Tests: src/profile/disk-store.ts, src/tsh/logout.ts
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { isTeleportError } from '../../src/errors.js';
import { writeWhole } from '../../src/profile/whole-file.js';
import { runTsh } from '../../src/tsh/main.js';
import { memoryEnv } from '../support/env.js';
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster/cluster.js';

let cluster: FakeCluster;
let dir: string;
/** A file where a folder is expected: nobody can write below it, root neither. */
let file: string;

beforeAll(async () => {
  cluster = await startFakeCluster({ now: () => new Date() });
  dir = mkdtempSync(join(tmpdir(), 'teleshift-unwritable-'));
  file = join(dir, 'file');
  writeFileSync(file, '');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});

async function tsh(words: string[], { home = join(dir, 'home'), vars = {} as Record<string, string> } = {}) {
  mkdirSync(join(dir, 'home'), { recursive: true });
  const env = memoryEnv({
    home,
    tty: { stdin: true },
    vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(dir, 'none'), USER: 'osuser', ...vars },
  });
  for (const answer of ['correct', '123456']) env.type(`${answer}\n`);
  const status = await runTsh(words, env);
  return { status, stdout: env.out(), stderr: env.err() };
}

const LOGIN = () => ['login', `--proxy=localhost:${cluster.port}`, '--user=alice'];

describe('B13 places that cannot be written', () => {
  test.each<[string, string[] | undefined]>([
    ['tsh login', undefined],
    ['tsh login --aws', ['login', '--aws', '--region=us-east-1']],
  ])('%s in a home that is a file, or a TELEPORT_HOME below one', async (_, words) => {
    cluster.calls.length = 0;
    for (const [options, base] of [
      [{ home: file }, join(file, '.tsh')],
      [{ vars: { TELEPORT_HOME: join(file, 'x') } }, join(file, 'x')],
      [{ home: '/proc/self' }, '/proc/self/.tsh'],
    ] as const) {
      const { status, stdout, stderr } = await tsh(words ?? LOGIN(), options);
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(
        new RegExp(
          `^ERROR: cannot write ${base}: [a-z -]+\ntsh keeps logins in ${base}\\. Make it a folder that you can write, or name another one with TELEPORT_HOME\\.\n\n$`,
        ),
      );
    }
    expect(cluster.calls).toEqual([]);
  });

  test('commands that only read say that nobody is logged in, and fail with one line', async () => {
    for (const words of [['status'], ['db', 'ls'], ['clusters'], ['env']]) {
      const { status, stderr } = await tsh(words, { home: file });
      expect([status, stderr.split('\n').length]).toEqual([1, 3]);
      expect(stderr).toMatch(/^ERROR: (Not logged in\.|No proxy address specified|current-profile is not set)/);
    }
  });

  test.each([
    ['below a file', 'FILE/id.pem', 'cannot write FILE/id.pem: not a directory'],
    ['two below a file', 'FILE/x/id.pem', 'cannot write FILE/x/id.pem: not a directory'],
    ['a folder', 'DIR', 'DIR is not a file'],
    ['a device', '/dev/full', '/dev/full is not a file'],
  ])('--out %s: said before a person is asked for anything', async (_, out, said) => {
    const real = (text: string) => text.replace('FILE', file).replace('DIR', dir);
    for (const more of [[], ['--overwrite'], ['--format=openssh']]) {
      cluster.calls.length = 0;
      const { status, stdout, stderr } = await tsh([...LOGIN(), `--out=${real(out)}`, ...more]);
      expect([status, stdout, cluster.calls]).toEqual([1, '', []]);
      expect(stderr).toMatch(new RegExp(`^ERROR: ${real(said)}\n`));
    }
  });

  test('--out in a folder that is not there yet: it is made, after the login', async () => {
    const out = join(dir, 'new/folder/id.pem');
    expect(await tsh([...LOGIN(), `--out=${out}`])).toMatchObject({ status: 0 });
    expect(readFileSync(out, 'utf8')).toContain('PRIVATE KEY');
  });

  test.each([
    ['tsh', 'db', 'exec', 'select 1', '--dbs=x', '--output-dir=FILE/out'],
    ['tctl', 'auth', 'export', '--type=tls-user', '--config=FILE/teleport.yaml'],
    ['teleport', 'configure', '--output=FILE/teleport.yaml'],
    ['teleport', 'start', '--config=CONFIG'],
    ['teleport', 'install', 'systemd', '--output=FILE/unit'],
    ['teleport', 'db', 'configure', 'create', '--proxy=x:443', '--token=x', '--output=FILE/teleport.yaml'],
  ])('%s %s %s: one line that names the path, no stack', (program, ...words) => {
    const config = join(dir, 'teleport.yaml');
    writeFileSync(config, `version: v3\nteleport:\n  data_dir: ${file}/data\n`);
    const { status, stderr } = spawnSync(
      process.execPath,
      [`dist/${program}.js`, ...words.map((word) => word.replace('FILE', file).replace('CONFIG', config))],
      { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: join(dir, 'home') } },
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(program === 'tsh' ? /^ERROR: / : /ERROR: .*file/);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  // A small disk of its own, where one can be had.
  const disk = mkdtempSync(join(tmpdir(), 'teleshift-disk-'));
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status === 0;
  afterAll(() => {
    if (isMounted) spawnSync('umount', [disk]);
    rmSync(disk, { recursive: true, force: true });
  });
  (isMounted ? test : test.skip)('a full disk: the old file stays whole, nothing half written is left', async () => {
    const path = join(disk, 'secret');
    await writeWhole(path, 'before', 0o600);
    const failure = await writeWhole(path, 'x'.repeat(100_000), 0o600).catch((error: unknown) => error);
    expect(isTeleportError(failure, 'AccessDenied') && [failure.message, failure.hint]).toEqual([
      `cannot write ${path}: no space left on device`,
      'Make room there, or name another place.',
    ]);
    expect([readdirSync(disk), readFileSync(path, 'utf8')]).toEqual([['secret'], 'before']);
    // Exactly full: an empty lock must not stay behind.
    writeFileSync(join(disk, 'rest'), Buffer.alloc(60 * 1024));
    const { status, stderr } = await tsh(LOGIN(), { vars: { TELEPORT_HOME: disk } });
    expect([status, readdirSync(disk).sort()]).toEqual([1, ['rest', 'secret']]);
    expect(stderr).toContain(`ERROR: cannot write ${disk}/.lock: no space left on device\n`);
    rmSync(join(disk, 'rest'));
    const program = spawnSync('sh', ['-c', `${process.execPath} dist/tsh.js --help > ${disk}/help 2>&1`], {
      encoding: 'utf8',
    });
    expect(program.status).toBe(0);
    const lost = spawnSync('sh', [
      '-c',
      `dd if=/dev/zero of=${disk}/rest bs=1k count=100 2>/dev/null; ${process.execPath} dist/tsh.js --help 2> ${disk}/help2`,
    ]);
    expect(lost.status).toBe(1);
  });
});

describe('B6 a terminal that goes while tsh asks for a password', () => {
  const python = spawnSync('python3', ['-c', 'import pty']).status === 0 ? test : test.skip;
  python('tsh dies of SIGHUP, and Node does not crash', async () => {
    const script = `import os, pty, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
said = b''
while b'password' not in said: said += os.read(terminal, 4096)
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
    const child = spawn('python3', ['-c', script, process.execPath, 'dist/tsh.js', ...LOGIN()], {
      env: { PATH: process.env.PATH, HOME: join(dir, 'asked'), SSL_CERT_FILE: cluster.webCaFile },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said = (await child.stdout.toArray()) as Buffer[];
    expect(Buffer.concat(said).toString()).toBe('-1\n');
  });
});
