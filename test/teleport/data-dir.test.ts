/**
 * Real `teleport start` processes on one data folder, and on full disks.
 * Tests: src/store/file-lock.ts, src/store/state-files.ts, src/teleport/data-dir-lock.ts, src/teleport/running.ts
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { silent } from '../../src/log.js';
import { takeFileLock } from '../../src/store/file-lock.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { lockDataDir } from '../../src/teleport/data-dir-lock.js';
import { writePid } from '../../src/teleport/host-files.js';
import { openLogOutput } from '../../src/teleport/log-output.js';
import { startTeleport } from '../../src/teleport/running.js';
import { memoryEnv } from '../support/env.js';
import { isRoot, Nobody } from '../support/nobody.js';
import { mountSmallDisk, type SmallDisk, testOnSmallDisk } from '../support/small-disk.js';
import { until } from '../support/until.js';

let dir: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'teleport-data-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
});

function configFile(name: string, dataDir = join(dir, 'data'), sections: Record<string, unknown> = {}): string {
  const file = join(dir, `${name}.yaml`);
  writeFileSync(
    file,
    JSON.stringify({
      version: 'v3',
      teleport: { nodename: 'localhost', data_dir: dataDir },
      auth_service: { enabled: 'yes', listen_addr: '127.0.0.1:0', cluster_name: 'test.example.com' },
      proxy_service: { enabled: 'no' },
      ...sections,
    }),
  );
  return file;
}

interface Started {
  child: ChildProcess;
  /** Resolves with what it wrote once that contains the text, or when it ends. */
  says(text: string): Promise<string>;
  ended: Promise<{ status: number | null; text: string }>;
}

function start(config: string, options: { stderr?: number } = {}): Started {
  const child = spawn(process.execPath, [resolve('dist/teleport.js'), 'start', `--config=${config}`], {
    stdio: ['ignore', 'ignore', options.stderr ?? 'pipe'],
  });
  children.push(child);
  let text = '';
  let look = () => {};
  child.stderr?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    look();
  });
  const ended = once(child, 'close').then(([status]) => {
    look();
    return { status: status as number | null, text };
  });
  const says = (wanted: string) =>
    Promise.race([
      new Promise<string>((done) => {
        look = () => {
          if (text.includes(wanted)) done(text);
        };
        look();
      }),
      ended.then((end) => end.text),
    ]);
  return { child, says, ended };
}

const UP = 'Auth Service is listening.';

describe('F14 a data folder belongs to one process', () => {
  test('a second start says which process has it, and ends with 1; the first goes on', async () => {
    const config = configFile('a');
    const first = start(config);
    expect(await first.says(UP)).toContain(UP);
    const second = await start(config).ended;
    expect(second.status).toBe(1);
    expect(second.text).toMatch(
      new RegExp(
        `the data folder ${join(dir, 'data')} is in use by another teleport: process ${first.child.pid} on ${hostname()}, since \\d{4}-\\d\\d-\\d\\dT`,
      ),
    );
    expect(second.text).toContain(`kill ${first.child.pid}`);
    first.child.kill('SIGTERM');
    expect((await first.ended).status).toBe(0);
    expect(existsSync(join(dir, 'data', 'teleport.lock.json'))).toBe(false);
  });

  test('an agent does not start in the folder of an Auth Service', async () => {
    const first = start(configFile('auth'));
    await first.says(UP);
    const agent = configFile('agent', join(dir, 'data'), {
      auth_service: { enabled: 'no' },
      db_service: { enabled: 'yes' },
      teleport: { data_dir: join(dir, 'data'), auth_token: 'x', proxy_server: '127.0.0.1:1' },
    });
    const second = await start(agent).ended;
    expect(second.status).toBe(1);
    expect(second.text).toContain(`process ${first.child.pid} on`);
  });

  test('kill -9 leaves no lock behind', async () => {
    const config = configFile('a');
    const first = start(config);
    await first.says(UP);
    first.child.kill('SIGKILL');
    await first.ended;
    // The name of the dead one is still there, under a process id that lives, as after a reuse.
    const named = join(dir, 'data', 'teleport.lock.json');
    writeFileSync(named, JSON.stringify({ ...JSON.parse(readFileSync(named, 'utf8')), pid: process.pid }));
    const second = start(config);
    expect(await second.says(UP)).toContain(UP);
    second.child.kill('SIGTERM');
    expect((await second.ended).status).toBe(0);
  });

  const onLinux = process.platform === 'linux' ? test : test.skip;
  onLinux('a lock file that somebody removed still keeps others out, until its process ends', async () => {
    const config = configFile('a');
    const first = start(config);
    await first.says(UP);
    for (let turn = 0; turn < 2; turn++) {
      rmSync(join(dir, 'data', 'teleport.lock'));
      const second = await start(config).ended;
      expect(second.status).toBe(1);
      expect(second.text).toContain(`is in use by another teleport: process ${first.child.pid} on ${hostname()}`);
    }
    first.child.kill('SIGKILL');
    await first.ended;
    const third = start(config);
    expect(await third.says(UP)).toContain(UP);
    third.child.kill('SIGTERM');
    expect((await third.ended).status).toBe(0);
  });

  test('one process cannot have it twice either, and can have it again after it let go', async () => {
    const options = { log: silent, now: () => new Date('2026-11-21T10:00:00Z') };
    const lock = await lockDataDir(dir, options);
    await expect(lockDataDir(dir, options)).rejects.toMatchObject({
      code: 'AlreadyExists',
      message: `the data folder ${dir} is in use by another teleport: process ${process.pid} on ${hostname()}, since 2026-11-21T10:00:00.000Z`,
    });
    await lock.close();
    await (await lockDataDir(dir, options)).close();
  });

  test('a holder without a name is said to be one', async () => {
    const lock = await takeFileLock(join(dir, 'teleport.lock'));
    writeFileSync(join(dir, 'teleport.lock.json'), '{"pid":');
    await expect(lockDataDir(dir, { log: silent, now: () => new Date() })).rejects.toMatchObject({
      message: `the data folder ${dir} is in use by another teleport: a process that could not write its name`,
    });
    lock!.release();
  });

  test('what is no lock file is refused with its path', async () => {
    mkdirSync(join(dir, 'teleport.lock'));
    await expect(lockDataDir(dir, { log: silent, now: () => new Date() })).rejects.toMatchObject({
      code: 'BadParameter',
      message: expect.stringContaining(`cannot lock ${join(dir, 'teleport.lock')}`),
    });
  });

  const asRoot = isRoot && existsSync('/proc/self/fd') ? test : test.skip;
  asRoot('another user is told whose folder it is, and changes nothing in it', async () => {
    chmodSync(dir, 0o755);
    const data = join(dir, 'data');
    mkdirSync(data, { mode: 0o700 });
    using nobody = new Nobody();
    const { status, stderr } = nobody.run(['dist/teleport.js', 'start', `--config=${configFile('a')}`]);
    expect(status).toBe(1);
    expect(stderr).toContain(`cannot use the data folder ${data}: `);
    expect(stderr).toContain('(it belongs to user 0, and this process runs as user 65534)');
    expect(statSync(data).uid).toBe(0);
  });
});

