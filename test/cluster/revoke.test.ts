/** What takes access away: a lock, a role that is gone, the end of a certificate. */
import { runTsh } from '../../src/tsh/main.js';
import { roleResource, startTestCluster, type TestCluster, type Tunnel } from '../support/cluster.js';
import { until } from '../support/until.js';

const DEV = { db_users: ['analyst'], db_names: ['dev'] };
const BRIEF_TTL_MS = 120_000;
/** Of a brief life, when its session begins: long enough for that. */
const LEFT_MS = 15_000;

let cluster: TestCluster;
let ahead = 0;
const now = () => new Date(Date.now() + ahead);

beforeAll(async () => {
  cluster = await startTestCluster({
    now,
    postgres: true,
    roles: [
      roleResource('analyst', DEV),
      roleResource('guest', DEV),
      roleResource('brief', DEV, { max_session_ttl: `${BRIEF_TTL_MS / 1000}s`, disconnect_expired_cert: true }),
    ],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'gus', roles: ['guest'] },
      { name: 'mona', roles: ['analyst'] },
      { name: 'bea', roles: ['brief'] },
    ],
  });
});
afterAll(async () => {
  await cluster?.stop();
});

/** Every service hears of it in its own time. */
async function untilOpen(tunnel: Tunnel): Promise<void> {
  const client = await until('a connection is open', () => tunnel.connect().catch(() => undefined));
  await client.end();
}

test('a locked person opens no connection, not even through a tunnel that is there, and may again after the lock', async () => {
  await cluster.login('alice', 'alice');
  const tunnel = await cluster.tunnel('alice', 'orders');
  await (await tunnel.connect()).end();

  const locked = await cluster.tctl('lock', '--user=alice', '--message=gone', '--ttl=1h');
  expect(locked).toMatchObject({ status: 0, stderr: '' });
  await expect(tunnel.connect()).rejects.toThrow(/access denied/);
  const { status, stderr } = await cluster.tsh('alice', 'db', 'login', 'orders', '--db-user=analyst', '--db-name=dev');
  expect(status).toBe(1);
  expect(stderr).toMatch(/lock targeting User:"alice" is in force|access denied/);

  const name = /"(.*)"/.exec(locked.stdout)?.[1];
  expect((await cluster.tctl('rm', `lock/${name}`)).status).toBe(0);
  await untilOpen(tunnel);
});

test('a session that runs ends when its person is locked, and the audit log says why', async () => {
  await cluster.login('mona', 'mona');
  const client = await (await cluster.tunnel('mona', 'orders')).connect();
  const ended = new Promise((resolve) => client.once('end', resolve));
  expect((await cluster.tctl('lock', '--user=mona', '--message=gone', '--ttl=1h')).status).toBe(0);
  await ended;
  const events = await cluster.auditEvents((all) => all.some(({ event }) => event === 'client.disconnect'));
  expect(events.find(({ event }) => event === 'client.disconnect')).toMatchObject({
    code: 'T3006I',
    user: 'mona',
    reason: 'lock targeting User:"mona" is in force: gone',
  });
});

test('X3 a role that was taken away opens nothing any more, although the certificate names it', async () => {
  await cluster.login('gus', 'gus');
  const tunnel = await cluster.tunnel('gus', 'orders');
  await (await tunnel.connect()).end();

  await cluster.tctl('users', 'update', 'gus', '--set-roles=access');
  expect((await cluster.tctl('rm', 'role/guest')).status).toBe(0);
  await expect(tunnel.connect()).rejects.toThrow(/access to db denied/);
});

test('with disconnect_expired_cert a session ends with its certificate, and a new one wants a new login', async () => {
  const before = Date.now();
  await cluster.login('bea', 'bea');
  const tunnel = await cluster.tunnel('bea', 'orders');
  ahead = before + BRIEF_TTL_MS - LEFT_MS - Date.now();
  const client = await tunnel.connect();
  await new Promise((resolve) => client.once('end', resolve));

  const isBeas = ({ event, user }: { event: string; user?: unknown }) =>
    event === 'client.disconnect' && user === 'bea';
  const events = await cluster.auditEvents((all) => all.some(isBeas));
  expect(events.find(isBeas)?.reason).toMatch(/^client certificate expired at /);
  const env = cluster.envOf('bea', { now });
  expect(await runTsh(['db', 'ls'], env)).toBe(1);
  expect(env.err()).toContain('ssh: cert has expired');
});
