/**
 * What must not be lost and not be shaken, with an agent that is a process of its own: what was answered is in the audit
 * log although the agent is killed again and again; clients that send byte by byte, hang up anywhere or come by the hundred
 * leave nothing behind.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type pg from 'pg';
import { writeAgentConfig } from '../support/agent-config.js';
import { type AuditRecord, roleResource, startTestCluster, type TestCluster, type Tunnel } from '../support/cluster.js';
import { type RawClient, rawClient, startupPacket } from '../support/pg-raw.js';
import { type ProgramProcess, startProgram } from '../support/program-process.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
let tunnel: Tunnel;
let agent: ProgramProcess;
let agentConfig: string;

beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    agent: false,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  const { stdout: token } = await cluster.tctl('tokens', 'add', '--type=db', '--format=text');
  agentConfig = await writeAgentConfig(cluster, token.trim());
  agent = await startAgent();
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  tunnel = await cluster.tunnel('alice', 'orders');
});
afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

async function startAgent(): Promise<ProgramProcess> {
  const args = ['start', `--config=${agentConfig}`, '--diag-addr=:0'];
  const started = startProgram('teleport', args, { home: cluster.dir, vars: { SSL_CERT_FILE: cluster.webCaFile } });
  await started.untilSaid('Database Service is ready');
  return started;
}

/** A client that is in, as soon as there is a way. */
const clientIn = (): Promise<pg.Client> => until('a client is in', () => tunnel.connect().catch(() => undefined));

test('each statement that was answered is recorded once, over kills of the agent', async () => {
  const answered = new Set<string>();
  let isOver = false;
  async function work(name: string): Promise<void> {
    for (let n = 0; !isOver; ) {
      const client = await clientIn();
      try {
        while (!isOver) {
          const text = `select '${name} ${n++}'`;
          await client.query(text);
          answered.add(text);
        }
      } catch {
        // The agent was killed; the statement may have run or not.
      }
      await client.end().catch(() => {});
    }
  }
  const workers = ['one', 'two', 'three'].map(work);
  for (let kill = 1; kill <= 3; kill++) {
    const enough = answered.size + 40;
    await until(`${enough} statements are answered`, () => answered.size >= enough || undefined);
    agent.child.kill('SIGKILL');
    await agent.ended;
    agent = await startAgent();
  }
  isOver = true;
  await Promise.all(workers);
  const events = await cluster.auditEvents((all) => {
    const recorded = new Set(all.map(({ db_query }) => db_query));
    return [...answered].every((text) => recorded.has(text));
  });
  const counts = new Map<unknown, number>();
  for (const { db_query } of events) counts.set(db_query, (counts.get(db_query) ?? 0) + 1);
  expect(answered.size).toBeGreaterThanOrEqual(120);
  expect([...answered].filter((text) => counts.get(text) !== 1)).toEqual([]);
});

/** `KILLS=50 npm run jest -- test/attacks/faults` takes a minute more. */
const KILLS = Number(process.env.KILLS ?? 5);

test(
  'X5 no statement has run without its record, over kills of the agent with clients that pipeline',
  async () => {
    const { postgres } = cluster.databases!;
    const owner = await clientIn();
    await owner.query('create table ran (what text)');
    await owner.end();
    const countRan = async () =>
      (await postgres.query('select count(*)::int as n from ran', { database: 'dev' }))[0]!.n as number;
    for (let kill = 1; kill <= KILLS; kill++) {
      const before = await countRan();
      const clients = await Promise.all(
        ['a', 'b'].map(async (name) => {
          const client = await untilReady();
          const inserts = Array.from({ length: 3000 }, (_, n) =>
            queryPacket(`insert into ran values ('${kill} ${name} ${n}')`),
          );
          client.socket.write(Buffer.concat(inserts));
          return client;
        }),
      );
      const enough = before + 1 + ((kill * 137) % 1000);
      await until(`${enough} rows are there`, async () => (await countRan()) >= enough || undefined);
      agent.child.kill('SIGKILL');
      await agent.ended;
      for (const { socket } of clients) socket.destroy();
      agent = await startAgent();
    }
    const ran = (await postgres.query('select what from ran', { database: 'dev' })).map(({ what }) => what as string);
    expect(ran.length).toBeGreaterThan(KILLS);
    const textOf = (what: string) => `insert into ran values ('${what}')`;
    const missing = (all: readonly AuditRecord[]) => {
      const recorded = new Set(all.map(({ db_query }) => db_query));
      return ran.filter((what) => !recorded.has(textOf(what)));
    };
    // Everything has arrived when a later statement has.
    const last = await clientIn();
    await last.query("select 'the last one'");
    await last.end();
    const events = await cluster.auditEvents((all) => all.some(({ db_query }) => db_query === "select 'the last one'"));
    expect(missing(events)).toEqual([]);
  },
  300_000 + KILLS * 10_000,
);

