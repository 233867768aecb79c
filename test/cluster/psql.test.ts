/** `tsh db connect` with the real psql, where the machine has it, on a terminal and as a process that gets signals. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { program as tctl } from '../../src/tctl/commands.js';
import { runTsh } from '../../src/tsh/main.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { findTerminal, type Terminal } from '../support/terminal.js';
import { until } from '../support/until.js';

const psql = await findPsql(process.env.PATH);
const openTerminal = findTerminal();
const because = psql ? '' : ' (skipped: this machine has no psql)';
const testWithPsql = psql ? test : test.skip;
const testOnTerminal = psql && openTerminal ? test : test.skip;

const ROUTE = ['orders', '--db-user=analyst', '--db-name=dev'];
const TSH = [process.execPath, `${process.cwd()}/test/tools/run.mjs`, `${process.cwd()}/bin/tsh.ts`];

let cluster: TestCluster;
/** Where `tsh` makes its sockets. */
let temporary: string;
/** Stands for another database server on this machine; nobody may come. */
let decoy: Server;
let visits = 0;
let terminal: Terminal | undefined;
const children: ChildProcess[] = [];

beforeAll(async () => {
  if (!psql) return;
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  decoy = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => decoy.listen(0, '127.0.0.1', resolve));
});
beforeEach(() => {
  if (cluster) temporary = mkdtempSync(join(cluster.dir, 't'));
});
afterEach(() => {
  terminal?.kill();
  terminal = undefined;
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  decoy?.close();
  await cluster?.stop();
});

const varsOf = (more: Record<string, string | undefined> = {}) => ({
  ...cluster.envOf('alice').vars,
  TERM: 'dumb',
  PSQL_PAGER: 'cat',
  PSQL_HISTORY: '/dev/null',
  TMPDIR: temporary,
  ...more,
});

