/**
 * The unit of `teleport install systemd`, held against systemd itself and against the built program that it starts.
 * Tests: src/teleport/certificate-reload.ts
 */
import { execFile, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import { startWords, unit } from '../../src/teleport/install/systemd.js';
import { createTestCa } from '../support/ca.js';
import { catches, startProgram } from '../support/program-process.js';
import { until } from '../support/until.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'systemd-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }));

const onLinux = process.platform === 'linux' ? test : test.skip;
const withSystemd = spawnSync('systemd-analyze', ['--version']).status === 0 ? test : test.skip;

/** What the built program prints, from a given place. */
async function unitText(script: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, 'install', 'systemd', ...args]);
  return stdout;
}

const setting = (unit: string, name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)![1]!;

/** The command line of a unit as systemd starts it: words, `"quoted words"`, `$MAINPID`. */
function systemdRuns(line: string, mainPid: number) {
  const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
  const [file, ...args] = words.map((word) => (word === '$MAINPID' ? String(mainPid) : word));
  return { file: file!, args };
}

function newKeypair(): string {
  const { cert, key } = createTestCa().issue('localhost');
  writeFileSync(join(dir, 'web.crt'), cert);
  writeFileSync(join(dir, 'web.key'), key);
  return new X509Certificate(cert).fingerprint256;
}

function configFile(): string {
  const file = join(dir, 'teleport.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      version: 'v3',
      teleport: { nodename: 'localhost', data_dir: join(dir, 'data') },
      auth_service: { enabled: 'yes', listen_addr: '127.0.0.1:0', cluster_name: 'test.example.com' },
      proxy_service: {
        enabled: 'yes',
        web_listen_addr: '127.0.0.1:0',
        https_keypairs: [{ cert_file: join(dir, 'web.crt'), key_file: join(dir, 'web.key') }],
      },
    }),
  );
  return file;
}

function shownAt(port: number): Promise<string> {
  return new Promise((done, failed) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false }, () => {
      done(new X509Certificate(socket.getPeerCertificate().raw).fingerprint256);
      socket.destroy();
    });
    socket.on('error', failed);
  });
}

describe('S5 systemctl reload', () => {
  onLinux(
    'the reload of our unit shows a new web certificate, as often as it is asked, and the process lives',
    async () => {
      const reload = setting(
        await unitText('dist/teleport.js', `--pid-file=${join(dir, 'teleport.pid')}`),
        'ExecReload',
      );
      const first = newKeypair();
      const args = ['start', `--config=${configFile()}`, `--pid-file=${join(dir, 'teleport.pid')}`];
      await using teleport = startProgram('teleport', args, { home: dir });
      await until('the pid file is there', async () => existsSync(join(dir, 'teleport.pid')) || undefined);
      await teleport.untilSaid('Proxy Service is listening');
      const port = Number(/Proxy Service is listening\. addr:\S+:(\d+)/.exec(teleport.text())![1]);
      expect(await shownAt(port)).toBe(first);
      for (let turn = 0; turn < 2; turn++) {
        const next = newKeypair();
        const { file, args: words } = systemdRuns(reload, teleport.pid);
        await promisify(execFile)(file, words);
        await until('the new certificate is shown', async () => ((await shownAt(port)) === next ? true : undefined));
      }
      expect(readFileSync(join(dir, 'teleport.pid'), 'utf8').trim()).toBe(String(teleport.pid));
      teleport.child.kill('SIGTERM');
      expect(await teleport.ended).toBe(0);
      expect(existsSync(join(dir, 'teleport.pid'))).toBe(false);
    },
  );

  onLinux('a reload that comes while the services start does not stop them', async () => {
    newKeypair();
    const isEarly = async () => {
      rmSync(join(dir, 'data'), { recursive: true, force: true });
      await using teleport = startProgram('teleport', ['start', `--config=${configFile()}`], { home: dir });
      await until(
        'teleport listens for signals',
        async () => catches(teleport.pid, constants.signals.SIGHUP) || undefined,
      );
      await teleport.untilSaid('Starting Teleport');
      teleport.child.kill('SIGHUP');
      await teleport.untilSaid('Proxy Service is listening');
      await teleport.untilSaid('Reading certificates again.');
      teleport.child.kill('SIGTERM');
      expect(await teleport.ended).toBe(0);
      return teleport.text().indexOf('Reading certificates again.') < teleport.text().indexOf('Proxy Service is');
    };
    // Where this process got no time for so long that they had started, it comes too late to show anything.
    await until('a reload comes early enough', async () => (await isEarly()) || undefined);
  });

  withSystemd('systemd takes the unit', async () => {
    const file = join(dir, 'teleport.service');
    writeFileSync(file, await unitText('dist/teleport.js', `--pid-file=${join(dir, 'teleport.pid')}`));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', file], { encoding: 'utf8' });
    expect([status, stderr.split('\n').filter((line) => line.includes('teleport.service'))]).toEqual([0, []]);
  });

  test('the unit starts the program that wrote it, with a Node that a unit would not find, and from folders with blanks', () => {
    expect(startWords('/opt/x/dist/teleport.js', '/usr/bin/node')).toBe('/opt/x/dist/teleport.js');
    const line = startWords('/opt/my x/dist/teleport.js', '/home/alice/.nvm/v22/bin/node');
    expect(line).toBe('/home/alice/.nvm/v22/bin/node "/opt/my x/dist/teleport.js"');
    expect(systemdRuns(line, 0)).toEqual({
      file: '/home/alice/.nvm/v22/bin/node',
      args: ['/opt/my x/dist/teleport.js'],
    });
  });

  test('what systemd would read in paths as something else is kept from it', () => {
    const text = unit({
      teleportPath: startWords("/opt/100%/$x/it's/a\\b.js", '/usr/bin/node'),
      pidFile: '/run/my %i/teleport.pid',
      envFile: '/etc/%h env',
      fdLimit: 10,
    });
    expect(setting(text, 'ExecStart')).toBe(
      '"/opt/100%%/$$x/it\'s/a\\\\b.js" start --config /etc/teleport.yaml "--pid-file=/run/my %%i/teleport.pid"',
    );
    expect(setting(text, 'PIDFile')).toBe('/run/my %%i/teleport.pid');
    expect(setting(text, 'EnvironmentFile')).toBe('-/etc/%%h env');
  });
});
