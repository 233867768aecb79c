/**
 * Local proxies of `tsh` without a cluster: many connections, cancel, other databases, days, clients with their own
 * TLS.
 * Tests: src/access/aws/access.ts, src/tsh/proxy/db.ts
 */
import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { runTsh } from '../../src/tsh/main.js';
import { type AwsDirect, startAwsDirect } from '../support/aws-direct.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';
import { until } from '../support/until.js';

let world: AwsDirect;
/** How far both clocks are ahead. */
let aheadMs = 0;
beforeAll(async () => {
  world = await startAwsDirect({ now: () => Date.now() + aheadMs });
  const { status } = await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`);
  expect(status).toBe(0);
});
afterAll(async () => {
  await world?.tsh('logout');
  await world?.stop();
});
beforeEach(async () => {
  world.aws.calls.length = 0;
  aheadMs = 0;
});

const minted = () => world.aws.calls.filter(({ action }) => /Get(Cluster)?Credentials/.test(action)).length;

/** A running `tsh proxy db`: what it printed, and a way to connect and to stop it. */
async function proxy(...args: string[]) {
  const env = world.envOf({ input: '', now: () => new Date(Date.now() + aheadMs) });
  const ended = runTsh(['proxy', 'db', 'sales', ...args], env);
  const failed = ended.then(() => Promise.reject(new Error(`proxy db did not start: ${env.out()}${env.err()}`)));
  failed.catch(() => {}); // its end after the start
  await Promise.race([env.untilOut(/psql \S+\n|target database name/), failed]);
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(env.out())![1]);
  const connect = async (database = 'dev') => {
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'analyst', database });
    client.on('error', () => {});
    await client.connect();
    return client;
  };
  return {
    port,
    text: env.out(),
    connect,
    async [Symbol.asyncDispose]() {
      env.interrupt('SIGTERM');
      await ended;
    },
  };
}

test('100 connections are one call to AWS, a cancel is none', async () => {
  await using started = await proxy('--tunnel', '--db-user=analyst');
  expect(started.text).toContain('for the PostgreSQL database "sales" in AWS profile "default" on 127.0.0.1:');
  const clients = [];
  for (let i = 0; i < 10; i++)
    clients.push(...(await Promise.all(Array.from({ length: 10 }, () => started.connect()))));
  expect(minted()).toBe(1);
  await using held = await holdTable(world.postgres);
  const running = clients[0]!.query(held.sql).catch((error: Error & { code?: string }) => error.code);
  await held.awaited();
  await cancelQuery(clients[0]!);
  expect(await running).toBe('57014');
  expect((await clients[0]!.query('select current_user as u')).rows).toEqual([{ u: 'analyst' }]);
  expect(minted()).toBe(1);
  await Promise.all(clients.map((client) => client.end()));
});

test('another database of the same cluster has a password of its own', async () => {
  await world.postgres.query('create database other');
  await using started = await proxy('--tunnel', '--db-user=analyst');
  const client = await started.connect('other');
  expect((await client.query('select current_database() as d')).rows).toEqual([{ d: 'other' }]);
  await client.end();
});

const withPsql = existsSync('/usr/bin/psql') ? test : test.skip;
withPsql('without --tunnel a client brings its own TLS and reads the password file', async () => {
  await using started = await proxy('--db-user=analyst');
  const file = (name: string) => new RegExp(`${name}=(\\S+)`).exec(started.text)?.[1];
  expect(started.text).toContain('Your database user is "IAM:analyst". The target database name is "dev".');
  const { runPsql } = await import('../../src/localproxy/psql/run.js');
  const uri = `postgres://IAM%3Aanalyst@localhost:${started.port}/dev?sslmode=verify-ca&sslrootcert=${file('ca_file')}&passfile=${file('pass_file')}`;
  const { stdout, stderr } = await runPsql({
    file: '/usr/bin/psql',
    args: ['-X', '-A', '-t', '-c', 'select current_user', uri],
    env: { PATH: process.env.PATH, HOME: world.dir },
    stdio: { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  });
  expect([stderr, stdout]).toEqual(['', 'analyst\n']);
});

// From here on the clocks are turned.
test('without --tunnel the password file is renewed, and after a logout it is not made again', async () => {
  const ticks = jest.spyOn(globalThis, 'setInterval');
  await using started = await proxy('--db-user=analyst');
  const renew = ticks.mock.calls.find(([, everyMs]) => everyMs === 60_000)![0] as () => void;
  ticks.mockRestore();
  const file = /pass_file=(\S+)/.exec(started.text)![1]!;
  const first = readFileSync(file, 'utf8');
  aheadMs = 2 * 3_600_000;
  renew();
  await until('the password file is another one', () => readFileSync(file, 'utf8') !== first || undefined);
  await world.tsh('logout');
  aheadMs *= 2;
  renew();
  // Another command that asks AWS takes longer than what the proxy would have done meanwhile.
  const login = ['login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`];
  expect((await world.tsh('db', 'ls', '--aws')).status).toBe(0);
  expect((await world.tsh(...login)).status).toBe(0);
  expect(existsSync(file)).toBe(false);
});

test('left open for days it takes new connections, and a session outlives its password', async () => {
  await using started = await proxy('--tunnel', '--db-user=analyst');
  const old = await started.connect();
  for (const day of [1, 2, 3]) {
    aheadMs = day * 86_400_000;
    const client = await started.connect();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  }
  expect((await old.query('select 2 as two')).rows).toEqual([{ two: 2 }]);
  await old.end();
});
