/**
 * What automatic users add to a connection, with the database 1 ms away each way of a relay: activation before the first row, teardown
 * after the end; and fifty people at once. Auth's lock is in this process.
 *
 *     node test/tools/run.mjs test/bench/auto-users.ts [ROUNDS]
 */
import type { Socket } from 'node:net';
import { loadavg } from 'node:os';
import { connectSession } from '../../src/pg/session.js';
import { role, startTestAgent } from '../db/agent.js';
import { createTestCa } from '../support/ca.js';
import { startPostgres } from '../support/postgres.js';
import { startRelay } from '../support/relay.js';
import { median } from './measure.js';

const rounds = Number(process.argv[2] ?? 20);
const AT_ONCE = 50;
const WAY_MS = 0.5;
const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
const people = Array.from({ length: AT_ONCE }, (_, at) => `person${at}`);
const postgres = await startPostgres({
  tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
  users: [{ name: 'admin', createRole: true }, { name: 'alice' }],
  databases: ['dev'],
});
await postgres.query('CREATE ROLE reader; GRANT reader TO admin WITH ADMIN OPTION');
const relay = await startRelay(postgres.port, { delayMs: WAY_MS });
const database = (name: string, spec: object) => ({
  kind: 'db',
  version: 'v3',
  metadata: { name, labels: {} },
  spec: { protocol: 'postgres', uri: `localhost:${relay.port}`, ...spec },
});
const agent = await startTestAgent({
  databases: [database('plain', {}), database('auto', { admin_user: { name: 'admin' } })],
  dbClientCa,
  databaseCas: [dbCa.certPem],
});
const plain = role({});
const auto = role({ db_roles: ['reader'], db_users: [] }, { create_db_user_mode: 'keep' });

/** Milliseconds to the first row, and from the end until the agent has done everything. */
async function once(serviceName: string, username: string, given = auto) {
  agent.roles = [given];
  await agent.as({ serviceName }, { username });
  const start = performance.now();
  const session = await agent.session({ user: username, database: 'dev' });
  await session.query('select 1');
  const inMs = performance.now() - start;
  session.close();
  const left = performance.now();
  await agent.idle();
  return { inMs, outMs: performance.now() - left };
}

const show = (what: string, values: number[]) => {
  const sorted = [...values].sort((one, other) => one - other);
  console.log(`${what}: ${median(values).toFixed(1)} ms in the middle, ${sorted.at(-1)!.toFixed(1)} ms at most`);
};
try {
  await once('plain', 'alice', plain);
  await once('auto', 'bob');
  const both = { plain: [] as { inMs: number; outMs: number }[], auto: [] as { inMs: number; outMs: number }[] };
  for (let at = 0; at < rounds; at++) {
    both.plain.push(await once('plain', 'alice', plain));
    both.auto.push(await once('auto', 'bob'));
  }
  show(
    'to the first row, plain',
    both.plain.map(({ inMs }) => inMs),
  );
  show(
    'to the first row, automatic user',
    both.auto.map(({ inMs }) => inMs),
  );
  show(
    'after the end, plain',
    both.plain.map(({ outMs }) => outMs),
  );
  show(
    'after the end, automatic user',
    both.auto.map(({ outMs }) => outMs),
  );

  for (const what of ['made', 'enabled again']) {
    const into: number[] = [];
    const sockets: Socket[] = [];
    for (const username of people) {
      await agent.as({ serviceName: 'auto' }, { username });
      sockets.push(await agent.socket());
      // The certificate is taken when the agent sees the connection.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
    const start = performance.now();
    const sessions = sockets.map(async (socket, at) => {
      const session = await connectSession(socket, { user: people[at]!, database: 'dev' });
      into.push(performance.now() - start);
      return session;
    });
    const open = await Promise.all(sessions);
    console.log(`${AT_ONCE} people at once, ${what}: all in after ${(performance.now() - start).toFixed(0)} ms`);
    show('  each of them', into);
    for (const session of open) session.close();
    const left = performance.now();
    await agent.idle();
    console.log(`  all disabled ${(performance.now() - left).toFixed(0)} ms after the end`);
  }
  const same = performance.now();
  await agent.as({ serviceName: 'auto' }, { username: 'bob' });
  const fifty = await Promise.all(people.map(() => agent.session({ user: 'bob', database: 'dev' })));
  console.log(`${AT_ONCE} sessions of one person at once: all in after ${(performance.now() - same).toFixed(0)} ms`);
  for (const session of fifty) session.close();
  await agent.idle();
  console.log(`load ${loadavg()[0]!.toFixed(1)}`);
} finally {
  await agent.stop();
  await relay.stop();
  await postgres.stop();
}
