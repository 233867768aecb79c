/**
 * What a person runs, as she and an administrator read it, and as `tctl audit verify` finds it.
 * Tests: src/tctl/audit/ls.ts, src/tctl/audit/export.ts, src/tctl/audit/query.ts, src/tctl/audit/text.ts
 * Tests: src/tctl/audit/verify.ts, src/tsh/db/history.ts
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['postgres'], db_names: ['postgres'] })],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'ann', roles: ['auditor'] },
    ],
  });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  const tunnel = await cluster.tunnel('alice', 'orders', { dbUser: 'postgres', dbName: 'postgres' });
  const client = await tunnel.connect();
  await client.query("select 'first', '\u009b31m'");
  await client.query('select $1::int', [7]);
  await client.end();
  await tunnel.started.stop();
  await cluster.auditEvents((events) => events.some(({ event }) => event === 'db.session.end'));
});
afterAll(() => cluster?.stop());

test('tsh db history shows what one ran oneself', async () => {
  const text = await cluster.tsh('alice', 'db', 'history');
  expect(text.stderr).toBe('');
  expect(text.stdout).toMatch(/^Time +Database +DB User +DB Name +Result +Statement *$/m);
  expect(text.stdout).toMatch(/ orders +postgres +postgres +1 row +select \$1::int *$/m);
  expect(text.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/);
  const json = JSON.parse((await cluster.tsh('alice', 'db', 'history', '--format=json')).stdout);
  expect(json).toMatchObject([
    { db_query: "select 'first', '\u009b31m'", success: true, rows: 1 },
    { db_query: 'select $1::int', success: true, rows: 1 },
  ]);
  expect((await cluster.tsh('alice', 'db', 'history', 'sales')).stdout).toBe('No statements.\n');
  expect(await cluster.tsh('alice', 'db', 'history', '--limit=0')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--limit must be between 1 and 10000'),
  });
  expect(await cluster.tsh('alice', 'db', 'history', '--from=then')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('--from: "then" is not a moment'),
  });
});

test('tctl audit ls shows the last records, on the Auth host and with an identity from elsewhere', async () => {
  const queries = await cluster.tctl('audit', 'ls', '--kind=db.session.query', '--user=alice', '--database=orders');
  expect(queries).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/ db\.session\.query +alice +orders +"select 'first', /),
  });
  expect((await cluster.tctl('audit', 'ls', '--kind=x')).stdout).toBe('No records.\n');
  const last = JSON.parse(
    (await cluster.tctl('audit', 'ls', '--limit=2', '--format=json', '--kind=db.session.*')).stdout,
  );
  expect(last).toHaveLength(2);
  expect(last.at(-1).event).toBe('db.session.end');

  const identity = join(cluster.dir, 'ann.pem');
  expect(await cluster.tctl('auth', 'sign', '--user=ann', `--out=${identity}`)).toMatchObject({ status: 0 });
  const from = (file: string) =>
    cluster.tctl(
      'audit',
      'ls',
      '--format=json',
      '--insecure',
      `--identity=${file}`,
      `--auth-server=${cluster.proxyAddr}`,
    );
  expect(JSON.parse((await from(identity)).stdout).length).toBeGreaterThan(5);
  const alices = join(cluster.dir, 'alice.pem');
  await cluster.tctl('auth', 'sign', '--user=alice', `--out=${alices}`);
  expect(await from(alices)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('access denied to perform action "list" on "event"'),
  });
});

/** The files of a log, the oldest first: a run may begin before midnight. */
const logsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => /^\d{4}-\d\d-\d\d\.log$/.test(name))
    .sort()
    .map((name) => join(folder, name));

test('tctl audit export writes the records as they stand in the log', async () => {
  const { stdout } = await cluster.tctl('audit', 'export', '--to=2100-01-01');
  const log = logsIn(join(cluster.dataDir, 'log')).map((file) => readFileSync(file, 'utf8'));
  expect(log.join('').startsWith(stdout)).toBe(true);
  expect(stdout.split('\n').length).toBeGreaterThan(10);
  const text = (await cluster.tctl('audit', 'export', '--format=text', '--user=alice', '--kind=db.session.end')).stdout;
  expect(text).toMatch(/^\S+Z\tdb\.session\.end\talice\torders\t\n$/);
});

test('L2 tctl audit export shows what somebody wrote into the files as text and not as a command to the terminal', async () => {
  const file = join(cluster.dataDir, 'log', '2020-01-01.log');
  writeFileSync(file, `{"event":"x","time":"2020-01-01T00:00:00Z","said":"\u202e\u009b2J"}\n`);
  try {
    const { stdout } = await cluster.tctl('audit', 'export', '--from=2020-01-01', '--to=2020-01-02');
    expect(stdout).toBe('{"event":"x","time":"2020-01-01T00:00:00Z","said":"\\u202e\\u009b2J"}\n');
  } finally {
    rmSync(file);
  }
});

