/**
 * An agent that is killed while it makes, serves or takes away an automatic user: nobody keeps rights for longer than until
 * the next start. Where the agent is, the database says: it waits there for a lock of ours.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { ADMIN, accountOf, DISABLED, DROP, enabled, KEEP, OURS } from '../support/account.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { roleResource, startTestCluster, type TestCluster, type Tunnel } from '../support/cluster.js';
import type { Postgres } from '../support/postgres.js';
import { type ProgramProcess, startProgram } from '../support/program-process.js';
import { until } from '../support/until.js';

const ENABLED = enabled('reader');

let cluster: TestCluster;
let server: Postgres;
let agentConfig: string;
let agent: ProgramProcess;
const tunnels: Record<string, Tunnel> = {};

beforeAll(async () => {
  const rolesOf = (name: string, mode: typeof KEEP) =>
    roleResource(name, { db_names: ['dev'], db_roles: ['reader'] }, mode);
  cluster = await startTestCluster({
    postgres: true,
    agent: false,
    roles: [rolesOf('keeping', KEEP), rolesOf('dropping', DROP)],
    users: [
      { name: 'alice', roles: ['keeping'] },
      { name: 'dora', roles: ['dropping'] },
    ],
  });
  server = cluster.databases!.postgres;
  await server.query(`CREATE ROLE "${ADMIN}" LOGIN CREATEROLE; GRANT reader TO "${ADMIN}" WITH ADMIN OPTION`);
  // Whoever logs in to it waits while somebody holds the lock: between the user and its session.
  await server.query(
    `CREATE FUNCTION wait_at_login() RETURNS event_trigger LANGUAGE plpgsql AS
       $$ BEGIN IF session_user IN ('alice', 'dora') THEN PERFORM pg_advisory_lock_shared(12); END IF; END $$;
     CREATE EVENT TRIGGER wait_at_login ON login EXECUTE FUNCTION wait_at_login()`,
    { database: 'dev' },
  );
  const [orders] = cluster.databases!.resources;
  const spec = { ...(orders!.spec as object), admin_user: { name: ADMIN } };
  const { status } = await cluster.tctlWith(JSON.stringify({ ...orders, spec }), 'create', '-f');
  expect(status).toBe(0);
  const token = await cluster.tctlOk('tokens', 'add', '--type=db', '--format=text');
  agentConfig = await writeAgentConfig(cluster, token.trim());
  agent = await startAgent();
  for (const name of ['alice', 'dora']) {
    await cluster.login(name, name);
    await cluster.untilListed(name, ['orders']);
    tunnels[name] = await cluster.tunnel(name, 'orders', { dbUser: name });
  }
});
afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await cluster?.stop();
});

async function startAgent(): Promise<ProgramProcess> {
  const started = startProgram('teleport', ['start', `--config=${agentConfig}`], {
    home: cluster.dir,
    vars: { SSL_CERT_FILE: cluster.webCaFile },
  });
  await started.untilSaid('Database Service is ready');
  return started;
}

const account = (name: string) => accountOf(server, name);

/** A session, as soon as there is a way to the agent. */
const enter = (name: string) =>
  until(`${name} comes in`, async () => await tunnels[name]!.connect().catch(() => undefined));

interface Held {
  /** What waits is let go on. */
  release(): Promise<void>;
}

/** @param sql  takes a lock in the database `dev`, in a transaction that stays open */
async function hold(sql: string): Promise<Held> {
  const { socketDir: host, port, superuser } = server;
  const client = new pg.Client({ host, port, user: superuser.user, database: 'dev' });
  await client.connect();
  await client.query(`BEGIN; ${sql}`);
  return { release: () => client.end() };
}

const sessionsOf = (name: string, where = '') =>
  server.query(`SELECT pid FROM pg_stat_activity WHERE usename = $1 ${where}`, { values: [name] });
const untilWaiting = (name: string) =>
  until(`${name} waits for a lock`, async () => (await sessionsOf(name, "AND wait_event_type = 'Lock'"))[0]);
const untilGone = (name: string) =>
  until(`${name} is not in the database`, async () => ((await sessionsOf(name)).length === 0 ? true : undefined));

/** Of the role `reader`, as GRANT and REVOKE take it; the user is made before, and locked before. */
const READER = 'GRANT reader TO analyst';
const CATALOGUE = 'LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE';
const LOGIN = 'SELECT pg_advisory_lock(12)';

const STAGES = [
  { at: 'in the look before anything is made', lock: CATALOGUE, of: ADMIN, left: undefined },
  { at: 'between make and grant, and the server notices', lock: READER, of: ADMIN, isNoticed: true, left: undefined },
  { at: 'between make and grant, and the server goes on', lock: READER, of: ADMIN, left: ENABLED },
  { at: 'between grant and session', lock: LOGIN, of: 'alice', left: ENABLED },
  { at: 'in a session', isIn: true, left: ENABLED },
  // It looks once more before it commits.
  { at: 'in teardown', isIn: true, lock: READER, of: ADMIN, left: ENABLED },
];

test.each(STAGES)('killed $at: the next start puts it right', async ({ lock, of, isIn, isNoticed, left }) => {
  await server.query('DROP ROLE IF EXISTS alice');
  const client = isIn ? await enter('alice') : undefined;
  const held = lock === undefined ? undefined : await hold(lock);
  // Its end is that of the agent.
  const entering = isIn ? client!.end() : tunnels.alice!.connect().catch(() => {});
  if (of !== undefined) await untilWaiting(of);
  agent.child.kill('SIGKILL');
  expect(await agent.ended).toBe('SIGKILL');
  if (isNoticed)
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', {
      values: [ADMIN],
    });
  await held?.release();
  await Promise.all([entering, untilGone(ADMIN), untilGone('alice')]);
  expect(await account('alice')).toEqual(left);

  agent = await startAgent();
  const right = left && DISABLED;
  await until('it is put right', async () => ((await account('alice'))?.isOpen ? undefined : true));
  expect(await account('alice')).toEqual(right);
  const again = await enter('alice');
  expect(await account('alice')).toEqual(ENABLED);
  await again.end();
  await until('the rights are gone', async () => ((await account('alice'))!.isOpen ? undefined : true));
  expect(await account('alice')).toEqual(DISABLED);
});

test('killed in the session of a user who is to be dropped: the next start drops it, and says so', async () => {
  await enter('dora');
  expect(await account('dora')).toEqual({ isOpen: true, roles: ['reader', OURS, `${OURS}-drop`] });
  agent.child.kill('SIGKILL');
  await agent.ended;
  await untilGone('dora');
  agent = await startAgent();
  await until('dora is dropped', async () => ((await account('dora')) === undefined ? true : undefined));
  const events = await cluster.auditEvents((all) => all.some(({ username, sid }) => username === 'dora' && !sid));
  expect(events.find(({ username, sid }) => username === 'dora' && !sid)).toMatchObject({
    code: 'TDB09I',
    delete: true,
    db_service: 'orders',
  });
});
