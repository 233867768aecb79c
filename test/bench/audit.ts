/**
 * What records cost: the same connection with its audit and without any, in turns. `SELECT` by eight clients of pgbench, COPY
 * by psql: through an agent alone, where Auth takes the records in no time, and by `tsh proxy db --tunnel` through a cluster in
 * one process, where Auth's work is counted too.
 *
 *     node test/tools/run.mjs test/bench/audit.ts [ROUNDS [WORK]]
 *
 * WORK: how the line begins that you want.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { openAuditSpool } from '../../src/audit/spool.js';
import { StatementTap } from '../../src/db/statement-tap.js';
import { connectDatabase } from '../../src/dbserver/connect.js';
import { silent } from '../../src/log.js';
import { relay } from '../../src/net/relay.js';
import { encodeReady } from '../../src/pg/backend.js';
import { lastWords } from '../../src/pg/last-words.js';
import { readFirst } from '../../src/pg/stream.js';
import { role, startTestAgent, type TestAgent } from '../db/agent.js';
import { createTestCa } from '../support/ca.js';
import { roleResource, startTestCluster } from '../support/cluster.js';
import { startPostgres } from '../support/postgres.js';
import { tunnelPort } from './cluster.js';
import { median } from './measure.js';
import { programArgs, start } from './processes.js';

const rounds = Number(process.argv[2] ?? 5);
const wanted = process.argv[3] ?? '';
const SECONDS = 3;
const dir = mkdtempSync(join(tmpdir(), 'bench-audit-'));
const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
const postgres = await startPostgres({
  tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
  users: [{ name: 'analyst' }],
  databases: [{ name: 'dev', owner: 'analyst' }],
});
const database = {
  kind: 'db',
  version: 'v3',
  metadata: { name: 'pg', labels: { env: 'bench' } },
  spec: { protocol: 'postgres', uri: `localhost:${postgres.port}` },
};
const agent = await startTestAgent({ databases: [database], dbClientCa, databaseCas: [dbCa.certPem] });
agent.roles = [role({})];
await agent.as({ serviceName: 'pg' });
let shipped = 0;
const spool = await openAuditSpool({
  dir,
  log: silent,
  ship: async (lines) => {
    shipped += lines.length;
    return [];
  },
});
agent.context.spool = spool;
const plain = await startPlain(agent);

/** The engine's way without a look at what passes. */
async function startPlain({ context }: TestAgent) {
  const server = createServer({ allowHalfOpen: true }, (client) => void serve(client).catch(() => client.destroy()));
  async function serve(client: Socket): Promise<void> {
    client.on('error', () => {});
    await readFirst(client);
    const { socket, loggedIn } = await connectDatabase(context, {
      database: database as never,
      dbUser: 'analyst',
      dbName: 'dev',
      startupParameters: [],
      askedBy: 'alice',
    });
    const { parameters, backendKey, txStatus } = loggedIn;
    client.write(encodeReady({ parameters, backendKey, txStatus }));
    await relay(client, socket, { lastWords: lastWords() });
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const whole = await startWhole();

/** A cluster in this process, whose agent looks at what passes, or does not. */
async function startWhole() {
  const roles = [roleResource('bench', { db_users: ['analyst'], db_names: ['*'] })];
  const cluster = await startTestCluster({ postgres: true, roles, users: [{ name: 'alice', roles: ['bench'] }] });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  const vars = { PATH: process.env.PATH ?? '', HOME: join(cluster.dir, 'alice'), SSL_CERT_FILE: cluster.webCaFile };
  const args = programArgs('tsh', 'proxy', 'db', 'orders', '--tunnel', '--db-user=analyst', '--db-name=dev');
  const tunnel = await start(process.execPath, args, vars, /\$ psql /);
  const { fromClient, fromServer } = StatementTap.prototype;
  const look = (isOn: boolean) => {
    StatementTap.prototype.fromClient = isOn ? fromClient : () => undefined;
    StatementTap.prototype.fromServer = isOn ? fromServer : () => undefined;
  };
  const stop = async () => {
    await tunnel.stop();
    await cluster.stop();
  };
  return { port: tunnelPort(tunnel.text()), look, stop };
}

const ports = { off: (plain.address() as AddressInfo).port, on: agent.port };
/** A statement that takes the database no time, and one that takes it a millisecond, in which the records become durable. */
const scripts = { quick: 'select 1;\n', slow: 'select pg_sleep(0.001);\n' };
for (const [name, text] of Object.entries(scripts)) writeFileSync(join(dir, name), text);

async function selects(port: number, protocol: string, script: keyof typeof scripts = 'quick'): Promise<number> {
  const args = [
    '-n',
    '-f',
    join(dir, script),
    '-M',
    protocol,
    '-c',
    '8',
    '-T',
    `${SECONDS}`,
    '-h',
    '127.0.0.1',
    '-p',
    `${port}`,
  ];
  const { stdout } = await execa('pgbench', [...args, '-U', 'analyst', 'dev'], { env: { PGSSLMODE: 'disable' } });
  return Number(/tps = ([\d.]+)/.exec(stdout)![1]);
}

async function copy(port: number, from: boolean): Promise<number> {
  const rows = 1_000_000;
  const sql = from
    ? `\\copy (select repeat('x', 99) from generate_series(1, ${rows})) to /dev/null`
    : `\\copy sink from ${join(dir, 'rows')}`;
  const start = performance.now();
  const args = ['-qX', '-h', '127.0.0.1', '-p', `${port}`, '-U', 'analyst', '-d', 'dev', '-c', sql];
  await execa('psql', args, { env: { PGSSLMODE: 'disable' } });
  return (rows * 100) / 1e6 / ((performance.now() - start) / 1000);
}

writeFileSync(join(dir, 'rows'), `${'x'.repeat(99)}\n`.repeat(1_000_000));
await postgres.query('create unlogged table sink (t text)', { database: 'dev' });
await postgres.query('grant all on sink to analyst', { database: 'dev' });
const empty = () => postgres.query('truncate sink', { database: 'dev' });

type Way = 'off' | 'on';

async function wholeSelects(way: Way, protocol: string): Promise<number> {
  whole.look(way === 'on');
  return await selects(whole.port, protocol);
}

const works: Record<string, (way: Way) => Promise<number>> = {
  'SELECT 1, simple protocol, 8 clients, a second': (way) => selects(ports[way], 'simple'),
  'SELECT 1, extended protocol, 8 clients, a second': (way) => selects(ports[way], 'extended'),
  'SELECT that takes 1 ms, simple protocol, 8 clients, a second': (way) => selects(ports[way], 'simple', 'slow'),
  'SELECT that takes 1 ms, extended protocol, 8 clients, a second': (way) => selects(ports[way], 'extended', 'slow'),
  'Cluster, SELECT 1, simple protocol, 8 clients, a second': (way) => wholeSelects(way, 'simple'),
  'Cluster, SELECT 1, prepared, 8 clients, a second': (way) => wholeSelects(way, 'prepared'),
  'COPY out, MB/s': (way) => copy(ports[way], true),
  'COPY in, MB/s': async (way) => {
    await empty();
    return await copy(ports[way], false);
  },
};
console.log(`load ${loadavg()[0]!.toFixed(1)} at the start`);
for (const [name, work] of Object.entries(works)) {
  if (!name.startsWith(wanted)) continue;
  const found = { off: [] as number[], on: [] as number[] };
  for (let round = -1; round < rounds; round++)
    for (const way of round % 2 === 0 ? (['off', 'on'] as const) : (['on', 'off'] as const)) {
      const value = await work(way);
      if (round >= 0) found[way].push(value);
    }
  const ratios = found.on.map((value, n) => value / found.off[n]!);
  const spread = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  const [off, on] = [median(found.off), median(found.on)];
  console.log(
    `${name}: ${off.toFixed(0)} without, ${on.toFixed(0)} with records; ratio ${median(ratios).toFixed(3)} (${spread})`,
  );
}
console.log(`${shipped} records; load ${loadavg()[0]!.toFixed(1)} at the end`);
plain.close();
await whole.stop();
await agent.stop();
await spool.close();
await postgres.stop();
rmSync(dir, { recursive: true });