function queryPacket(text: string): Buffer {
  const body = Buffer.from(`${text}\0`);
  const head = Buffer.from('Q\0\0\0\0', 'latin1');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

/** Logged in by hand, as soon as there is a way. */
function untilReady(): Promise<RawClient> {
  return until('a client is in', async () => {
    const client = await rawClient({ host: '127.0.0.1', port: tunnel.port });
    client.socket.write(
      startupPacket(0x3_0000, [
        ['user', 'analyst'],
        ['database', 'dev'],
      ]),
    );
    return await client.until('Z').then(
      () => client,
      () => void client.socket.destroy(),
    );
  });
}

const sessions = (all: readonly AuditRecord[], event: string) =>
  new Set(all.filter((one) => one.event === event).map(({ sid }) => sid));

/** A start, a statement and a goodbye, as bytes. */
const CONVERSATION = Buffer.concat([
  startupPacket(0x3_0000, [
    ['user', 'analyst'],
    ['database', 'dev'],
  ]),
  Buffer.from('Q\0\0\0\x10select 41+1\0', 'latin1'),
  Buffer.from('X\0\0\0\x04', 'latin1'),
]);

test('X5 the metrics of an agent say how its records get on', async () => {
  await agent.untilSaid('Diagnostics are served');
  const at = /Diagnostics are served\. +addr:(\S+)/.exec(agent.text())![1];
  await until('nothing waits', async () => {
    const text = await (await fetch(`http://${at}/metrics`)).text();
    expect(text).toMatch(/^teleport_db_audit_refused_records 0$/m);
    expect(text).toMatch(/^teleport_db_audit_failing 0$/m);
    return /^teleport_db_audit_waiting_bytes 0$/m.test(text) || undefined;
  });
});

test('a client that sends byte by byte is served', async () => {
  const client = await rawClient({ host: '127.0.0.1', port: tunnel.port });
  client.socket.setNoDelay(true);
  for (const byte of CONVERSATION) await new Promise((resolve) => client.socket.write(Buffer.from([byte]), resolve));
  const messages = await client.rest();
  expect(messages.find(({ tag }) => tag === 'D')?.body.toString('latin1')).toContain('42');
});

test('clients that hang up after any byte, with FIN or RST, leave no session', async () => {
  const before = sessions(await cluster.auditEvents(() => true), 'db.session.start'); // a killed agent ended none
  for (const [at] of CONVERSATION.entries()) {
    const socket = connect({ host: '127.0.0.1', port: tunnel.port });
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.on('error', () => {}).once('close', resolve));
    await new Promise((resolve) => socket.write(CONVERSATION.subarray(0, at + 1), resolve));
    if (at % 2 === 0) socket.resetAndDestroy();
    else socket.end().resume();
    await closed;
  }
  await until('the database has no session', async () => {
    const active = "select count(*)::int as n from pg_stat_activity where usename = 'analyst'";
    return (await cluster.databases!.postgres.query(active))[0]!.n === 0 || undefined;
  });
  await cluster.auditEvents((all) => {
    const ended = sessions(all, 'db.session.end');
    return [...sessions(all, 'db.session.start')].every((sid) => before.has(sid) || ended.has(sid));
  });
});

test('a hundred sessions at once', async () => {
  const clients = await Promise.all(Array.from({ length: 100 }, () => tunnel.connect()));
  const rows = await Promise.all(clients.map(async (client, n) => (await client.query(`select ${n} as n`)).rows[0]));
  expect(rows).toEqual(clients.map((_, n) => ({ n })));
  await Promise.all(clients.map((client) => client.end()));
});
