/** `tsh db connect` with the real psql on a terminal, where the machine has both. */

import { findPsql } from '../../src/psql/run.js';
import { roleResource, startTestCluster, type TestCluster, until } from '../support/cluster.js';
import { findTerminal, type Terminal } from '../support/terminal.js';

const psql = await findPsql(process.env.PATH);
const openTerminal = findTerminal();
const missing = [psql ? [] : ['psql'], openTerminal ? [] : ['a program that makes terminals']].flat().join(' and ');
const testWithPsql = missing === '' ? test : test.skip;
const because = missing === '' ? '' : ` (skipped: this machine has no ${missing})`;

let cluster: TestCluster;
let terminal: Terminal | undefined;

beforeAll(async () => {
  if (missing !== '') return;
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
}, 40_000);
afterAll(async () => {
  terminal?.kill();
  await cluster?.stop();
});

testWithPsql(`Ctrl-C cancels the statement, and the prompt of psql is back${because}`, async () => {
  const tsh = [process.execPath, `${process.cwd()}/test/tools/run.mjs`, `${process.cwd()}/bin/tsh.ts`];
  const vars = { ...cluster.envOf('alice').vars, TERM: 'dumb', PSQL_PAGER: 'cat', PSQL_HISTORY: '/dev/null' };
  terminal = openTerminal!([...tsh, 'db', 'connect', 'orders', '--db-user=analyst', '--db-name=dev'], {
    cwd: process.cwd(),
    vars,
  });
  await terminal.until('dev=>');
  terminal.type('select pg_sleep(60);\n');
  await until('the statement runs', async () => {
    const active = "select 1 from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'";
    return (await cluster.databases!.postgres.query(active)).length > 0 || undefined;
  });
  const start = performance.now();
  terminal.type('\u0003');
  await terminal.until('canceling statement due to user request');
  expect(performance.now() - start).toBeLessThan(1000);
  await terminal.until('dev=>');
  terminal.type('select 6 * 7 as answer;\n');
  await terminal.until(/^ +42\r?$/m);
  terminal.type('\\q\n');
  expect(await terminal.ended).toBe(0);
});
