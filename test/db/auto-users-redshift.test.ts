/**
 * Automatic users of a Redshift cluster, by statements that Amazon's documentation has, and the refusal on Serverless.
 * Tests: src/db/user-redshift.ts
 */
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HeldNames } from '../../src/auth/held-names.js';
import { isTeleportError } from '../../src/errors.js';
import type { PgSession } from '../../src/pg/session.js';
import type { Database } from '../../src/resources/types.js';
import { ADMIN, accountOf, DISABLED, DROP, enabled, KEEP, OURS, removeAccount } from '../support/account.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { createTestCa } from '../support/ca.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type RedshiftDouble, startRedshiftDouble } from '../support/redshift-double.js';
import { type Relay, startRelay } from '../support/relay.js';
import { until } from '../support/until.js';
import { role, startTestAgent, type TestAgent, USER } from './agent.js';
import { dieAtEveryPiece, MODES } from './dying-agent.js';

let aws: AwsDouble;
let server: Postgres;
let redshift: RedshiftDouble;
let relay: Relay;
let start: () => Promise<TestAgent>;
let databaseOf: (name: string, port: number, kind: object) => Database;
let agent: TestAgent;
let other: TestAgent;
const environment: Record<string, string | undefined> = {};

beforeAll(async () => {
  aws = await startAwsDouble();
  const statement = { Effect: 'Allow' as const, Action: ['redshift:GetClusterCredentials'], Resource: '*' };
  const principal = aws.addUser('agent', { policies: [{ Statement: [statement] }] });
  aws.addRedshiftCluster({ id: 'sales' });
  aws.addServerlessWorkgroup({ name: 'reports' });
  const ca = createTestCa('Amazon');
  server = await startPostgres({
    users: [{ name: ADMIN, superuser: true }],
    settings: { log_statement: 'all' },
  });
  await server.query('CREATE ROLE reader; CREATE ROLE writer');
  const tls = ca.issue('localhost');
  redshift = await startRedshiftDouble({
    aws,
    postgres: server,
    clusters: [
      { id: 'sales', tls, databases: ['dev', 'other'] },
      { workgroup: 'reports', tls },
    ],
  });
  relay = await startRelay(redshift.ports.sales!);
  for (const [name, value] of Object.entries(aws.env(principal))) {
    environment[name] = process.env[name];
    process.env[name] = value;
  }
  databaseOf = (name, port, kind) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: {} },
    spec: {
      protocol: 'postgres',
      uri: `localhost:${port}`,
      admin_user: { name: ADMIN },
      tls: { ca_cert: ca.certPem },
      aws: { region: aws.region, account_id: aws.accountId, ...kind },
    },
  });
  const cluster = { redshift: { cluster_id: 'sales' } };
  const names = new HeldNames();
  start = () =>
    startTestAgent({
      databases: [
        databaseOf('sales', redshift.ports.sales!, cluster),
        databaseOf('same-cluster', redshift.ports.sales!, cluster),
        databaseOf('far', relay.port, cluster),
        { ...databaseOf('reports', redshift.ports.reports!, { redshift_serverless: { workgroup_name: 'reports' } }) },
      ],
      names,
    });
});

afterAll(async () => {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await Promise.all([agent?.stop(), other?.stop()]);
  await relay?.stop();
  await redshift?.stop();
  await server?.stop();
  await aws?.stop();
});

beforeEach(async () => {
  await Promise.all([agent?.stop(), other?.stop()]);
  [agent, other] = await Promise.all([start(), start()]);
  for (const one of [agent, other]) {
    one.roles = [role({ db_roles: ['reader', 'writer'], db_users: [] }, KEEP)];
    await one.as({ serviceName: 'sales' });
  }
  for (const name of [USER, 'bob', OURS, `${OURS}-drop`]) await remove(name);
  redshift.refusals.length = 0;
  Object.assign(relay, { isDown: false, breakAt: undefined });
});

const remove = (name: string) => removeAccount(server, name);
const account = (name = USER) => accountOf(server, name);

const ENABLED = enabled('reader', 'writer');

const enter = (user = USER, by = agent, database = 'dev'): Promise<PgSession> => by.session({ user, database });

async function leave(session: PgSession, by = agent): Promise<void> {
  session.close();
  await by.idle();
}

async function refusal(user = USER): Promise<{ message: string; hint: string }> {
  const session = await enter(user).catch((error: unknown) => error);
  if (!isTeleportError(session)) throw new Error('was let in');
  await agent.idle();
  return { message: session.message, hint: session.hint ?? '' };
}

