/**
 * `tsh db exec` and `tsh db connect` as a script sees them: exit status, what stands where, readers that go away.
 * Tests: src/api/note.ts, src/auth/grpc/database-agent.ts, src/db/resource-watch.ts
 * Tests: src/db/server.ts, src/tctl/auth/sign.ts, src/tctl/create.ts, src/tctl/ended.ts, src/tctl/unserved.ts
 * Tests: src/tsh/db/exec.ts, src/tsh/db/parallel.ts
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeBackend } from '../../src/pg/encode.js';
import type { BackendMessage } from '../../src/pg/messages.js';
import { runTsh } from '../../src/tsh/main.js';
import { type ScriptedDatabase, startScriptedDatabase } from '../db/scripted-database.js';
import { createTestCa } from '../support/ca.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { findTerminal } from '../support/terminal.js';

let cluster: TestCluster;
/** Whoever runs this server wants to write to the terminals of those who ask it. */
let hostile: ScriptedDatabase;
beforeAll(async () => {
  hostile = await startScriptedDatabase(createTestCa('Hostile CA'));
  hostile.answer = (bytes) => (bytes[0] === 0x51 ? answers(`${OBEYED} UPDATE 1`) : Buffer.alloc(0));
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['postgres'], db_names: ['postgres', 'other'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  const database = (name: string, port: number) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: { env: 'test' } },
    spec: { protocol: 'postgres', uri: `localhost:${port}` },
  });
  const { port } = cluster.databases!.postgres;
  const { port: hostilePort } = hostile;
  const named = { ...database('hostile', hostilePort), metadata: { name: 'hostile', labels: { env: 'elsewhere' } } };
  const all = [
    database('one', port),
    database('two', port),
    database('unreachable', 1),
    { ...named, spec: { ...named.spec, tls: { mode: 'insecure' } } },
  ];
  await cluster.create(...all);
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['one', 'two', 'unreachable', 'hostile']);
});
afterAll(async () => {
  await cluster?.stop();
  hostile?.stop();
});

/** The title of a window, a colour in one character (C1), and a turn of the direction. */
const OBEYED = '\u001b]0;owned\u0007\u009b31m\u202e';
const OBEYED_AS_SHOWN = '\\x1B]0;owned\\x07\\u009B31m\\u202E';

/** CommandComplete and ReadyForQuery. */
function answers(commandTag: string): Buffer {
  const ready: BackendMessage = { type: 'ReadyForQuery', txStatus: 'I' };
  return Buffer.concat([encodeBackend({ type: 'CommandComplete', commandTag }), encodeBackend(ready)]);
}

const ROUTE = '--db-user=postgres --db-name=postgres';
const psql = existsSync('/usr/bin/psql');