test('tctl audit verify says that the log is whole, and names the record that is not', async () => {
  const place = join(cluster.dir, 'copy');
  const whole = await cluster.tctl('audit', 'verify');
  expect(whole).toMatchObject({ status: 0, stderr: '' });
  expect(whole.stdout).toContain('As it was written.');
  expect(whole.stdout).toContain('It does not hold against root on the Auth host');

  const verdict = JSON.parse((await cluster.tctl('audit', 'verify', '--format=json')).stdout);
  expect(verdict).toMatchObject({ sessions: 1, unchained: 0, problems: [] });

  mkdirSync(place);
  cpSync(join(cluster.dataDir, 'log'), place, { recursive: true });
  const key = `--key=${join(cluster.dataDir, 'audit.key')}`;
  const verify = (...more: string[]) => cluster.tctl('audit', 'verify', `--dir=${place}`, ...more);
  expect(await verify(key)).toMatchObject({ status: 0 });
  expect((await verify()).stdout).toContain('Signatures were not looked at');

  const file = logsIn(place).find((one) => readFileSync(one, 'utf8').includes("select 'first'"))!;
  const lines = readFileSync(file, 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes("select 'first'"));
  lines[at] = lines[at]!.replace('first', 'FIRST');
  writeFileSync(file, lines.join('\n'));
  const edited = await verify(key);
  expect(edited.status).toBe(1);
  expect(edited.stdout).toContain(`${file}:${at + 1}: it was edited, or what stands before it was`);
  const json = JSON.parse((await verify(key, '--format=json')).stdout);
  expect(json.problems[0]).toEqual({ file, line: at + 1, what: 'it was edited, or what stands before it was' });
  expect(await verify(`--key=${file}`)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('is not an Ed25519 key'),
  });
});

test('checkpoints that were exported before show a log that was written anew', async () => {
  await cluster.restart();
  const kept = join(cluster.dir, 'checkpoints.jsonl');
  writeFileSync(kept, (await cluster.tctl('audit', 'export', '--checkpoints')).stdout);
  expect(await cluster.tctl('audit', 'verify', `--checkpoints=${kept}`)).toMatchObject({ status: 0 });
  const [first] = readFileSync(kept, 'utf8').split('\n');
  const other = JSON.parse(first!) as Record<string, unknown>;
  writeFileSync(kept, `${JSON.stringify({ ...other, last_sum: '0'.repeat(64) })}\n`);
  expect(await cluster.tctl('audit', 'verify', `--checkpoints=${kept}`)).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('a checkpoint that is kept elsewhere is not signed with the key'),
  });
});

test('L7 a file of checkpoints that has none is an error, and lines that are none are counted', async () => {
  const kept = join(cluster.dir, 'checkpoints.jsonl');
  for (const text of ['', 'x\n', '{"event":"audit.checkpoint"}\n']) {
    writeFileSync(kept, text);
    expect(await cluster.tctl('audit', 'verify', `--checkpoints=${kept}`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${kept} has no checkpoint in it`),
    });
  }
  // At its end Auth writes one.
  await cluster.restart();
  writeFileSync(kept, `${(await cluster.tctl('audit', 'export', '--checkpoints')).stdout}half\n`);
  expect(await cluster.tctl('audit', 'verify', `--checkpoints=${kept}`)).toMatchObject({
    status: 0,
    stdout: expect.stringContaining(`Lines of ${kept} that are not checkpoints, and were not compared: 1.`),
  });
});

test('F8 SIGHUP to the program brings a day file back that somebody deleted', async () => {
  const one = await startTestCluster({ process: {} });
  try {
    await one.tctl('lock', '--user=w', '--force');
    const folder = join(one.dataDir, 'log');
    const [name] = readdirSync(folder);
    const file = join(folder, name!);
    const before = readFileSync(file, 'utf8');
    rmSync(file);
    process.kill(one.teleport.pid!, 'SIGHUP');
    await until('the file is there again with all that it had', () => {
      const isWhole = existsSync(file) && readFileSync(file, 'utf8').startsWith(before);
      return isWhole || undefined;
    });
    await one.tctl('lock', '--user=x', '--force');
    expect(readFileSync(file, 'utf8')).toContain('"event":"audit.log.changed"');
    expect(await one.tctl('audit', 'verify')).toMatchObject({ status: 0 });
  } finally {
    await one.stop();
  }
});
