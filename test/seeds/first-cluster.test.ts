/**
 * `docs/first-cluster.md`, its lines run by a shell as they stand, with other ports. PostgreSQL alone is started as all tests
 * start it, with the files that the page makes, because `initdb` refuses root.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { freePort } from '../support/free-port.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type ProgramProcess, startProgram } from '../support/program-process.js';
import { signUp } from '../support/sign-up.js';
import { findTerminal } from '../support/terminal.js';
import { until } from '../support/until.js';

const page = readFileSync('docs/first-cluster.md', 'utf8');
const blocks = (language: string) =>
  [...page.matchAll(RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, x]) => x!);
const [CLUSTER, SECOND_TERMINAL, POSTGRES, PEOPLE, ROWS, RECORDS, AWAY] = blocks('sh') as [
  ...(readonly [string, string, string, string, string, string, string]),
];
const PASSWORD = 'correct horse battery';

const openTerminal = (await findPsql(process.env.PATH)) ? findTerminal() : undefined;
const testOnTerminal = openTerminal ? test : test.skip;
const because = openTerminal ? '' : ' (skipped: this machine has no psql, or no terminal)';

const home = mkdtempSync(join(tmpdir(), 'first-'));
const vars = {
  HOME: home,
  PATH: `${join(home, 'bin')}:${process.env.PATH}`,
  TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'tsh.yaml'),
};
const ports = { '3080': 0, '5433': 0 };
let teleport: ProgramProcess | undefined;
let postgres: Postgres | undefined;

/** The lines of the page on this machine. */
const here = (lines: string) => lines.replace(/3080|5433/g, (port) => String(ports[port as keyof typeof ports]));
const inSecondTerminal = (lines: string) => ['bash', '-ec', here(`${SECOND_TERMINAL}${lines}`)] as const;
async function typed([file, ...args]: readonly string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(file!, args, { env: vars });
  return stdout + stderr;
}

beforeAll(async () => {
  mkdirSync(join(home, 'bin'));
  for (const name of ['tsh', 'tctl', 'teleport']) {
    const program = join(home, 'bin', name);
    writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist', `${name}.js`)}' "$@"\n`);
    chmodSync(program, 0o755);
  }
  for (const port of ['3080', '5433'] as const) ports[port] = await freePort();
});
afterAll(async () => {
  await teleport?.[Symbol.asyncDispose]();
  await postgres?.stop();
  rmSync(home, { recursive: true, force: true, maxRetries: 10 });
});

testOnTerminal(`the page of the first cluster ends in rows${because}`, async () => {
  const [makeFolder, configure, check, start] = CLUSTER.trim().split('\n');
  await typed(['bash', '-ec', here(`${makeFolder}\n${configure}`)]);
  const folder = join(home, 'first');
  const file = join(folder, 'teleport.yaml');
  // Loopback only, and a port that nobody has.
  const listening = readFileSync(file, 'utf8').replace('0.0.0.0:3025', `127.0.0.1:${await freePort()}`);
  writeFileSync(file, listening.replace('0.0.0.0:', '127.0.0.1:'));
  expect(await typed(['bash', '-ec', `cd ~/first; ${check}`])).toBe('OK teleport.yaml\n');
  expect(start).toBe('teleport start --config=teleport.yaml');
  teleport = startProgram('teleport', ['start', `--config=${file}`], { home });
  await teleport.untilSaid('Database Service is ready.');

  const [sign, ...server] = POSTGRES.trim().split('\n');
  await typed(inSecondTerminal(sign!));
  const pem = (name: string) => readFileSync(join(folder, name), 'utf8');
  postgres = await startPostgres({
    tls: { cert: pem('server.crt'), key: pem('server.key'), ca: pem('server.cas') },
    port: ports['5433'],
  });
  const statements = server.filter((line) => line.startsWith('psql')).join('\n');
  await typed(inSecondTerminal(statements.replaceAll('"$PWD"', postgres.socketDir)));

  const made = await typed(inSecondTerminal(PEOPLE));
  expect(made).toContain('database "orders" has been created');
  expect(made).toMatch(/^\S+ +orders +postgres /m);
  const [link] = /https:\S+/.exec(made)!;
  const alice = await signUp(link, readFileSync(join(folder, 'data', 'webproxy_cert.pem'), 'utf8'), {
    password: PASSWORD,
  });

  const terminal = openTerminal!(inSecondTerminal(ROWS), { cwd: home, vars: { ...vars, TERM: 'xterm', PAGER: 'cat' } }); // one without a size
  try {
    await terminal.until('Enter password');
    terminal.type(`${PASSWORD}\n`);
    await terminal.until('OTP code');
    terminal.type(`${await alice.freshCode()}\n`);
    await terminal.until('(1 row)');
    expect(await terminal.ended).toBe(0);
  } finally {
    terminal.kill();
  }
  const [rows] = blocks('console');
  const shown = terminal.all().replace(/\r/g, '').replace(/ +$/gm, '');
  expect(shown).toContain(rows!);

  // Its record comes to Auth a little later.
  const records = await until('the statement is in the log', async () => {
    const text = await typed(inSecondTerminal(RECORDS));
    return text.includes('db.session.end') ? text : undefined;
  });
  expect(records).toMatch(/db\.session\.query +alice +orders +select \* from orders/);
  expect(records).toMatch(/orders +analyst +dev +1 row +select \* from orders/);
  expect(await typed(inSecondTerminal(AWAY.split('\n')[0]!))).toBe('Logged out all users from all proxies.\n');
});