function start(args: string[], vars = varsOf()): ChildProcess {
  const [file, ...words] = [...TSH, ...args];
  const child = spawn(file!, words, { cwd: process.cwd(), env: vars, stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

function onTerminal(args: string[]): Terminal {
  terminal = openTerminal!([...TSH, ...args], { cwd: process.cwd(), vars: varsOf() });
  return terminal;
}

const RUNNING =
  "select 1 from pg_stat_activity where query like '%pg_sleep(6%' and state = 'active' and pid <> pg_backend_pid()";
const running = async () => (await cluster.databases!.postgres.query(RUNNING)).length;
const untilRunning = () => until('the statement runs', async () => (await running()) > 0 || undefined);
const untilStopped = () => until('no statement runs', async () => (await running()) === 0 || undefined);
const left = () => readdirSync(temporary);

testOnTerminal(`Ctrl-C cancels the statement, and the prompt of psql is back${because}`, async () => {
  const shown = onTerminal(['db', 'connect', ...ROUTE]);
  await shown.until('dev=>');
  shown.type('select pg_sleep(600);\n');
  await untilRunning();
  shown.type('\u0003');
  await shown.until('canceling statement due to user request');
  await shown.until('dev=>');
  shown.type('select 6 * 7 as answer;\n');
  await shown.until(/^ +42\r?$/m);
  shown.type('\\q\n');
  expect(await shown.ended).toBe(0);
});

describe('B1 nothing inherited leads psql elsewhere', () => {
  /** What psql prints as `alice`, in this process. */
  async function connect(vars: Record<string, string>, ...more: string[]) {
    const out = join(temporary, 'out');
    const env = cluster.envOf('alice', { vars });
    const status = await runTsh(['db', 'connect', ...ROUTE, '--', '-X', '-A', '-t', '-o', out, ...more], env);
    return { status, stderr: env.err(), stdout: readFileSync(out, 'utf8') };
  }
  const WHERE = "select current_user || '@' || current_database()";

  /** Each of them would be obeyed by psql, or end it. */
  const HOSTILE = (port: number, services: string): Record<string, string> => ({
    PGHOST: '127.0.0.1',
    PGHOSTADDR: '127.0.0.1',
    PGPORT: String(port),
    PGSERVICE: 'elsewhere',
    PGSERVICEFILE: services,
    PGSYSCONFDIR: '/nowhere',
    PGUSER: 'mallory',
    PGDATABASE: 'other',
    PGPASSWORD: 'x',
    PGPASSFILE: '/dev/null',
    PGSSLMODE: 'verify-full',
    PGSSLNEGOTIATION: 'direct',
    PGSSLROOTCERT: '/nowhere',
    PGSSLMINPROTOCOLVERSION: 'nonsense',
    PGGSSENCMODE: 'require',
    PGCHANNELBINDING: 'require',
    PGREQUIREAUTH: 'scram-sha-256',
    PGREQUIREPEER: 'nobody-of-that-name',
    PGTARGETSESSIONATTRS: 'standby',
    PGLOADBALANCEHOSTS: 'nonsense',
    PGMINPROTOCOLVERSION: '3.2',
  });
  const hostile = () => {
    const { port } = decoy.address() as { port: number };
    const services = join(temporary, 'services');
    writeFileSync(services, `[elsewhere]\nhost=127.0.0.1\nhostaddr=127.0.0.1\nport=${port}\nsslmode=require\n`);
    return HOSTILE(port, services);
  };

  testWithPsql.each([
    [['PGHOSTADDR']],
    [['PGHOSTADDR', 'PGPORT']],
    [['PGSERVICE']],
    [['PGSERVICE', 'PGSERVICEFILE']],
    [['PGREQUIREPEER']],
    [['PGTARGETSESSIONATTRS']],
    [['PGSSLMINPROTOCOLVERSION']],
    [Object.keys(HOSTILE(0, ''))],
  ])('%s', async (names) => {
    const all = hostile();
    visits = 0;
    const { status, stdout, stderr } = await connect(
      Object.fromEntries(names.map((name) => [name, all[name]!])),
      '-c',
      WHERE,
      '-c',
      '\\c',
      '-c',
      WHERE,
    );
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^(analyst@dev\n){2}$/),
    });
    expect(visits).toBe(0);
  });

  testWithPsql('what says how a session looks passes', async () => {
    const vars = { PGTZ: 'Asia/Tokyo', PGDATESTYLE: 'German', PGOPTIONS: '-c work_mem=77MB' };
    const settings = ['TimeZone', 'DateStyle', 'work_mem'];
    const sql = `select ${settings.map((name) => `current_setting('${name}')`).join(" || '|' || ")}`;
    expect((await connect(vars, '-c', sql)).stdout).toBe('Asia/Tokyo|German, DMY|77MB\n');
  });

  testWithPsql('db exec hands on as little', async () => {
    const env = cluster.envOf('alice', { vars: hostile() });
    const status = await runTsh(['db', 'exec', WHERE, '--dbs=orders', '--db-user=analyst', '--db-name=dev'], env);
    expect({ status, out: env.out() }).toEqual({ status: 0, out: expect.stringContaining('analyst@dev') });
  });

  testWithPsql('the port of the socket is another one each time', async () => {
    const ports = new Set<string>();
    for (let i = 0; i < 3; i++)
      ports.add((await connect({}, '-c', '\\echo :PORT', '-c', '\\qecho :PORT')).stdout.trim());
    expect(ports.size).toBeGreaterThan(1);
    for (const port of ports) expect(Number(port)).toBeGreaterThan(60_999);
  });

  testWithPsql('a server that is named behind -- is refused before anything is asked', async () => {
    for (const words of [['-h', '127.0.0.1'], ['-d', 'dev'], ['postgres://127.0.0.1/dev']]) {
      const env = cluster.envOf('alice');
      expect(await runTsh(['db', 'connect', ...ROUTE, '--', ...words, '-c', 'select 1'], env)).toBe(1);
      expect(env.err()).toMatch(/after "--"/);
    }
  });

  testOnTerminal('psql names our socket, and finds it again', async () => {
    const shown = onTerminal(['db', 'connect', ...ROUTE]);
    await shown.until('dev=>');
    shown.type('\\conninfo\n');
    await shown.until(/via socket in "\S*tsh-\w{6}" at port "6[1-5]\d{3}"/);
    shown.type('\\c dev\n');
    await shown.until('You are now connected to database "dev" as user "analyst"');
    shown.type("\\set PROMPT1 '%M:%> '\n");
    await shown.until(/\[local:\S*tsh-\w{6}\]:6[1-5]\d{3}/);
    shown.type('\\q\n');
    expect(await shown.ended).toBe(0);
  });

  testWithPsql('db env takes away what would win over it, where that is set', async () => {
    await cluster.tsh('alice', 'db', 'login', ...ROUTE);
    const env = cluster.envOf('alice', { vars: { PGSERVICE: 'x', PGHOSTADDR: '::1', PGHOST: 'y', PGTZ: 'UTC' } });
    expect(await runTsh(['db', 'env', 'orders'], env)).toBe(0);
    expect(env.out().match(/^unset .*/gm)).toEqual(['unset PGSERVICE', 'unset PGHOSTADDR']);
    expect((await cluster.tsh('alice', 'db', 'env', 'orders')).stdout).not.toContain('unset');
  });
});