describe('F1 a full disk under the daemon', () => {
  let disk: SmallDisk | undefined;
  afterEach(() => {
    disk?.unmount();
    disk = undefined;
  });

  test('standard error that takes no more ends no service', async () => {
    if (!existsSync('/dev/full')) return;
    const pidFile = join(dir, 'pid');
    const config = configFile('a', undefined, {
      teleport: { nodename: 'localhost', data_dir: join(dir, 'data'), pid_file: pidFile },
    });
    const full = openSync('/dev/full', 'w');
    const { child, ended } = start(config, { stderr: full });
    closeSync(full);
    await until('the pid file is there', async () => existsSync(pidFile) || undefined);
    expect(child.exitCode).toBeNull();
    child.kill('SIGTERM');
    expect((await ended).status).toBe(0);
  });

  testOnSmallDisk('a log file gets whole lines, what it cannot take goes to standard error', () => {
    disk = mountSmallDisk(16);
    const file = join(disk.dir, 'teleport.log');
    const env = memoryEnv();
    const output = openLogOutput(file, env);
    const line = (n: number) => `${n} ${'x'.repeat(3000)}\n`;
    for (let n = 0; n < 10; n++) output.write(line(n));
    expect(env.err()).toContain(line(9));
    const torn = readFileSync(file, 'utf8');
    rmSync(file);
    output.reopen();
    output.write(line(10));
    output.close();
    expect(readFileSync(file, 'utf8')).toBe(line(10));
    const kept = torn.split('\n').filter((text) => `${text}\n`.length === line(0).length);
    expect(kept.length).toBeGreaterThan(2);
    for (let n = kept.length; n < 10; n++) expect(env.err()).toContain(line(n));
  });

  testOnSmallDisk(
    'a pid file, a name of the holder and an identity that find no room stop nothing that was up',
    async () => {
      disk = mountSmallDisk(64);
      disk.fill();
      let logged = '';
      const log = { ...silent, warn: (text: string) => (logged += text), error: (text: string) => (logged += text) };
      // One page less: the files have their names, but nothing can be in them.
      await writePid(join(disk.dir, 'teleport.pid'), 1, log);
      expect(logged).toContain('The pid file cannot be written.');
      const lock = await lockDataDir(disk.dir, { log, now: () => new Date() });
      expect(logged).toContain('Cannot write who uses the data folder.');
      await expect(lockDataDir(disk.dir, { log, now: () => new Date() })).rejects.toMatchObject({
        code: 'AlreadyExists',
      });
      await lock.close();
    },
  );

  testOnSmallDisk('Auth that meets a full disk does not start, says why, and starts when there is room', async () => {
    disk = mountSmallDisk(2048);
    const file = configFile('a', join(disk.dir, 'data'));
    const { raw } = readConfigFile(file);
    const config = teleportConfig({ config: file }, file, raw);
    const first = await startTeleport(config, { log: silent, vars: {} });
    await first.close({ drainMs: 0 });
    disk.fill();
    await expect(startTeleport(config, { log: silent, vars: {} })).rejects.toMatchObject({ code: 'LimitExceeded' });
    disk.free();
    const second = await startTeleport(config, { log: silent, vars: {} });
    expect(second.auth?.port).toBeGreaterThan(0);
    await second.close({ drainMs: 0 });
  });
});
