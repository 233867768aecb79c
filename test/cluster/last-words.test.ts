/**
 * The first and the last packets of a client behind a whole cluster: protocol versions, a lock, services and proxies
 * that stop.
 * Tests: src/db/sessions.ts
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { errorFields, messagesOf, type RawMessage, rawClient, startupPacket } from '../support/pg-raw.js';
import { until } from '../support/until.js';

const DEV = { db_users: ['analyst'], db_names: ['dev'] };
const LOGIN: [string, string][] = [
  ['user', 'analyst'],
  ['database', 'dev'],
];

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', DEV), roleResource('idler', DEV, { client_idle_timeout: '300ms' })],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'ivy', roles: ['idler'] },
      { name: 'mona', roles: ['analyst'] },
    ],
  });
  await cluster.login('alice', 'alice');
});
afterAll(() => cluster?.stop());

async function enter(port: number, parameters = LOGIN, version = 0x3_0000) {
  const client = await rawClient({ host: '127.0.0.1', port });
  client.socket.write(startupPacket(version, parameters));
  const hello = await client.until('Z').catch(() => messagesOf(client.received()));
  return { client, hello };
}
const query = (sql: string) => {
  const body = Buffer.from(`${sql}\0`);
  const head = Buffer.alloc(5);
  head.write('Q');
  head.writeUInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
};
function lastWords(messages: RawMessage[]) {
  expect(messages.map(({ tag }) => tag)).toEqual(['E']);
  return errorFields(messages[0]!);
}
const SHUTDOWN = {
  S: 'FATAL',
  V: 'FATAL',
  C: '57P01',
  M: 'terminating connection due to administrator command',
};

test('D1 a client behind tsh proxy db that asks for protocol 3.2 and an option is told 3.0, and can cancel', async () => {
  const { port } = await cluster.tunnel('alice', 'orders');
  const { client, hello } = await enter(port, [...LOGIN, ['_pq_.foo', 'on']], 0x3_0002);
  expect(hello[0]!.bytes.toString('hex')).toBe('7600000015' + '00030000' + '00000001' + '5f70715f2e666f6f00');
  // Said once: what goes up is 3.0 already, as a Teleport agent needs it.
  expect(hello.filter(({ tag }) => tag === 'v')).toHaveLength(1);
  const key = hello.find(({ tag }) => tag === 'K')!.body;
  expect(key).toHaveLength(8);
  client.socket.write(query('select pg_sleep(634)'));
  await until('the statement runs', async () => {
    const rows = await cluster.databases!.postgres.query(
      "select 1 from pg_stat_activity where query = 'select pg_sleep(634)'",
    );
    return rows.length > 0 || undefined;
  });
  const canceller = await rawClient({ host: '127.0.0.1', port });
  canceller.socket.end(Buffer.concat([Buffer.from('0000001004d2162e', 'hex'), key]));
  expect(await canceller.rest()).toEqual([]);
  expect(errorFields((await client.until('Z')).find(({ tag }) => tag === 'E')!)).toMatchObject({ C: '57014' });
  client.socket.destroy();
});

test('B10 a user whom no role allows is refused with 28000 behind tsh proxy db', async () => {
  const { port } = await cluster.tunnel('alice', 'orders');
  const { hello } = await enter(port, [
    ['user', 'somebodyelse'],
    ['database', 'dev'],
  ]);
  expect(errorFields(hello[0]!)).toMatchObject({
    S: 'FATAL',
    V: 'FATAL',
    C: '28000',
    M: expect.stringContaining('access to db denied'),
  });
});

describe('F9 the last words behind a cluster', () => {
  test('of a lock: its message, and why a new connection is refused', async () => {
    await cluster.login('mona', 'mona');
    const { port } = await cluster.tunnel('mona', 'orders');
    const { client } = await enter(port);
    const locked = await cluster.tctl('lock', '--user=mona', '--message=On leave.', '--ttl=1h');
    expect(locked.status).toBe(0);
    expect(lastWords(await client.rest())).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '57P01',
      M: 'terminating connection: lock targeting User:"mona" is in force: On leave.',
    });
    const { hello } = await enter(port);
    expect(lastWords(hello)).toMatchObject({ C: '28000', M: expect.stringContaining('is in force: On leave.') });
  });

  test('of silence', async () => {
    await cluster.login('ivy', 'ivy');
    const { client } = await enter((await cluster.tunnel('ivy', 'orders')).port);
    expect(lastWords(await client.rest())).toMatchObject({ S: 'FATAL', V: 'FATAL', C: '57P05' });
  });

  test('of silence, by a setting of the cluster that counts from the next connection on', async () => {
    const { port } = await cluster.tunnel('alice', 'orders');
    const before = await enter(port);
    const settings = { kind: 'netconfig', version: 'v2', spec: { client_idle_timeout: '300ms' } };
    expect((await cluster.tctlWith(JSON.stringify(settings), 'create')).status).toBe(0);
    const { client } = await enter(port);
    expect(lastWords(await client.rest())).toMatchObject({ S: 'FATAL', V: 'FATAL', C: '57P05' });
    expect((await cluster.tctl('rm', 'netconfig')).status).toBe(0);
    before.client.socket.write(query('select 1'));
    await before.client.until('Z');
    before.client.socket.destroy();
  });

  test.each(['SIGTERM', 'SIGQUIT'] as const)('of tsh proxy db that %s stops', async (signal) => {
    const { port, started } = await cluster.tunnel('alice', 'orders');
    const [{ client: idle }, { client: busy }] = [await enter(port), await enter(port)];
    busy.socket.write(query('select pg_sleep(635)'));
    started.env.interrupt(signal);
    for (const client of [idle, busy]) expect(lastWords(await client.rest())).toMatchObject(SHUTDOWN);
    expect((await started.outcome).status).toBe(0);
  });

  test('of a client that begins without TLS: where it may begin, and how', async () => {
    const client = await rawClient({ host: '127.0.0.1', port: Number(cluster.proxyAddr.split(':')[1]) });
    client.socket.write(startupPacket(0x3_0000, LOGIN));
    expect(lastWords(await client.rest())).toMatchObject({
      S: 'FATAL',
      V: 'FATAL',
      C: '28000',
      H: expect.stringContaining('sslmode=require'),
    });
  });

  // The last one: nothing is there afterwards.
  test('of services that stop, through everything that is between', async () => {
    const { port } = await cluster.tunnel('alice', 'orders');
    const [{ client: idle }, { client: busy }] = [await enter(port), await enter(port)];
    busy.socket.write(query('select pg_sleep(600)'));
    const closed = cluster.teleport.close({ drainMs: 0 });
    for (const client of [idle, busy]) {
      expect(lastWords(await client.rest())).toMatchObject({
        ...SHUTDOWN,
        H: expect.stringMatching(/^The Database Service is stopping/),
      });
    }
    await closed;
  });
});
