/**
 * What the built programs do before anything else: refuse a Node that is too old, in one sentence, and keep Node's
 * debugger shut. Real processes; `npm run build` first.
 * Tests: src/cli/main.ts, src/tctl/main.ts, src/teleport/main.ts, src/tsh/main.ts
 */
import { fork } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { OLDEST_NODE } from '../../bin/start.js';
import {
  type BuiltProgram,
  catches,
  listeningPorts,
  type ProgramProcess,
  startProgram,
} from '../support/program-process.js';
import { until } from '../support/until.js';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'start-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true, maxRetries: 3 }));

const PROGRAMS: BuiltProgram[] = ['tsh', 'tctl', 'teleport'];
const { SIGUSR1 } = constants.signals;
const onLinux = process.platform === 'linux' ? describe : describe.skip;

/** A Proxy that takes connections and never says a word. */
async function muteProxy() {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  return {
    address: `localhost:${(server.address() as { port: number }).port}`,
    called: new Promise((done) => server.once('connection', done)),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}

function writeConfig(): string {
  const file = join(home, 'teleport.yaml');
  writeFileSync(
    file,
    JSON.stringify({
      version: 'v3',
      teleport: { nodename: 'localhost', data_dir: join(home, 'data') },
      auth_service: { enabled: 'yes', listen_addr: '127.0.0.1:0', cluster_name: 'test.example.com' },
      proxy_service: { enabled: 'yes', web_listen_addr: '127.0.0.1:0' },
    }),
  );
  return file;
}

/** The last look of `bin/start.ts` is over. */
const STEADY_MS = 1_500;
const steady = (pid: number, startedAt: number) =>
  until(`process ${pid} has run for ${STEADY_MS} ms and listens where it should`, async () =>
    Date.now() - startedAt > STEADY_MS ? true : undefined,
  );

onLinux('F5 no signal opens a debugger', () => {
  /** Before and after the signals the same ports, not a word about a debugger, and the process goes on. */
  async function staysShut(process: ProgramProcess): Promise<void> {
    const before = listeningPorts(process.pid);
    for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGUSR1'] as const) process.child.kill(signal);
    // Node's answer to SIGUSR1 takes some turns of its event loop; this one comes after it.
    await steady(process.pid, Date.now());
    expect(listeningPorts(process.pid)).toEqual(before);
    expect(process.text()).not.toContain('Debugger');
    expect([process.child.exitCode, process.child.signalCode]).toEqual([null, null]);
  }

  test('of teleport: the state of the process goes to the log', async () => {
    await using teleport = startProgram('teleport', ['start', `--config=${writeConfig()}`], { home });
    await teleport.untilSaid('Proxy Service is listening');
    await staysShut(teleport);
    await teleport.untilSaid('Got signal SIGUSR2, and this program does not replace itself');
    expect(teleport.text()).toMatch(
      /INFO \[PROC\] +Got signal SIGUSR1, logging diagnostic info\. sessions:0 uptime_seconds:\d+ rss_bytes:\d+ .*resources:\S*TCPServerWrap=2/,
    );
    teleport.child.kill('SIGTERM');
    expect(await teleport.ended).toBe(0);
  });

  test('of tsh, while it waits for a Proxy', async () => {
    await using proxy = await muteProxy();
    await using tsh = startProgram('tsh', ['login', `--proxy=${proxy.address}`, '--user=alice'], { home });
    await proxy.called;
    await staysShut(tsh);
  });

  test('of tctl, while it reads standard input', async () => {
    await using tctl = startProgram('tctl', ['create'], { home });
    await until('tctl listens for signals', async () => catches(tctl.pid, constants.signals.SIGHUP) || undefined);
    await staysShut(tctl);
    tctl.child.kill('SIGHUP');
    expect(await tctl.ended).toBe(129);
  });

  test('of the process that holds the keychain', async () => {
    const child = fork(resolve('dist/keychain-child.js'), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
      env: { PATH: process.env.PATH, HOME: home },
    });
    let text = '';
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const answered = new Promise((done) => child.once('message', done));
    const ended = new Promise((done) => child.once('exit', done));
    try {
      child.send({ id: 1, call: 'getPassword', args: ['teleshift-test', 'nobody'] });
      await answered; // whether or not there is a keychain
      const startedAt = Date.now();
      child.kill('SIGUSR1');
      await steady(child.pid!, startedAt);
      expect([listeningPorts(child.pid!), text, child.exitCode, child.signalCode]).toEqual([[], '', null, null]);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
  });

  test.each(PROGRAMS)('of %s, also when it comes before the first line of ours has run', async (program) => {
    await using proxy = await muteProxy();
    const args = {
      tsh: ['login', `--proxy=${proxy.address}`, '--user=alice'],
      tctl: ['create'],
      teleport: ['start', `--config=${writeConfig()}`],
    }[program];
    await using process = startProgram(program, args, { home });
    const startedAt = Date.now();
    // Node's own handler is there, ours is not.
    while (!catches(process.pid, SIGUSR1)) await new Promise((turn) => setImmediate(turn));
    process.child.kill('SIGUSR1');
    if (program === 'teleport') await process.untilSaid('Proxy Service is listening');
    await steady(process.pid, startedAt);
    const ours = program === 'teleport' ? 2 : 0;
    expect(
      await until(`${program} listens on ${ours} ports`, async () => {
        const ports = listeningPorts(process.pid);
        return ports.length === ours ? ports : undefined;
      }),
    ).not.toContain(9229);
    expect([process.child.exitCode, process.child.signalCode]).toEqual([null, null]);
  });

  test('a debugger that was asked for stays open', async () => {
    await using tctl = startProgram('tctl', ['create'], { home, vars: { NODE_OPTIONS: '--inspect=127.0.0.1:0' } });
    await tctl.untilSaid('Debugger listening on');
    await steady(tctl.pid, Date.now());
    expect(listeningPorts(tctl.pid)).toHaveLength(1);
  });
});

onLinux('X13 a crash leaves no keys in a core file', () => {
  test.each<[BuiltProgram, string[]]>([
    ['tctl', ['create']],
    ['teleport', ['start', '--config=CONFIG']],
  ])('%s has no memory to be dumped', async (program, args) => {
    const words = args.map((word) => word.replace('CONFIG', writeConfig()));
    await using process = startProgram(program, words, { home });
    await until(
      `${program} listens for signals`,
      async () => catches(process.pid, constants.signals.SIGHUP) || undefined,
    );
    expect(Number(readFileSync(`/proc/${process.pid}/coredump_filter`, 'utf8'))).toBe(0);
  });
});

describe('N2 the oldest Node', () => {
  const oldest = OLDEST_NODE.join('.');

  test('is the same in package.json, in the code and in the README', () => {
    expect(JSON.parse(readFileSync('package.json', 'utf8')).engines).toEqual({ node: `>=${oldest}` });
    expect(readFileSync('README.md', 'utf8')).toContain(`Node ${oldest} or newer`);
  });

  /** A process whose Node says that it is another version. */
  async function runOn(program: BuiltProgram, version: string, args: string[]) {
    const pretend = join(home, 'pretend.cjs');
    const versions = `{ ...process.versions, node: ${JSON.stringify(version)} }`;
    writeFileSync(pretend, `Object.defineProperty(process, 'versions', { value: ${versions} });`);
    await using running = startProgram(program, args, { home, nodeArgs: ['--require', pretend] });
    return { status: await running.ended, text: running.text() };
  }

  test.each(PROGRAMS)(
    '%s on an older one says which Node it needs and which it has, and nothing else',
    async (program) => {
      for (const version of ['12.22.9', '16.20.2', '18.20.8', '20.0.0', '20.4.0', '20.9.0']) {
        const { status, text } = await runOn(program, version, ['version']);
        expect(status).toBe(1);
        expect(text).toBe(
          `ERROR: ${program} needs Node ${oldest} or newer, and ${process.execPath} is Node ${version}. Install a newer Node from https://nodejs.org, or put one that you have first in PATH.\n\n`,
        );
      }
    },
  );

  test.each(['20.10.0', '20.11.1', '21.0.0', '22.0.0', '26.1.0', '100.0.0'])('%s is new enough', async (version) => {
    expect(await runOn('tsh', version, ['version', '--client'])).toMatchObject({ status: 0 });
  });

  test.each([...PROGRAMS, 'keychain-child'])('dist/%s.js can be read by the Nodes that it refuses', (name) => {
    const text = readFileSync(`dist/${name}.js`, 'utf8');
    // Not before Node 14: `?.`, `??`, `await` outside of a function.
    expect(text).not.toMatch(/\?\.[a-z([]|\?\?|\bawait\b|^import[\s{"']|&&=|\|\|=/im);
    expect(text).toContain('programs/');
    // Nothing of Node's is read before the version is known: `require` stands in functions only.
    expect(text).not.toMatch(/^(var|let|const)\b[^\n]*=require\(/m);
  });

  test('a program whose files are not all there says so in one sentence', async () => {
    const dist = join(home, 'dist');
    for (const name of ['tsh.js', 'package.json']) cpSync(`dist/${name}`, join(dist, name));
    await using tsh = startProgram('tsh', ['version'], { home, dist });
    expect(await tsh.ended).toBe(1);
    expect(tsh.text()).toMatch(
      /^ERROR: tsh cannot be loaded: ENOENT: no such file or directory, open '[^\n]*'\. Install teleshift again: npm install -g teleshift-VERSION\.tgz\n\n$/,
    );
  });
});
