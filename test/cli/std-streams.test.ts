/**
 * What the programs do when nobody takes their output: full disks, readers that went away, terminals that are gone.
 * Tests: src/cli/main.ts
 */
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { until } from '../support/until.js';

let home: string;
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'teleshift-streams-'));
});
afterAll(() => rmSync(home, { recursive: true }));

const COMMANDS = ['tsh version', 'tctl version', 'teleport version', 'teleport configure --data-dir=/nonexistent'];
const FAILING = ['tsh db ls', 'tctl tokens add', 'teleport start --config=/nonexistent'];

function shell(line: string) {
  const { NO_COLOR, FORCE_COLOR, ...rest } = process.env;
  const { status, stdout, stderr } = spawnSync(
    'bash',
    ['-c', line.replace(/\b(tsh|tctl|teleport) /g, `${process.execPath} dist/$1.js `)],
    {
      encoding: 'utf8',
      env: { ...rest, HOME: home, TELEPORT_HOME: join(home, '.tsh') },
    },
  );
  return { status, stdout, stderr };
}

/** The command, begun when the reader of its output has gone. @returns its status */
function withoutReader(command: string) {
  const gone = join(home, 'gone');
  return shell(
    `mkfifo ${gone}; { read -r _ < ${gone}; ${command}; } | { exec <&-; echo > ${gone}; }; echo \${PIPESTATUS[0]}; rm ${gone}`,
  );
}

const withFull = existsSync('/dev/full') ? test : test.skip;

describe('B13 output that nobody takes', () => {
  withFull.each(COMMANDS)('%s to a full disk: one line, status 1', (command) => {
    expect(shell(`${command} > /dev/full`)).toEqual({
      status: 1,
      stdout: '',
      stderr: 'ERROR: cannot write to standard output: no space left on device\n\n',
    });
  });

  withFull.each(FAILING)('%s, its error to a full disk: status 1, no more', (command) => {
    expect(shell(`${command} 2> /dev/full`)).toEqual({ status: 1, stdout: '', stderr: '' });
    expect(shell(`${command} > /dev/full 2>&1`)).toEqual({ status: 1, stdout: '', stderr: '' });
  });

  withFull('help that is lost is a failure as well; a remark that nobody makes is none', () => {
    expect(shell('tsh --help 2> /dev/full').status).toBe(1);
    expect(shell('tsh version 2> /dev/full').status).toBe(0);
  });

  test.each(COMMANDS)('%s, when the reader is gone: silence and the status of SIGPIPE', (command) => {
    expect(withoutReader(command)).toEqual({ status: 0, stdout: '141\n', stderr: '' });
  });

  test.each(FAILING)('%s, when the reader of its errors is gone: silence and the status of SIGPIPE', (command) => {
    expect(withoutReader(`${command} 2>&1 >/dev/null`)).toMatchObject({ stdout: '141\n', stderr: '' });
  });

  test('a file that takes only the beginning is a failure: the rest is not lost in silence', () => {
    const file = join(home, 'part');
    const { status, stderr } = shell(`set -o posix; ulimit -f 1; teleport configure --data-dir=/nonexistent > ${file}`);
    expect([status, stderr]).toEqual([1, 'ERROR: cannot write to standard output: file too large\n\n']);
    expect(readFileSync(file).length).toBe(512);
  });

  withFull.each(['stderr', 'stdout'])('a log on a full disk (%s) costs lines, not the daemon', async (output) => {
    const data = join(home, `data-${output}`);
    const config = join(home, `${output}.yaml`);
    writeFileSync(
      config,
      `version: v3\nteleport:\n  data_dir: ${data}\n  log: { output: ${output} }\nauth_service:\n  enabled: yes\n  listen_addr: 127.0.0.1:0\n  cluster_name: example.com\nproxy_service: { enabled: no }\n`,
    );
    const full = openSync('/dev/full', 'w');
    const daemon = spawn(process.execPath, ['dist/teleport.js', 'start', `--config=${config}`], {
      stdio: ['ignore', full, full],
    });
    closeSync(full);
    const ended = new Promise<number | null>((done) => daemon.once('close', done));
    // Its last file at the start; by then it has said a dozen lines.
    await until('the daemon is up', async () => existsSync(join(data, 'admin-identity.json')) || undefined);
    daemon.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  const python = spawnSync('python3', ['-c', '']).status === 0 ? test : test.skip;

  python('a slow reader of a pipe that does not block gets everything', () => {
    // O_NONBLOCK belongs to the pipe, not to us: whoever shares it may have set it.
    const script = `import fcntl, os, subprocess, sys
r, w = os.pipe()
fcntl.fcntl(w, 1031, 4096) # F_SETPIPE_SZ
fcntl.fcntl(w, fcntl.F_SETFL, fcntl.fcntl(w, fcntl.F_GETFL) | os.O_NONBLOCK)
os.write(w, b'x' * 4000)
child = subprocess.Popen(sys.argv[1:], stderr=w)
os.close(w)
count = 0
while got := os.read(r, 7): count += len(got)
print(child.wait(), count - 4000)`;
    const words = [process.execPath, 'dist/tsh.js', '--help'];
    const all = spawnSync(words[0]!, words.slice(1), { encoding: 'utf8' }).stderr;
    expect(spawnSync('python3', ['-c', script, ...words], { encoding: 'utf8' }).stdout).toBe(
      `0 ${Buffer.byteLength(all)}\n`,
    );
  });

  python('a terminal that is gone: silence and death by SIGHUP', () => {
    const script = `import os, subprocess, sys
master, slave = os.openpty()
words = ['sh', '-c', 'read _; exec "$@"', 'sh'] + sys.argv[1:]
child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=slave, stderr=subprocess.PIPE)
os.close(master)
child.stdin.write(b'\\n')
child.stdin.close()
said = child.stderr.read()
print(child.wait(), said)`;
    const words = ['-c', script, process.execPath, 'dist/tsh.js', 'version'];
    const { stdout, stderr } = spawnSync('python3', words, { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(["-1 b''\n", '']);
  });
});
