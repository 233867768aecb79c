/**
 * The script with which a host gets the programs that a Proxy has. npm is a stand-in that unpacks what it is given, since the real one
 * would ask a registry for what the package needs.
 * Tests: src/proxy/web/install.ts, src/proxy/web/package.ts, src/proxy/web/tar/create.ts
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { packageFile } from '../../src/proxy/web/install.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';

const run = promisify(execFile);
let cluster: TestCluster;
let dir: string;
beforeAll(async () => {
  cluster = await startTestCluster({ agent: false });
});
afterAll(() => cluster?.stop());
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'install-'));
  mkdirSync(join(dir, 'bin'));
  mkdirSync(join(dir, 'tmp'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const curl = async (path: string) =>
  (await run('curl', ['-fsS', '--cacert', cluster.webCaFile, `https://${cluster.proxyAddr}${path}`])).stdout;

function program(name: string, text: string): void {
  writeFileSync(join(dir, 'bin', name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(dir, 'bin', name), 0o755);
}

/** Only what the script may expect of a machine, and Node. */
function machine({ npm = `for last; do :; done; echo "npm $*"; tar -xzf "$last" -C ${dir}` } = {}): void {
  for (const name of ['sh', 'curl', 'mktemp', 'rm', 'tar', 'gzip']) {
    symlinkSync(execFileSync('which', [name], { encoding: 'utf8' }).trim(), join(dir, 'bin', name));
  }
  symlinkSync(process.execPath, join(dir, 'bin', 'node'));
  program('npm', `case $1 in prefix) echo ${dir} ;; *) ${npm} ;; esac`);
}

async function install(script: string, ...args: string[]) {
  const vars = { PATH: join(dir, 'bin'), HOME: dir, TMPDIR: join(dir, 'tmp'), CURL_CA_BUNDLE: cluster.webCaFile };
  const running = run('/bin/sh', ['-s', '--', ...args], { env: vars });
  running.child.stdin!.end(script);
  const {
    code = 0,
    stdout,
    stderr,
  } = await running.then(
    (done) => ({ ...done, code: 0 }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  return { status: code, stdout, stderr };
}

test('S15 what the Proxy has is installed, whole, and it runs', async () => {
  machine();
  const { status, stdout, stderr } = await install(await curl('/scripts/install.sh'), 'v18.3.0', 'enterprise');
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^npm install --global --no-audit --no-fund \S+\/teleshift-18\.3\.0\.tgz$/m);
  expect(stdout).toMatch(/^Installed: teleport 18\.3\.0, in /m);
  for (const file of ['LICENSE', 'README.md', 'THIRD-PARTY-NOTICES', 'docs/man/tsh.1', 'package.json']) {
    expect([file, existsSync(join(dir, 'package', file))]).toEqual([file, true]);
  }
  const home = { PATH: '/usr/bin:/bin', HOME: dir };
  const version = execFileSync(process.execPath, [join(dir, 'package/dist/tsh.js'), 'version'], { env: home });
  expect(version.toString()).toContain('v18.3.0');
  // Nothing is left of the download.
  expect(execFileSync('ls', [join(dir, 'tmp')]).toString()).toBe('');
});

test('the same package each time, of the sum that the script has', async () => {
  const [script, again] = [await curl('/scripts/install.sh'), await curl('/v1/scripts/install.sh')];
  const [, sum] = /\[ "\$sum" = ([0-9a-f]{64}) \]/.exec(script)!;
  expect(/\[ "\$sum" = ([0-9a-f]{64}) \]/.exec(again)![1]).toBe(sum);
  const file = join(dir, 'file');
  await run('curl', [
    '-fsS',
    '--cacert',
    cluster.webCaFile,
    '-o',
    file,
    `https://${cluster.proxyAddr}/scripts/teleshift-18.3.0.tgz`,
  ]);
  expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(sum);
});

describe('what it refuses, before npm is asked', () => {
  const npm = 'echo "npm was asked" >&2; exit 1';

  test.each<[string, string[], string]>([
    ['another version', ['15.4.22'], 'this Proxy has version 18.3.0, not 15.4.22'],
    ['another edition', ['18.3.0', 'gold'], 'gold is not an edition'],
  ])('%s', async (_, args, why) => {
    machine({ npm });
    const { status, stderr } = await install(await curl('/scripts/install.sh'), ...args);
    expect([status, stderr]).toEqual([1, expect.stringContaining(why)]);
    expect(stderr).not.toContain('npm was asked');
  });

  test('a package of another sum', async () => {
    machine({ npm });
    const script = (await curl('/scripts/install.sh')).replace(/(= )[0-9a-f]{64}( \])/, `$1${'0'.repeat(64)}$2`);
    const { status, stderr } = await install(script);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^install\.sh: the package has SHA-256 [0-9a-f]{64}, and not/),
    ]);
  });

  test('a machine without Node, or with one that is too old', async () => {
    machine({ npm });
    rmSync(join(dir, 'bin/node'));
    expect((await install(await curl('/scripts/install.sh'))).stderr).toContain(
      'Node 20.10 or later and npm are needed',
    );
    program('node', 'case $1 in --version) echo v18.19.0 ;; *) exit 1 ;; esac');
    expect((await install(await curl('/scripts/install.sh'))).stderr).toContain('needed, and this is v18.19.0');
  });

  test('half a script does nothing', async () => {
    machine({ npm });
    const script = await curl('/scripts/install.sh');
    const at = script.indexOf('npm install --global');
    expect(at).toBeGreaterThan(0);
    const half = script.slice(0, at + 'npm install'.length);
    const { stdout, stderr } = await install(half);
    expect(`${stdout}${stderr}`).not.toContain('npm was asked');
  });
});

