/** Services that go and come back: an agent apart from Auth and Proxy, and a cluster that starts again. */
import { createLogger } from '../../src/log.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { type AuditRecord, roleResource, startTestCluster, type TestCluster, type Tunnel } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
let agent: RunningTeleport;
let tunnel: Tunnel;
let agentLog = '';

beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    agent: false,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  const { stdout: token } = await cluster.tctl('tokens', 'add', '--type=db', '--format=text');
  agent = await startAgent(token.trim());
});
afterAll(async () => {
  await agent?.close({ drainMs: 0 });
  await cluster?.stop();
});

async function startAgent(token?: string): Promise<RunningTeleport> {
  const { file, raw } = readConfigFile(await writeAgentConfig(cluster, token));
  const log = createLogger({ component: 'PROC', level: 'debug', write: (line) => (agentLog += line) });
  // An agent trusts the Proxy's certificate as every program of its host does.
  const vars = { SSL_CERT_FILE: cluster.webCaFile };
  return await startTeleport(teleportConfig({ diagAddr: '127.0.0.1:0' }, file, raw), { log, vars });
}

/** One row through the tunnel, as soon as there is a way. */
const row = (text: string) =>
  until('a query runs', async () => {
    const client = await tunnel.connect().catch(() => undefined);
    const result = await client?.query(text).catch(() => undefined);
    await client?.end();
    return result?.rows[0];
  });

test('an agent joins with a token through the Proxy and serves its databases', async () => {
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders']);
  tunnel = await cluster.tunnel('alice', 'orders');
  expect(await row('select 1 as one')).toEqual({ one: 1 });
});

test('after Auth and Proxy were started again the agent is back, logins and data are as before', async () => {
  const before = agentLog.length;
  await cluster.restart();
  expect(await row('select 2 as two')).toEqual({ two: 2 });
  expect(agentLog.slice(before)).not.toMatch(/ ERRO/);
  expect((await cluster.tsh('alice', 'status')).status).toBe(0);
  expect((await cluster.tctl('users', 'ls')).stdout).toMatch(/^alice +analyst/m);
  await cluster.login('second-home', 'alice');
});

test('/readyz of an agent is 503 while Auth is away, and 200 again after it', async () => {
  const { host, port } = agent.diag!;
  const readyz = async () => {
    const answer = await fetch(`http://${host}:${port}/readyz`);
    return `${answer.status} ${((await answer.json()) as { status: string }).status}`;
  };
  const until200 = () => until('it is ready', async () => ((await readyz()) === '200 ok' ? true : undefined));
  await until200();
  await cluster.teleport.close({ drainMs: 0 });
  const said = await until('it is not ready', async () => {
    const now = await readyz();
    return now.startsWith('200') ? undefined : now;
  });
  expect(said).toBe('503 teleport hears nothing from the Auth Service');
  await cluster.restart();
  await until200();
});

test('an agent that has joined starts again without a token', async () => {
  await agent.close({ drainMs: 0 });
  agent = await startAgent();
  expect(await row('select 3 as three')).toEqual({ three: 3 });
});

test('what an agent recorded while Auth was away reaches the audit log, once', async () => {
  const client = await tunnel.connect();
  await client.query('select 4 as four');
  // With the Proxy the session ends, and its end is recorded where nobody takes it yet.
  await cluster.teleport.close({ drainMs: 0 });
  await cluster.restart();
  const events = await cluster.auditEvents((all) => sessionOf(all).includes('db.session.end'));
  const names = ['db.session.start', 'db.session.query', 'db.session.result', 'db.session.end'];
  expect(sessionOf(events)).toEqual(names);
  expect(new Set(events.map(({ uid }) => uid)).size).toBe(events.length);
  await client.end().catch(() => {});
});

function sessionOf(events: AuditRecord[]): string[] {
  const sid = events.find(({ db_query }) => db_query === 'select 4 as four')?.sid;
  return sid === undefined ? [] : events.filter((one) => one.sid === sid).map(({ event }) => event);
}