describe('B6 a signal during db connect', () => {
  const SLEEP = 'select pg_sleep(600)';
  const SIGNALS = [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const;

  // One that fails must not make the next one fail.
  afterEach(() => cluster?.databases?.postgres.query(RUNNING.replace('select 1', 'select pg_terminate_backend(pid)')));

  testWithPsql.each(SIGNALS)('%s cancels the statement, ends psql, and leaves nothing', async (signal, status) => {
    const tsh = start(['db', 'connect', ...ROUTE, '--', '-X', '-c', SLEEP, '-c', SLEEP]);
    await untilRunning();
    expect(left()).toHaveLength(1);
    tsh.kill(signal);
    expect(await once(tsh, 'exit')).toEqual([status, null]);
    expect(left()).toEqual([]);
    await untilStopped();
  });

  testWithPsql('a script does not go on with its next statement', async () => {
    const script = join(cluster.dir, 'script.sql');
    writeFileSync(script, `${`${SLEEP};\n`.repeat(5)}`);
    const tsh = start(['db', 'connect', ...ROUTE, '--tunnel', '--', '-X', '-f', script]);
    await untilRunning();
    tsh.kill('SIGTERM');
    expect(await once(tsh, 'exit')).toEqual([143, null]);
    await untilStopped();
    expect(left()).toEqual([]);
  });

  testWithPsql('a terminal that closes sends SIGHUP twice, a service manager after SIGTERM', async () => {
    for (const first of ['SIGHUP', 'SIGTERM'] as const) {
      const tsh = start(['db', 'connect', ...ROUTE, '--', '-X', '-c', SLEEP]);
      await untilRunning();
      tsh.kill(first);
      tsh.kill('SIGHUP');
      // Which of the two comes first is up to the system.
      const [status] = (await once(tsh, 'exit')) as [number | null];
      expect([129, 143]).toContain(status);
      await untilStopped();
      expect(left()).toEqual([]);
    }
  });

  testWithPsql('at the prompt of psql it ends just so', async () => {
    const tsh = start(['db', 'connect', ...ROUTE, '--', '-X']);
    tsh.stdin!.write('select 6 * 7;\n');
    await once(tsh.stdout!, 'data');
    tsh.kill('SIGTERM');
    expect(await once(tsh, 'exit')).toEqual([143, null]);
    expect(left()).toEqual([]);
  });

  testOnTerminal('Ctrl-\\ on a terminal, which psql gets as well', async () => {
    const shown = onTerminal(['db', 'connect', ...ROUTE, '--', '-X']);
    await shown.until('dev=>');
    shown.type(`${SLEEP};\n`);
    await untilRunning();
    shown.type('\u001c');
    expect(await shown.ended).toBe(131);
    await untilStopped();
    expect(left()).toEqual([]);
  });

  testWithPsql.each([
    ['psql', {}],
    ['our own protocol', { PATH: '/nowhere' }],
  ])('db exec by %s is cancelled as well, Ctrl-C included', async (_, vars) => {
    for (const [signal, status] of [['SIGINT', 130], ...SIGNALS.slice(0, 1)] as const) {
      const tsh = start(['db', 'exec', SLEEP, '--dbs=orders', '--db-user=analyst', '--db-name=dev'], varsOf(vars));
      await untilRunning();
      tsh.kill(signal);
      expect(await once(tsh, 'exit')).toEqual([status, null]);
      await untilStopped();
      expect(left()).toEqual([]);
    }
  });

  test('tctl edit ends its editor and leaves no copy of the resource', async () => {
    if (!cluster) return;
    const editor = join(temporary, 'editor');
    writeFileSync(editor, `#!/bin/sh\necho "$1" > ${temporary}/open\nexec sleep 600\n`, { mode: 0o755 });
    const env = memoryEnv({ cwd: cluster.dir, home: cluster.dir, vars: { EDITOR: editor, PATH: process.env.PATH } });
    const edited = runProgram(tctl, ['-c', cluster.configFile, 'edit', 'role/analyst'], env);
    await until(
      'the editor is open',
      async () => (left().includes('open') && readFileSync(join(temporary, 'open'), 'utf8')) || undefined,
    );
    env.interrupt('SIGHUP');
    expect(await edited).toBe(129);
    const copy = readFileSync(join(temporary, 'open'), 'utf8').trim();
    expect([existsSync(copy), existsSync(dirname(copy))]).toEqual([false, false]);
  });

  test('the program of an alias gets it too, and the alias ends with it', async () => {
    if (!cluster) return;
    const home = join(cluster.dir, 'aliases');
    mkdirSync(join(home, '.tsh', 'config'), { recursive: true });
    writeFileSync(
      join(home, '.tsh', 'config', 'config.yaml'),
      'aliases:\n  wait: sh -c \'trap "echo told; exit 7" TERM; echo ready; while :; do sleep 0.05; done\'\n',
    );
    const tsh = start(['wait'], varsOf({ HOME: home }));
    let said = '';
    tsh.stdout!.on('data', (chunk: Buffer) => (said += chunk));
    await until('the program of the alias runs', async () => said.includes('ready') || undefined);
    tsh.kill('SIGTERM');
    expect(await once(tsh, 'close')).toEqual([143, null]);
    expect(said).toBe('ready\ntold\n');
  });
});