/** The statements that change users, as the server got them since a place in its log. */
const changesSince = (from: number): string[] =>
  [
    ...server
      .log()
      .slice(from)
      .matchAll(
        /(?:LOG: {2}statement: )?((?:CREATE|ALTER|DROP) (?:ROLE|USER)|GRANT|REVOKE|BEGIN|COMMIT|ROLLBACK)\b([^;\n]*)/g,
      ),
  ].map(([, verb, rest]) => `${verb}${rest}`);

describe('a session', () => {
  test('makes the user with its database roles in one transaction, and disables it when it ends', async () => {
    let from = server.log().length;
    const session = await enter();
    expect((await session.query('select current_user'))[0]!.rows).toEqual([[USER]]);
    expect(await account()).toEqual(ENABLED);
    expect(changesSince(from)).toEqual([
      'BEGIN',
      'ROLLBACK',
      `CREATE ROLE "${OURS}"`,
      'BEGIN',
      'CREATE USER "alice" PASSWORD NULL',
      `GRANT "${OURS}" TO "alice"`,
      'GRANT "reader" TO "alice"',
      'GRANT "writer" TO "alice"',
      'COMMIT',
    ]);
    from = server.log().length;
    await leave(session);
    expect(await account()).toEqual(DISABLED);
    expect(changesSince(from)).toEqual([
      'BEGIN',
      'ALTER USER "alice" CONNECTION LIMIT 0',
      'REVOKE "reader" FROM "alice"',
      'REVOKE "writer" FROM "alice"',
      'COMMIT',
    ]);
    expect(redshift.refusals).toEqual([]);
    expect(agent.events.map(({ code }) => code)).toEqual(['TDB00I', 'TDB08I', 'TDB02I', 'TDB10I', 'TDB01I', 'TDB09I']);
    // The door of the administrator is that of the sessions.
    expect(redshift.logins.slice(-3).map(({ parameters }) => parameters.user)).toEqual([
      `IAM:${ADMIN}`,
      'IAM:alice',
      `IAM:${ADMIN}`,
    ]);
  });

  test('comes in again, and drops the user where the mode says so and nothing depends on it', async () => {
    agent.roles = [role({ db_roles: ['reader'], db_users: [] }, DROP)];
    await leave(await enter());
    expect(await account()).toBeUndefined();
    expect(agent.events.at(-1)).toMatchObject({ event: 'db.session.user.deactivate', code: 'TDB09I', delete: true });
    const session = await enter();
    await session.query('create table of_alice (x int)');
    await leave(session);
    expect(await account()).toEqual(DISABLED);
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09I', delete: false });
    await leave(await enter());
    expect(await account()).toEqual(DISABLED);
    expect(redshift.refusals).toEqual([]);
  });

  test('is a session of the cluster, whichever database and resource it came by', async () => {
    const one = await enter();
    await other.as({ serviceName: 'same-cluster' });
    const two = await enter(USER, other, 'other');
    await leave(one);
    expect(await account()).toEqual(ENABLED);
    expect(agent.names()).not.toContain('db.session.user.deactivate');
    await leave(two, other);
    expect(await account()).toEqual(DISABLED);
  });

  test('of somebody else at the same time is not in the way, nor is one that ends', async () => {
    await other.as({ serviceName: 'same-cluster' }, { username: 'bob' });
    const sessions = await Promise.all(Array.from({ length: 4 }, () => [enter(), enter('bob', other)]).flat());
    expect([await account(), await account('bob')]).toEqual([ENABLED, ENABLED]);
    const [first, ...rest] = sessions;
    first!.close();
    await until('one has gone', () => agent.names().includes('db.session.end') || undefined);
    expect([await account(), await account('bob')]).toEqual([ENABLED, ENABLED]);
    for (const session of rest) session.close();
    await Promise.all([agent.idle(), other.idle()]);
    expect([await account(), await account('bob')]).toEqual([DISABLED, DISABLED]);
    expect(redshift.refusals).toEqual([]);
  });

  test('has a name in small letters, and one with dots works the second time too', async () => {
    for (const username of ['Alice', 'alice.b-c@example.com']) {
      await agent.as({ serviceName: 'sales' }, { username });
      const name = username.toLowerCase();
      for (const _ of ['first', 'second']) {
        const session = await enter(username);
        expect((await session.query('select current_user'))[0]!.rows).toEqual([[name]]);
        await leave(session);
        expect(await account(name)).toEqual(DISABLED);
      }
      await remove(name);
    }
  });
});

