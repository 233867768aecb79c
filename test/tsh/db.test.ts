/**
 * `tsh db` and `tsh proxy db` against a whole cluster, compared with what the real tsh prints.
 * Tests: src/shell-word.ts, src/tsh/db/args.ts, src/tsh/db/config.ts, src/tsh/db/connect.ts, src/tsh/db/env.ts
 * Tests: src/tsh/db/list.ts, src/tsh/db/login.ts, src/tsh/db/logout.ts, src/tsh/db/ls.ts
 */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { runPsql } from '../../src/localproxy/psql/run.js';
import { runTsh } from '../../src/tsh/main.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { runTranscript } from '../support/golden.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['postgres', 'reader'], db_names: ['bench'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  const { postgres } = cluster.databases!;
  await postgres.query('create database bench');
  const resource = {
    kind: 'db',
    version: 'v3',
    metadata: { name: 'pg', description: 'self-hosted postgres', labels: { env: 'dev' } },
    spec: { protocol: 'postgres', uri: `localhost:${postgres.port}` },
  };
  await cluster.create(resource);
  await cluster.tctl('rm', 'db/orders');
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['pg']);
  await until('one database is left', async () => {
    const { stdout } = await cluster.tsh('alice', 'db', 'ls', '-f', 'json');
    return JSON.parse(stdout).length === 1 || undefined;
  });
});
afterAll(() => cluster?.stop());

const ROUTE = ['--db-user=postgres', '--db-name=bench'];

/** Run with a program named psql that writes what it got and saw to a file, and ends with psql's status. */
async function connect(args: string[], sql: string): Promise<{ status: number; stderr: string; seen: string }> {
  const bin = join(cluster.dir, 'bin');
  const out = join(cluster.dir, 'psql.out');
  mkdirSync(bin, { recursive: true });
  const file = join(bin, 'psql');
  writeFileSync(
    file,
    `#!/bin/sh\n{ echo "$@"; exec /usr/bin/psql -X -A -t -c '${sql}' "$1"; } > ${out} 2>&1 < /dev/null\n`,
  );
  chmodSync(file, 0o755);
  const env = cluster.envOf('alice', { vars: { PATH: `${bin}:${process.env.PATH}` } });
  const status = await runTsh(['db', 'connect', ...args], env);
  return { status, stderr: env.err(), seen: readFileSync(out, 'utf8') };
}

const withPsql = existsSync('/usr/bin/psql') ? test : test.skip;

test('list, login, config, env, exec and logout print what the real tsh prints', async () => {
  const { expected, actual } = await runTranscript('test/transcripts/tsh-db.txt', {
    run: ([, ...words], { vars }) =>
      Object.keys(vars).length > 0 ? Promise.reject(new Error('no vars here')) : cluster.tsh('alice', ...words),
    replace: () => ({
      HOME: join(cluster.dir, 'alice'),
      PORT: cluster.proxyAddr.split(':')[1]!,
      CLUSTER: cluster.name,
    }),
  });
  expect(actual).toBe(expected);
});

describe('db connect', () => {
  withPsql('gives psql one URI of a private socket, no secret, and its status back', async () => {
    const good = await connect(['pg', ...ROUTE], 'select current_user, current_database()');
    expect(good).toMatchObject({ status: 0, stderr: '' });
    const [argument, answer] = good.seen.split('\n');
    expect(argument).toMatch(/^postgres:\/\/postgres@\/bench\?host=%2F\S+&port=6[1-5]\d{3}$/);
    expect(answer).toBe('postgres|bench');
    const folder = decodeURIComponent(/host=([^&]+)/.exec(argument!)![1]!);
    expect(existsSync(folder)).toBe(false);
    const bad = await connect(['pg', ...ROUTE], 'select nope');
    expect(bad).toMatchObject({ status: 1, stderr: 'ERROR: exit status 1\n\n' });
  });

  withPsql('keeps nothing of a database with --tunnel', async () => {
    await cluster.tsh('alice', 'db', 'logout');
    const { status } = await connect(['pg', ...ROUTE, '--tunnel'], 'select 1');
    expect(status).toBe(0);
    const files = readdirSync(join(cluster.dir, 'alice', '.tsh'), { recursive: true }).map(String);
    expect(files.filter((name) => /-db\/.*\.(crt|key)$/.test(name))).toEqual([]);
  });

  withPsql('says what to do when the cluster refuses the user', async () => {
    const refused = await connect(['pg', '--db-user=nobody', '--db-name=bench', '--tunnel'], 'select 1');
    expect(refused.status).toBe(2);
    expect(refused.seen).toContain('access to db denied. User does not have permissions.');
    expect(refused.stderr).toMatch(
      /^ERROR: exit status 2: '\S+\/psql' exited with the above error\. Use 'tsh db ls' to see your available logins/,
    );
  });
});