test('npm that may not write: what to do', async () => {
  machine({ npm: 'exit 243' });
  const { status, stderr } = await install(await curl('/scripts/install.sh'));
  expect([status, stderr]).toEqual([1, expect.stringContaining('sudo, or a folder of your own')]);
});

describe('R-C-M3 who fetches it and does not read', () => {
  const PACKAGE = 'teleshift-18.3.0.tgz';
  /** Places of so many downloads. */
  const take = async (count: number, cut: (at: number) => void = () => {}) => {
    const { place } = await packageFile(PACKAGE, '127.0.0.1');
    return Array.from({ length: count }, (_, at) => place!(() => cut(at)));
  };

  /** What came is counted when it is read; HTTP/2 has a window that is smaller than what the kernel keeps. */
  async function fetching() {
    const session = connect(`https://${cluster.proxyAddr}`, { ca: readFileSync(cluster.webCaFile) });
    session.on('error', () => {});
    const stream = session.request({ ':path': `/scripts/${PACKAGE}` });
    stream.on('error', () => {});
    const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
    return { session, stream, length: Number(headers['content-length']) };
  }

  test('has a place, like others: for one more than there are the oldest goes', async () => {
    const cut: number[] = [];
    const places = await take(32, (at) => cut.push(at));
    const { session } = await fetching();
    expect(cut).toEqual([0]);
    session.destroy();
    for (const giveBack of places) giveBack();
  });

  test('has a few pieces of it, and the place until somebody else wants one', async () => {
    const { session, stream, length } = await fetching();
    const closed = once(stream, 'close');
    let bytes = 0;
    const places = await take(32);
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await closed;
    expect(bytes).toBeLessThan(length);
    // A stranger who is late loses the connection too.
    expect(session.destroyed).toBe(false);
    session.destroy();
    for (const giveBack of places) giveBack();
  });
});

test('no other file is there', async () => {
  await expect(curl('/scripts/teleshift-1.0.0.tgz')).rejects.toThrow('404');
});

test('what the seeds ask a Proxy for', async () => {
  expect(await curl('/v1/webapi/automaticupgrades/channel/default/version')).toBe('v18.3.0');
  for (const path of ['/v1/webapi/ping', '/v1/webapi/find']) {
    expect(JSON.parse(await curl(path))).toMatchObject({ server_version: '18.3.0' });
  }
});