describe('is refused, and nothing is made:', () => {
  test('what cannot be a user, with the rule and the name', async () => {
    for (const username of ['1alice', 'user', 'al ice', 'x'.repeat(65)]) {
      await agent.as({ serviceName: 'sales' }, { username });
      expect((await refusal(username)).message).toContain(`${JSON.stringify(username)} cannot be the name of a user`);
    }
    expect(await account(OURS)).toBeUndefined();
  });

  test('people who would be one user', async () => {
    agent.sameNames = ['Alice', 'alice'];
    expect((await refusal()).message).toContain('"Alice", "alice" would be one user of Redshift');
    expect(await account()).toBeUndefined();
  });

  test('R-B4 people who would be one user, also while one of them is in', async () => {
    const session = await enter();
    agent.sameNames = ['Alice', USER];
    await agent.as({ serviceName: 'sales' }, { username: 'Alice' });
    const refused = await enter('Alice').catch((error: unknown) => error);
    expect(refused).toMatchObject({
      message: expect.stringContaining('"Alice", "alice" would be one user of Redshift'),
    });
    await leave(session);
    expect(await account()).toEqual(DISABLED);
  });

  test('R-B4 whoever would be one with a user that is there instead of them', async () => {
    // The cluster knows Alice only: alice was removed after the session had begun.
    agent.sameNames = ['Alice'];
    expect((await refusal()).message).toContain('"Alice", "alice" would be one user of Redshift');
    expect(await account()).toBeUndefined();
  });

  test('a user that somebody else made, roles that are not there, other roles while in a session', async () => {
    await server.query('CREATE ROLE alice LOGIN');
    expect((await refusal()).message).toContain('is not managed by Teleport');
    await server.query('DROP ROLE alice');
    agent.roles = [role({ db_roles: ['reader', 'nosuch', 'nor this'], db_users: [] }, KEEP)];
    expect((await refusal()).message).toContain('roles "nor this", "nosuch" do not exist');
    expect(await account()).toBeUndefined();
    other.roles = [role({ db_roles: ['reader'], db_users: [] }, KEEP)];
    const session = await enter(USER, other);
    agent.roles = [role({ db_roles: ['writer'], db_users: [] }, KEEP)];
    expect((await refusal()).message).toContain('roles for user "alice" has changed');
    await leave(session, other);
    expect(await account()).toEqual(DISABLED);
  });

  test.each([
    [
      '28000',
      `password authentication failed for user "IAM:${ADMIN}"`,
      `ALTER USER "${ADMIN}" CONNECTION LIMIT UNLIMITED VALID UNTIL 'infinity';`,
    ],
    [
      '28000',
      `user "IAM:${ADMIN}" does not exist`,
      `CREATE USER "${ADMIN}" WITH PASSWORD DISABLE; GRANT ROLE "sys:superuser" TO "${ADMIN}";`,
    ],
    ['53300', 'too many connections for user', `ALTER USER "${ADMIN}" CONNECTION LIMIT UNLIMITED;`],
    ['3D000', 'database "dev" does not exist', 'admin_user.default_database'],
  ])(
    'whose administrator is not let in, %s: with the command that mends it: %s',
    async (sqlState, message, command) => {
      redshift.failNext({ kind: 'error', sqlState, message });
      const said = await refusal();
      expect(said.message).toContain(`the administrator "${ADMIN}" is not let in to "dev": ${message}`);
      expect(said.hint).toContain(command);
      expect(await account(OURS)).toBeUndefined();
    },
  );

  test('everybody on Serverless, with the reason', async () => {
    await agent.as({ serviceName: 'reports' });
    const { message, hint } = await refusal();
    expect(message).toContain("this database doesn't support it, contact your Teleport administrator");
    expect(hint).toContain('automatic user provisioning is not compatible with Redshift Serverless');
    expect(redshift.logins.filter(({ cluster }) => cluster === 'reports')).toEqual([]);
  });
});

test.each(MODES)(
  'when the agent dies, at whatever piece of the conversation, the next one %s the user',
  async (_how, mode) => {
    const database = databaseOf('sales', redshift.ports.sales!, { redshift: { cluster_id: 'sales' } });
    await dieAtEveryPiece({ start, other, relay, server, database }, mode);
    expect(redshift.refusals).toEqual([]);
  },
);

test('R-D-3 the session of a statement that does not end when it is cancelled is ended by the administrator', async () => {
  await server.query(
    `create function public.stubborn() returns void language plpgsql as $$ begin loop begin perform pg_sleep(1);
       exception when query_canceled then null; end; end loop; end $$`,
    { database: 'dev' },
  );
  const session = await enter();
  session.query('select stubborn()').catch(() => {});
  const running = "SELECT 1 FROM pg_stat_activity WHERE query = 'select stubborn()'";
  await until('the statement runs', async () => (await server.query(running))[0]);
  (session.duplex as Socket).resetAndDestroy();
  await agent.idle();
  expect(await account()).toEqual(DISABLED);
  expect(await server.query(running)).toEqual([]);
  expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09I', success: true });
  expect(redshift.refusals).toEqual([]);
  await server.query('drop function public.stubborn()', { database: 'dev' });
});