describe('B11 what db login leaves for psql', () => {
  const home = () => join(cluster.dir, 'alice');
  const inHome = (name: string) => join(home(), name);
  const tsh = async (vars: Record<string, string>, ...args: string[]) => {
    const env = cluster.envOf('alice', { vars });
    const status = await runTsh(args, env);
    return { status, stdout: env.out(), stderr: env.err() };
  };
  const GOOD = { status: 0, stderr: '' };
  const section = () => `${cluster.name}-pg`;

  test('bytes, line ends, a link and a mode of the person outlive login and logout', async () => {
    const before = Buffer.from('# Gr\xf6\xdfe\r\n[prod]\r\nhost=x\r\npassword=\xff', 'latin1');
    mkdirSync(inHome('dotfiles'));
    writeFileSync(inHome('dotfiles/pg'), before);
    chmodSync(inHome('dotfiles/pg'), 0o640);
    symlinkSync('dotfiles/pg', inHome('.pg_service.conf'));
    expect(await tsh({}, 'db', 'login', 'pg', ...ROUTE)).toMatchObject(GOOD);
    const between = readFileSync(inHome('dotfiles/pg'));
    expect(between.subarray(0, before.length)).toEqual(before);
    expect(between.toString('latin1')).toContain(`\r\n[${section()}]\r\nhost=`);
    expect(await tsh({}, 'db', 'logout', 'pg')).toMatchObject(GOOD);
    expect(readFileSync(inHome('dotfiles/pg'))).toEqual(before);
    expect(statSync(inHome('dotfiles/pg')).mode & 0o777).toBe(0o640);
    expect(readlinkSync(inHome('.pg_service.conf'))).toBe('dotfiles/pg');
    rmSync(inHome('.pg_service.conf'));
  });

  withPsql('psql finds the database in the file that PGSERVICEFILE names', async () => {
    const vars = { PGSERVICEFILE: inHome('new/folder/services') };
    expect(await tsh(vars, 'db', 'login', 'pg', ...ROUTE)).toMatchObject(GOOD);
    expect(existsSync(inHome('.pg_service.conf'))).toBe(false);
    const out = await runPsql({
      file: '/usr/bin/psql',
      args: ['-X', '-A', '-t', '-c', 'select current_user', `service=${section()}`],
      env: { ...vars, HOME: home(), LC_ALL: 'C.UTF-8' },
      stdio: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    });
    expect(out).toMatchObject({ status: 0, stdout: 'postgres\n' });
    await tsh(vars, 'db', 'logout', 'pg');
    expect(readdirSync(inHome('new/folder'))).toEqual([]);
  });

  test('a section of the same name that is not ours stays, and one is told', async () => {
    const before = `[${section()}]\nhost=mine\n`;
    writeFileSync(inHome('.pg_service.conf'), before);
    const { status, stdout, stderr } = await tsh({}, 'db', 'login', 'pg', ...ROUTE);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining('has been saved') });
    expect(stderr).toMatch(/^WARNING: .*\.pg_service\.conf has a section \[\S+-pg\] that tsh did not write: [^\n]+\n$/);
    await tsh({}, 'db', 'logout', 'pg');
    expect(readFileSync(inHome('.pg_service.conf'), 'utf8')).toBe(before);
    rmSync(inHome('.pg_service.conf'));
  });
});