/** A line of a shell; `tsh` is this checkout's. */
async function shell(line: string, vars: Record<string, string | undefined> = {}) {
  const child = spawn(
    '/bin/bash',
    ['-c', line.replace(/\btsh /g, `${process.execPath} ${process.cwd()}/dist/tsh.js `)],
    {
      cwd: cluster.dir,
      env: { PATH: process.env.PATH, PSQLRC: '/dev/null', ...cluster.envOf('alice').vars, ...vars },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const status = await new Promise<number | null>((done) => child.once('close', done));
  return { status, stdout, stderr };
}

describe.each([
  ['with psql', psql],
  ['without psql', true],
])('U1 db exec %s', (how, isPossible) => {
  const run = isPossible ? test : test.skip;
  const vars = () => (how === 'with psql' ? {} : { PATH: join(cluster.dir, 'no-programs') });
  const exec = async (sql: string, ...more: string[]) => {
    const env = cluster.envOf('alice', { vars: { PATH: process.env.PATH, ...vars() } });
    const status = await runTsh(['db', 'exec', sql, ...ROUTE.split(' '), ...more], env);
    return { status, stdout: env.out(), stderr: env.err() };
  };

  run('all succeeded: status 0, rows and nothing else on standard output', async () => {
    const { status, stdout, stderr } = await exec('select 1 as one', '--dbs=one,two');
    const rows = ' one \n-----\n   1\n(1 row)\n\n';
    expect([status, stdout]).toEqual([0, rows + rows]);
    expect(stderr).toBe(
      'Fetching databases by name ...\n\nExecuting command for "one".\n\nExecuting command for "two".\n\nSummary: 2 of 2 succeeded.\n',
    );
  });

  run.each([
    ['an error of SQL', 'select nope', ['--dbs=one'], 'column "nope" does not exist'],
    ['an error after rows', 'select 1; select nope', ['--dbs=one'], 'column "nope" does not exist'],
    ['a time limit', 'set statement_timeout = 50; select pg_sleep(60)', ['--dbs=one'], 'statement timeout'],
    ['a database that cannot be reached', 'select 1', ['--dbs=unreachable'], 'connection refused'],
    ['a name that is not allowed', 'select 1', ['--dbs=one', '--db-name=nope'], 'access to db denied'],
    ['one of three', 'select 1', ['--dbs=one,unreachable,two'], 'Summary: 2 of 3 succeeded.\n'],
  ])('%s: status 1', async (_, sql, more, said) => {
    const { status, stderr } = await exec(sql, ...more);
    expect(stderr).toContain(said);
    expect(stderr).toContain('Failed to execute command for "');
    expect(status).toBe(1);
  });

  run('X12 what the server says reaches no terminal as it is', async () => {
    const sql = `do $$ begin raise notice '%', E'a\\u009b31m\\x1b[2Jb'; end $$; select E'c\\u009b31m' as "d\u009b"; select E'\\u009b'::int`;
    const { status, stdout, stderr } = await exec(sql, '--dbs=one');
    expect(status).toBe(1);
    expect(stderr).toContain('"NOTICE:  a\\u009b31m\\x1b[2Jb"\n');
    expect(stderr).toMatch(/^"ERROR: {2}invalid input syntax for type integer: .*\\u009b/m);
    expect(stdout).toMatch(/c\\u009B31m/);
    expect(stdout + stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  });

  const openTerminal = isPossible ? findTerminal() : undefined;
  const onTerminal = openTerminal ? test : test.skip;
  const said: [what: string, name: string, sql: string, shown: string][] = [
    ['a command tag', 'hostile', 'update t set n = 1', `${OBEYED_AS_SHOWN} UPDATE 1`],
    ['a value', 'one', `select U&'\\001b]0;owned\\0007\\009b31m\\202e' || ' end' as v`, '\\u009B31m'],
  ];
  if (how === 'with psql') {
    said.push(['data of COPY', 'one', `copy (select U&'\\001b]0;o\\009b31m\\202e') to stdout`, '\\x1B]0;o\\u009B31m']);
  }
  onTerminal.each(said)('M2 nothing that a server says is obeyed by a terminal: %s', async (_, name, sql, shown) => {
    const own = { PATH: process.env.PATH, TERM: 'dumb', NO_COLOR: '1', LC_ALL: 'C.UTF-8' };
    const path = vars().PATH ?? own.PATH;
    const tsh = ['/usr/bin/env', `PATH=${path}`, process.execPath, `${process.cwd()}/dist/tsh.js`];
    const terminal = openTerminal!([...tsh, 'db', 'exec', sql, `--dbs=${name}`, ...ROUTE.split(' ')], {
      cwd: cluster.dir,
      vars: { ...cluster.envOf('alice').vars, ...own },
    });
    expect(await terminal.ended).toBe(0);
    expect(terminal.all()).toContain(shown);
    expect(terminal.all()).not.toMatch(/[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u202e]/);
  });

  run('files of --output-dir: the same status, and nothing on standard output', async () => {
    const folder = join(cluster.dir, `out-${how === 'with psql'}`);
    const more = ['--labels=env=test', '--no-confirm', '--parallel=3', `--output-dir=${folder}`];
    const { status, stdout, stderr } = await exec('select 1', ...more);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('Found 3 database(s):');
    expect(stderr).toContain('Summary: 2 of 3 succeeded.');
    const summary = JSON.parse(readFileSync(join(folder, 'summary.json'), 'utf8')) as {
      success: number;
      failure: number;
    };
    expect(summary).toMatchObject({ success: 2, failure: 1, total: 3 });
  });

  run('rows and remarks before an error stand where psql puts them', async () => {
    const sql = `select 1 as one; do $$ begin raise notice 'by the way'; end $$; select 1/0`;
    const { status, stdout, stderr } = await exec(sql, '--dbs=one');
    expect([status, stdout]).toEqual([1, ' one \n-----\n   1\n(1 row)\n\nDO\n']);
    expect(stderr).toContain(
      'NOTICE:  by the way\nERROR:  division by zero\nFailed to execute command for "one": exit status',
    );
  });

  run('a session that the server ends says so in its words', async () => {
    const { status, stderr } = await exec('select pg_terminate_backend(pg_backend_pid())', '--dbs=one,two');
    expect(stderr.match(/FATAL: {2}terminating connection due to administrator command\n/g)).toHaveLength(2);
    expect(stderr.match(/Failed to execute command for "(one|two)": exit status [12]\n/g)).toHaveLength(2);
    expect([status, stderr.includes('disposal')]).toEqual([1, false]);
  });

  run(
    "a person's psqlrc has no say: what it prints, and autocommit, which would undo the statement with status 0",
    async () => {
      const psqlrc = join(cluster.dir, 'psqlrc');
      writeFileSync(psqlrc, '\\set AUTOCOMMIT off\n\\timing on\n\\pset format unaligned\n\\echo welcome\n');
      const line = (sql: string) => `tsh db exec '${sql}' --dbs=one ${ROUTE}`;
      const path = vars().PATH === undefined ? {} : { PATH: `${vars().PATH}` };
      const made = await shell(line(`create table made_${how.length}()`), { ...path, PSQLRC: psqlrc });
      expect(made).toMatchObject({ status: 0, stdout: 'CREATE TABLE\n' });
      const dropped = await shell(line(`drop table made_${how.length}`), { ...path, PSQLRC: psqlrc });
      expect(dropped).toMatchObject({ status: 0, stdout: 'DROP TABLE\n' });
    },
  );

  run('into a pipe of its own', async () => {
    const line = `tsh db exec 'select 1 as one' --dbs=one,unreachable ${ROUTE} | grep -c .; echo \${PIPESTATUS[0]}`;
    expect((await shell(line)).stdout).toBe('4\n1\n');
  });
});

test('W7 db exec asks before it runs on what --labels found; without a terminal it says how to do without', async () => {
  const line = `tsh db exec 'select 1' --labels=env=test ${ROUTE}`;
  const asked = await shell(`${line} < /dev/null`);
  expect(asked).toMatchObject({ status: 1, stdout: '' });
  expect(asked.stderr).toContain('Do you want to proceed with 3 database(s)? [y/N]: ');
  expect(asked.stderr).toContain('--no-confirm');
  const yes = await shell(`yes | ${line}`);
  expect(yes.stderr).toContain('Summary: 2 of 3 succeeded.');
  const page = readFileSync('docs/using.md', 'utf8');
  const examples = page.split('\n').filter((text) => /^tsh db exec .*--(labels|search)/.test(text));
  expect(examples.filter((text) => !text.includes('--no-confirm'))).toEqual([]);
  expect(examples.length).toBeGreaterThan(0);
});

describe('B13 rows that a full disk does not take', () => {
  const run = psql && existsSync('/dev/full') ? test : test.skip;
  run.each([
    `tsh db connect one ${ROUTE} -- -Atc 'select 1' > /dev/full`,
    `tsh db exec 'select 1' --dbs=one ${ROUTE} > /dev/full`,
    `tsh db exec 'select generate_series(1, 100000)' --dbs=one ${ROUTE} > /dev/full`,
    `PATH=/nonexistent ${process.execPath} ${process.cwd()}/dist/tsh.js db exec 'select 1' --dbs=one ${ROUTE} > /dev/full`,
  ])('%s', async (line) => {
    const { status, stderr } = await shell(line);
    expect(status).not.toBe(0);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

describe('B15 a reader that goes away', () => {
  const run = psql ? test : test.skip;
  const many = 'select generate_series(1, 1000000)';
  run.each([
    `tsh db connect one ${ROUTE} -- -Atc '${many}' | head -2`,
    `tsh db exec '${many}' --dbs=one,two ${ROUTE} | head -2`,
  ])('%s ends in silence with 141', async (line) => {
    const { stdout, stderr } = await shell(`${line}; echo status \${PIPESTATUS[0]}`);
    expect(stdout).toMatch(/status 141\n$/);
    expect(stderr.replace(/^(Fetching databases by name \.\.\.|Executing command for "one"\.)?\n/gm, '')).toBe('');
  });

  test('without psql too', async () => {
    const tsh = `PATH=/nonexistent ${process.execPath} ${process.cwd()}/dist/tsh.js db exec 'select 1' --dbs=one,two ${ROUTE}`;
    // It starts when the reader has closed its end.
    const line = `gate=$(mktemp -u); mkfifo $gate; { cat $gate; ${tsh}; } | { exec <&-; : > $gate; }`;
    const { stdout, stderr } = await shell(`${line}; echo status \${PIPESTATUS[0]}; rm $gate`);
    expect(stdout).toBe('status 141\n');
    expect(stderr).not.toContain('ERROR');
  });
});

(psql ? test : test.skip)(
  'X12 a real psql on a terminal of its own: what the server says is shown quoted',
  async () => {
    const sql = `do \\$\\$ begin raise notice '%', E'a\\\\x1b[2Jb'; end \\$\\$`;
    const { status, stdout, stderr } = await shell(`tsh db exec "${sql}" --dbs=one ${ROUTE}`);
    expect([status, stdout]).toEqual([0, 'DO\n']);
    expect(stderr).toContain('"NOTICE:  a\\x1b[2Jb"\n');
  },
);

(psql ? test : test.skip)('M2 what goes into a pipe or a file stays as it is', async () => {
  const line = `tsh db exec "copy (select U&'\\001b[31m') to stdout" --dbs=one ${ROUTE}`;
  expect((await shell(line)).stdout).toBe('\u001b[31m\n');
});
