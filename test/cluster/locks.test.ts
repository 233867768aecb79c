/**
 * What a lock, a deletion and a reset end in a whole cluster whose agent is another host: sessions that run, with the
 * reason, and the tunnel itself. Tests: src/proxy/reception.ts
 */
import type pg from 'pg';
import { createLogger } from '../../src/log.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
let agent: RunningTeleport;
let agentLog = '';
/** More in the bench; p99 of the same measurement. */
const SESSIONS = Number(process.env.LOCKED_SESSIONS ?? 24);

beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    agent: false,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: ['ann', 'ben', 'cat', 'dan'].map((name) => ({ name, roles: ['analyst'] })),
  });
  const token = (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim();
  const config = await writeAgentConfig(cluster, token);
  const { file, raw } = readConfigFile(config);
  const vars = { SSL_CERT_FILE: cluster.webCaFile };
  const log = createLogger({ component: 'PROC', level: 'debug', write: (line) => (agentLog += line) });
  agent = await startTeleport(teleportConfig({ config }, file, raw), { log, vars });
  await cluster.login('ann', 'ann');
  await cluster.untilListed('ann', ['orders']);
});
afterAll(async () => {
  await agent?.close({ drainMs: 0 });
  await cluster?.stop();
});

/** How often a service has asked Auth anew because it heard nothing: nobody had to, who heard of a lock from Auth itself. */
const askedAnew = () => (cluster.log() + agentLog).split('Watching locks failed').length - 1;

/** When and with what a session ends. */
async function ending(client: pg.Client): Promise<{ at: number; text: string }> {
  let text = '';
  client.on('error', (error) => (text ||= error.message));
  await new Promise((resolve) => client.once('end', resolve));
  return { at: performance.now(), text };
}

async function session(user: string): Promise<pg.Client> {
  await cluster.login(user, user);
  const tunnel = await cluster.tunnel(user, 'orders');
  // Every service hears in its own time that an earlier lock is gone.
  return await until('a session begins', () => tunnel.connect().catch(() => undefined));
}

async function unlock(): Promise<void> {
  const { stdout } = await cluster.tctl('get', 'locks', '--format=json');
  for (const { metadata } of JSON.parse(stdout || '[]') as { metadata: { name: string } }[])
    await cluster.tctl('rm', `lock/${metadata.name}`);
}

test(`X2 from "tctl lock" to the end of ${SESSIONS} sessions nobody asks Auth, and each hears why`, async () => {
  const tunnel = await cluster.tunnel('ann', 'orders');
  const clients: pg.Client[] = [];
  for (let made = 0; made < SESSIONS; made++) clients.push(await tunnel.connect());
  const ends = clients.map(ending);
  const before = askedAnew();
  const at = performance.now();
  expect((await cluster.tctl('lock', '--user=ann', '--message=On leave.')).status).toBe(0);
  const took = (await Promise.all(ends)).map((end) => ({ ...end, ms: end.at - at })).sort((a, b) => a.ms - b.ms);
  if (process.env.LOCKED_SESSIONS) {
    const of = (share: number) => Math.round(took[Math.min(took.length - 1, Math.floor(took.length * share))]!.ms);
    process.stderr.write(`lock to the end of ${SESSIONS} sessions: p50 ${of(0.5)} ms, p99 ${of(0.99)} ms\n`);
  }
  for (const { text } of took)
    expect(text).toBe('terminating connection: lock targeting User:"ann" is in force: On leave.');
  expect(askedAnew()).toBe(before);
  await unlock();
});

test('X2 a lock on the agent’s host ends its sessions and its tunnel, keeps it out, and lets it in again', async () => {
  const client = await session('ben');
  const { stdout } = await cluster.tctl('get', 'db_servers', '--format=json');
  const hostId = (JSON.parse(stdout) as { spec: { host_id: string } }[])[0]!.spec.host_id;
  const end = ending(client);
  expect(await cluster.tctl('lock', `--server-id=${hostId}`, '--message=Stolen.')).toMatchObject({ status: 0 });
  const { text } = await end;
  expect(text).toBe(`terminating connection: lock targeting ServerID:"${hostId}" is in force: Stolen.`);
  const connect = () =>
    cluster.tsh('ben', 'db', 'exec', 'select 1', '--dbs=orders', '--db-user=analyst', '--db-name=dev', '--no-confirm');
  await until('the tunnel is gone', async () => {
    const { stderr, stdout: out } = await connect();
    return /not found among registered databases|failed to connect to any/.test(stderr + out) || undefined;
  });
  await unlock();
  await until('the host is in again', async () => ((await connect()).status === 0 ? true : undefined));
});

test('X10 deleting a user ends the sessions of that user', async () => {
  const end = ending(await session('cat'));
  expect((await cluster.tctl('users', 'rm', 'cat')).status).toBe(0);
  expect((await end).text).toBe('terminating connection: user "cat" was deleted');
});

test('X10 resetting a user ends the sessions of that user', async () => {
  const client = await session('dan');
  const end = ending(client);
  expect((await cluster.tctl('users', 'reset', 'dan')).status).toBe(0);
  expect((await end).text).toContain('the password or the second factor of this user was reset');
  expect((await cluster.tsh('dan', 'db', 'ls')).status).not.toBe(0);
});

test('X2 a lock on a login is about the user in the database', async () => {
  await unlock();
  const end = ending(await session('ben'));
  expect((await cluster.tctl('lock', '--login=analyst', '--force')).status).toBe(0);
  expect((await end).text).toContain('lock targeting Login:"analyst" is in force');
});

test('X2 tctl rm of a host deletes what it offers and takes its trust back', async () => {
  await unlock();
  const { stdout } = await cluster.tctl('get', 'db_servers', '--format=json');
  const hostId = (JSON.parse(stdout) as { spec: { host_id: string } }[])[0]!.spec.host_id;
  const end = ending(await session('ben'));
  const removed = await cluster.tctl('rm', `db_server/${hostId}`);
  expect(removed).toMatchObject({ status: 0, stderr: '' });
  expect(removed.stdout).toContain('database server "orders" on agent has been deleted');
  expect((await end).text).toBe(
    `terminating connection: lock targeting ServerID:"${hostId}" is in force: The host was removed.`,
  );
  expect((await cluster.tctl('get', 'db_servers', '--format=json')).stdout).not.toContain(hostId);
});