test('db exec without psql speaks PostgreSQL itself and prints the same', async () => {
  const exec = async (sql: string) => {
    const env = cluster.envOf('alice', { vars: { PATH: join(cluster.dir, 'none') } });
    const status = await runTsh(['db', 'exec', sql, '--dbs=pg', ...ROUTE], env);
    return { status, out: env.out(), err: env.err() };
  };
  expect(await exec("select 1 as one, 'a' as text")).toEqual({
    status: 0,
    out: ' one | text \n-----+------\n   1 | a\n(1 row)\n\n',
    err: 'Fetching databases by name ...\n\nExecuting command for "pg".\n',
  });
  expect(await exec('select nope')).toMatchObject({
    status: 1,
    err: expect.stringMatching(
      /\nERROR: {2}column "nope" does not exist\nLINE 1: select nope;?\n {15}\^\nFailed to execute/,
    ),
  });
});

describe('proxy db', () => {
  test('with --tunnel needs no certificate of the client, ends with 0 when told to, and closes its port', async () => {
    const started = cluster.startTsh('alice', 'proxy', 'db', 'pg', '--tunnel', ...ROUTE);
    const text = await started.env.untilOut(/\$ psql \S+\n/);
    const port = /on 127\.0\.0\.1:(\d+)\.$/m.exec(text)?.[1];
    expect(text).toBe(
      `Started authenticated tunnel for the PostgreSQL database "pg" in cluster "${cluster.name}" on 127.0.0.1:${port}.\n` +
        'To avoid port randomization, you can choose the listening port using the --port flag.\n\n' +
        'Use the following command to connect to the database or to the address above using other database GUI/CLI clients:\n' +
        `  $ psql postgres://postgres@localhost:${port}/bench\n`,
    );
    const client = new pg.Client({ host: '127.0.0.1', port: Number(port), user: 'postgres', database: 'bench' });
    client.on('error', () => {});
    await client.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    const stderr = expect.stringMatching(/^(Only your own programs|Every program of every user) .*\n$/);
    expect(await started.stop()).toMatchObject({ status: 0, stderr });
    const again = new pg.Client({ host: '127.0.0.1', port: Number(port), user: 'postgres', database: 'bench' });
    await expect(again.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  withPsql('without --tunnel takes a client with its own TLS and the stored certificate', async () => {
    const started = cluster.startTsh('alice', 'proxy', 'db', 'pg', ...ROUTE);
    const text = await started.env.untilOut(/target database name is "bench"\.\n\n/);
    const keys = join(cluster.dir, 'alice', '.tsh', 'keys', 'localhost');
    const files = {
      ca: join(keys, 'cas', `${cluster.name}.pem`),
      cert: join(keys, 'alice-db', cluster.name, 'pg.crt'),
      key: join(keys, 'alice-db', cluster.name, 'pg.key'),
    };
    const port = /^Started DB proxy on 127\.0\.0\.1:(\d+)$/m.exec(text)?.[1];
    expect(text).toBe(
      `Started DB proxy on 127.0.0.1:${port}\n` +
        'To avoid port randomization, you can choose the listening port using the --port flag.\n\n' +
        'Use the following credentials to connect to the pg proxy:\n' +
        `  ca_file=${files.ca}\n  cert_file=${files.cert}\n  key_file=${files.key}\n\n` +
        'Your database user is "postgres". The target database name is "bench".\n\n',
    );
    const { runPsql } = await import('../../src/localproxy/psql/run.js');
    const uri = `postgres://postgres@localhost:${port}/bench?sslrootcert=${files.ca}&sslcert=${files.cert}&sslkey=${files.key}&sslmode=verify-full`;
    const { stdout, stderr } = await runPsql({
      file: '/usr/bin/psql',
      args: ['-X', '-A', '-t', '-c', 'select 7', uri],
      env: { PATH: process.env.PATH, HOME: cluster.dir },
      stdio: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
    });
    expect([stderr, stdout]).toEqual(['', '7\n']);
    expect(await started.stop()).toMatchObject({ status: 0 });
  });
});
