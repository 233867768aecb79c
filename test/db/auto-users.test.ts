/**
 * Automatic users on a real PostgreSQL server, by an administrator who has just the rights that are needed, over one agent or two.
 * Tests: src/db/admin-refusal.ts, src/db/user-change.ts, src/db/user-dialect.ts, src/db/user-postgres.ts
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { HeldNames } from '../../src/auth/held-names.js';
import { admitUser } from '../../src/db/user-change.js';
import { POSTGRES_USERS } from '../../src/db/user-postgres.js';
import { isTeleportError } from '../../src/errors.js';
import { connectSession, type PgSession } from '../../src/pg/session.js';
import type { Database } from '../../src/resources/types.js';
import { ADMIN, accountOf, DISABLED, DROP, enabled, KEEP, OURS, removeAccount } from '../support/account.js';
import { createTestCa } from '../support/ca.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { type Relay, startRelay } from '../support/relay.js';
import { until } from '../support/until.js';
import { role, startTestAgent, type TestAgent, USER } from './agent.js';
import { dieAtEveryPiece, MODES } from './dying-agent.js';

let names: HeldNames;
let start: () => Promise<TestAgent>;
let databaseOf: (name: string, spec?: object, labels?: Record<string, string>) => Database;
let server: Postgres;
let relay: Relay;
let agent: TestAgent;
/** Another one, of the same server. */
let other: TestAgent;

beforeAll(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  server = await startPostgres({
    tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
    users: [{ name: ADMIN, createRole: true }, { name: 'dave' }],
    databases: ['dev', 'second', 'closed'],
    hba: ['hostssl all rejected all reject', 'hostssl all asked all scram-sha-256', 'hostssl all all all cert'],
  });
  await server.query('CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE owner');
  await server.query(`GRANT reader, writer TO "${ADMIN}" WITH ADMIN OPTION`);
  await server.query('GRANT CREATE ON SCHEMA public TO writer', { database: 'dev' });
  relay = await startRelay(server.port);
  databaseOf = (name, spec = {}, labels = {}) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels },
    spec: { protocol: 'postgres', uri: `localhost:${server.port}`, admin_user: { name: ADMIN }, ...spec },
  });
  start = () =>
    startTestAgent({
      databases: [
        databaseOf('pg'),
        databaseOf('labelled', { admin_user: undefined }, { 'teleport.dev/db-admin': ADMIN }),
        databaseOf('elsewhere', { admin_user: { name: ADMIN, default_database: 'second' } }),
        databaseOf('far', { uri: `localhost:${relay.port}` }),
        databaseOf('no-admin', { admin_user: undefined }),
        databaseOf('locked-admin', { admin_user: { name: 'locked', default_database: 'closed' } }),
        databaseOf('asked-admin', { admin_user: { name: 'asked' } }),
        databaseOf('rejected-admin', { admin_user: { name: 'rejected' } }),
        databaseOf('lost-admin', { admin_user: { name: ADMIN, default_database: 'nosuch' } }),
        databaseOf('weak-admin', { admin_user: { name: 'dave' } }),
      ],
      dbClientCa,
      databaseCas: [dbCa.certPem],
      names,
    });
});

afterAll(async () => {
  await Promise.all([agent?.stop(), other?.stop()]);
  await relay?.stop();
  await server?.stop();
});

beforeEach(async () => {
  // Anew, so that one test leaves nothing to another.
  await Promise.all([agent?.stop(), other?.stop()]);
  names = new HeldNames();
  [agent, other] = await Promise.all([start(), start()]);
  for (const name of [USER, 'bob', OURS, `${OURS}-drop`]) await remove(name);
  await server.query(`ALTER ROLE "${ADMIN}" PASSWORD NULL VALID UNTIL 'infinity'; ALTER ROLE "${ADMIN}" RESET search_path;
    REVOKE pg_signal_backend FROM "${ADMIN}"`);
  for (const one of [agent, other]) {
    one.roles = [keeping(['reader', 'writer'])];
    await one.as({ serviceName: 'pg' });
  }
  Object.assign(relay, { isDown: false, breakAt: undefined });
});

const keeping = (dbRoles: string[], options = KEEP) => role({ db_roles: dbRoles, db_users: [] }, options);

const remove = (name: string) => removeAccount(server, name);
const account = (name = USER) => accountOf(server, name);

const ENABLED = enabled('reader', 'writer');

const enter = (user = USER, by = agent): Promise<PgSession> => by.session({ user, database: 'dev' });

async function leave(session: PgSession, by = agent): Promise<void> {
  session.close();
  await by.idle();
}

/** The words and the hint of a refusal. */
async function refusal(user = USER, by = agent): Promise<{ message: string; hint: string }> {
  const session = await enter(user, by).catch((error: unknown) => error);
  if (!isTeleportError(session)) throw session instanceof Error ? session : new Error('was let in');
  await by.idle();
  return { message: session.message, hint: session.hint ?? '' };
}

const FAILED =
  'your Teleport role requires automatic database user provisioning but an attempt to activate database user "alice" failed due to the following error: ';

const isActive = async (): Promise<boolean> =>
  (await server.query('SELECT 1 FROM pg_stat_activity WHERE usename = $1', { values: [USER] })).length > 0;

const startsOf = (by: TestAgent) => by.names().filter((name) => name === 'db.session.start').length;

/** A direct connection of a user, past every agent. */
async function direct(user: string): Promise<pg.Client> {
  const client = new pg.Client({ host: server.socketDir, port: server.port, user, database: 'dev' });
  client.on('error', () => {});
  await client.connect();
  return client;
}

describe('a session', () => {
  test('makes the user with its database roles, and disables it when it ends', async () => {
    const session = await enter();
    expect((await session.query('select current_user, session_user'))[0]!.rows).toEqual([[USER, USER]]);
    expect(await account()).toEqual(ENABLED);
    await leave(session);
    expect(await account()).toEqual(DISABLED);
    expect(agent.events.map(({ event, code }) => [event, code])).toEqual([
      ['db.session.start', 'TDB00I'],
      ['db.session.user.create', 'TDB08I'],
      ['db.session.query', 'TDB02I'],
      ['db.session.result', 'TDB10I'],
      ['db.session.end', 'TDB01I'],
      ['db.session.user.deactivate', 'TDB09I'],
    ]);
    const [, created, query] = agent.events;
    expect(created).toMatchObject({ username: USER, roles: ['reader', 'writer'], success: true, ei: 1 });
    expect(agent.events.at(-1)).toMatchObject({ username: USER, delete: false, success: true, ei: 5 });
    expect(query).toMatchObject({ db_user: USER, db_roles: ['reader', 'writer'] });
    // Nothing that the administrator said.
    expect(agent.lines.filter((line) => /GRANT|REVOKE|ALTER ROLE|CREATE ROLE/.test(line))).toEqual([]);
  });

  test.each(['labelled', 'elsewhere'])('finds its administrator: %s', async (serviceName) => {
    await agent.as({ serviceName });
    const session = await enter();
    expect(await account()).toEqual(ENABLED);
    await leave(session);
    expect(await account()).toEqual(DISABLED);
  });

  test('takes the roles that were asked for, and is refused others', async () => {
    await agent.as({ serviceName: 'pg', roles: ['reader'] });
    const session = await enter();
    expect(await account()).toEqual({ isOpen: true, roles: ['reader', OURS] });
    await leave(session);
    await agent.as({ serviceName: 'pg', roles: ['reader', 'owner'] });
    expect((await refusal()).message).toBe('access to database role "owner" denied');
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB00W' });
    expect(await account()).toEqual(DISABLED);
  });

  test('is for the own name only', async () => {
    expect((await refusal('dave')).message).toBe(
      'please use your Teleport username ("alice") to connect instead of "dave"',
    );
    expect(await account()).toBeUndefined();
  });

  test('without an administrator is refused before the server hears of it', async () => {
    await agent.as({ serviceName: 'no-admin' });
    const { message, hint } = await refusal();
    expect(message).toBe(
      "your Teleport role requires automatic database user provisioning but this database doesn't have admin user configured, contact your Teleport administrator",
    );
    expect(hint).toMatch(/admin_user/);
    expect(agent.events.map(({ code }) => code)).toEqual(['TDB00W']);
  });

  test('drops the user where the mode says so, and disables it where something depends on it', async () => {
    agent.roles = [keeping(['reader', 'writer'], DROP)];
    await leave(await enter());
    expect(await account()).toBeUndefined();
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09I', delete: true });
    const session = await enter();
    await session.query('create table of_alice (x int)');
    await leave(session);
    expect(await account()).toEqual(DISABLED);
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09I', delete: false });
  });

  test('comes in again and again, also under a name with dots, quotes and letters of any script', async () => {
    for (const username of ['alice.smith@example.com', `o"brien's \\ name`, 'Ünïcödé 名前', 'x'.repeat(63)]) {
      await agent.as({ serviceName: 'pg' }, { username });
      for (const _ of ['first', 'second']) {
        const session = await enter(username);
        expect((await session.query('select current_user'))[0]!.rows).toEqual([[username]]);
        expect(await account(username)).toEqual(ENABLED);
        await leave(session);
        expect(await account(username)).toEqual(DISABLED);
      }
      await remove(username);
    }
  });

  test('L12 of a name that cannot be a user is refused with the rule and the name, and nothing is made', async () => {
    for (const username of ['x'.repeat(64), 'ü'.repeat(32), 'public', 'pg_alice']) {
      await agent.as({ serviceName: 'pg' }, { username });
      const { message } = await refusal(username);
      expect(message).toContain(`${JSON.stringify(username)} cannot be the name of a user of PostgreSQL: `);
    }
    expect(await server.query(`SELECT 1 FROM pg_roles WHERE rolname = '${OURS}'`)).toEqual([]);
  });
});

describe('is refused, and nothing is changed:', () => {
  test('a user that somebody else made', async () => {
    await server.query('CREATE ROLE alice LOGIN');
    const { message } = await refusal();
    expect(message).toBe(
      `${FAILED}user "alice" already exists in this PostgreSQL database and is not managed by Teleport`,
    );
    expect(await account()).toEqual({ isOpen: true, roles: [] });
    expect(agent.events.map(({ code }) => code)).toEqual(['TDB00I', 'TDB08W', 'TDB00W', 'TDB01I']);
  });

  test('the administrator, who makes the bookkeeping role and so is a member of it', async () => {
    await leave(await enter());
    await agent.as({ serviceName: 'pg' }, { username: ADMIN });
    expect((await refusal(ADMIN)).message).toContain('is not managed by Teleport');
    expect(await account(ADMIN)).toMatchObject({ isOpen: true });
  });

  test('roles that are not there, all named at once', async () => {
    agent.roles = [keeping(['reader', 'nosuch', 'nor this'])];
    expect((await refusal()).message).toBe(`${FAILED}roles "nor this", "nosuch" do not exist`);
    expect(await account()).toBeUndefined();
  });

  test('an administrator without rights; the words that give them are in the hint', async () => {
    agent.roles = [keeping(['reader', 'owner'])];
    expect((await refusal()).hint).toBe(
      `Run in the database, as somebody who may: GRANT "owner" TO "${ADMIN}" WITH ADMIN OPTION;`,
    );
    expect(await account()).toBeUndefined();
    await agent.as({ serviceName: 'weak-admin' });
    expect(await refusal()).toEqual({
      message: `${FAILED}the administrator of the database may not do this`,
      hint: 'Run in the database, as somebody who may: ALTER ROLE "dave" CREATEROLE; GRANT "owner" TO "dave" WITH ADMIN OPTION; GRANT "reader" TO "dave" WITH ADMIN OPTION;',
    });
  });

  test.each([
    ['is not there', '', 'role "locked" does not exist', 'CREATE ROLE "locked" LOGIN CREATEROLE'],
    ['is locked', 'CREATE ROLE locked', 'role "locked" is not permitted to log in', 'ALTER ROLE "locked" LOGIN'],
    [
      'may have no connection',
      'CREATE ROLE locked LOGIN CONNECTION LIMIT 0',
      'too many connections for role "locked"',
      'ALTER ROLE "locked" CONNECTION LIMIT -1',
    ],
    [
      'may not enter its database',
      'CREATE ROLE locked LOGIN; REVOKE CONNECT ON DATABASE closed FROM PUBLIC',
      'permission denied for database "closed"',
      'GRANT CONNECT ON DATABASE "closed" TO "locked"',
    ],
  ])('an administrator that %s; the command that is named mends it', async (_what, setUp, words, command) => {
    await remove('locked');
    await server.query(`GRANT CONNECT ON DATABASE closed TO PUBLIC; ${setUp}`);
    await agent.as({ serviceName: 'locked-admin' });
    expect(await refusal()).toEqual({
      message: `${FAILED}the administrator "locked" is not let in to "closed": ${words}`,
      hint: expect.stringContaining(`Run in the database, as a superuser: ${command};`),
    });
    await server.query(command);
    expect((await refusal()).message).not.toContain('is not let in');
  });

  test('an administrator whose password has expired comes in by certificate all the same', async () => {
    await server.query(`ALTER ROLE "${ADMIN}" PASSWORD 'x' VALID UNTIL '2020-01-01'`);
    await leave(await enter());
    expect(await account()).toEqual(DISABLED);
  });

  test.each([
    ['asked', 'asks for a password', /before the line that asks for a password: hostssl "dev" "asked" all cert/],
    ['rejected', 'pg_hba.conf rejects connection', /before lines that refuse it: hostssl "dev" "rejected" all cert/],
  ])('an administrator that pg_hba.conf does not let in by certificate: %s', async (name, words, line) => {
    await server.query(`CREATE ROLE ${name} LOGIN`);
    await agent.as({ serviceName: `${name}-admin` });
    const { message, hint } = await refusal();
    expect(message).toContain(words);
    expect(hint).toMatch(line);
  });

  test('an administrator whose database is gone', async () => {
    await agent.as({ serviceName: 'lost-admin' });
    expect(await refusal()).toEqual({
      message: `${FAILED}the administrator "${ADMIN}" is not let in to "nosuch": database "nosuch" does not exist`,
      hint: expect.stringContaining('admin_user.default_database'),
    });
  });
});

describe('with several sessions', () => {
  test('of one user, the first that ends takes nothing away', async () => {
    const [one, two] = await Promise.all([enter(), enter()]);
    await leave(one!, { ...agent, idle: async () => {} });
    await until('the session ends', () => agent.names().includes('db.session.end') || undefined);
    expect(await account()).toEqual(ENABLED);
    await two!.query('select 1');
    await leave(two!);
    expect(await account()).toEqual(DISABLED);
    expect(agent.names().filter((name) => name === 'db.session.user.deactivate')).toHaveLength(1);
  });

  test('over two agents, the last that ends takes the rights away, in whatever database', async () => {
    await other.as({ serviceName: 'elsewhere' });
    const one = await enter();
    const two = await other.session({ user: USER, database: 'second' });
    await leave(one);
    expect(await account()).toEqual(ENABLED);
    expect(agent.names()).not.toContain('db.session.user.deactivate');
    await leave(two, other);
    expect(await account()).toEqual(DISABLED);
  });

  test('two users at once do not get in each other’s way', async () => {
    await other.as({ serviceName: 'pg' }, { username: 'bob' });
    const sessions = await Promise.all(Array.from({ length: 5 }, () => [enter(), enter('bob', other)] as const).flat());
    expect([await account(), await account('bob')]).toEqual([ENABLED, ENABLED]);
    for (const session of sessions) session.close();
    await Promise.all([agent.idle(), other.idle()]);
    expect([await account(), await account('bob')]).toEqual([DISABLED, DISABLED]);
  });

  test('R-D-2 who waits for users that another agent holds keeps nobody else from the server', async () => {
    const take = (user: string) => names.take(JSON.stringify([`localhost:${server.port}`, user]), never, 'mallory');
    const never = new AbortController().signal;
    const people = Array.from({ length: 8 }, (_, at) => `waiting${at}`);
    const held = await Promise.all(people.map(take));
    const admin = { name: ADMIN, database: 'dev' };
    const stays = people.map((name) => {
      const user = { name, owner: name, mode: 'keep' as const, roles: ['reader'], admin };
      const stay = agent.context.autoUsers.begin(databaseOf('pg'), user);
      const entering = stay.enter({ onAdmitted() {}, connect: async () => name, close() {} });
      return { stay, entering };
    });
    const session = await enter();
    expect(await account()).toEqual(ENABLED);
    await leave(session);
    expect(await account()).toEqual(DISABLED);
    for (const one of held) one[Symbol.dispose]();
    expect(await Promise.all(stays.map(({ entering }) => entering))).toEqual(people);
    await Promise.all(stays.map(({ stay }) => stay.leave(undefined, () => {})));
    for (const name of people) await remove(name);
  });

  test('roles that changed meanwhile are refused until the sessions have ended', async () => {
    const session = await enter();
    agent.roles = [keeping(['reader'])];
    expect((await refusal2()).message).toBe(
      `${FAILED}roles for user "alice" has changed. Please quit all active connections and try again.`,
    );
    expect(await account()).toEqual(ENABLED);
    await leave(session);
    const again = await enter();
    expect(await account()).toEqual({ isOpen: true, roles: ['reader', OURS] });
    await leave(again);
  });

  test('somebody who leaves with other roles keeps nobody out whom the server still sees a moment later', async () => {
    await leave(await enter());
    await server.query(`SET ROLE "${ADMIN}"; ALTER ROLE alice LOGIN`);
    const leaving = await direct(USER);
    const session = await connectSession(connect({ path: join(server.socketDir, `.s.PGSQL.${server.port}`) }), {
      user: ADMIN,
      database: 'dev',
    });
    const said: string[] = [];
    const slow: PgSession = {
      ...session,
      async query(...statement) {
        said.push(statement[0]);
        if (statement[0] === 'ROLLBACK') {
          await leaving.end();
          await until('the server sees the end', async () => ((await isActive()) ? undefined : true));
        }
        return await session.query(...statement);
      },
    };
    const admitting = admitUser(slow, POSTGRES_USERS, { user: USER, roles: ['writer'], mode: 'keep' });
    await admitting.finally(() => session.close());
    expect(said).toContain('ROLLBACK');
    expect(await account()).toEqual({ isOpen: true, roles: [OURS, 'writer'] });
  });

  test('somebody whose end is not recorded yet, while another agent takes the rights away, keeps nobody out', async () => {
    const one = await enter();
    let record = () => {};
    const recorded = new Promise<void>((resolve) => (record = resolve));
    agent.spool.append = () => recorded;
    one.close();
    await until('the session ends', () => agent.names().includes('db.session.end') || undefined);
    agent.spool.append = async () => {};
    await until('the server sees the end', async () => ((await isActive()) ? undefined : true));
    await other.context.autoUsers.sweep(databaseOf('pg'), () => {});
    expect(await account()).toEqual(DISABLED);
    const two = await enter().finally(record);
    expect(await account()).toEqual(ENABLED);
    await leave(two);
    expect(await account()).toEqual(DISABLED);
  });

  /** As `refusal`, while another session goes on. */
  async function refusal2(): Promise<Error> {
    const session = await enter().catch((error: unknown) => error);
    if (!isTeleportError(session)) throw new Error('was let in');
    return session;
  }
});

describe('nobody keeps rights after the session', () => {
  test('who leaves a statement behind: it is cancelled', async () => {
    const session = await enter();
    session.query('select pg_sleep(3600)').catch(() => {});
    await until('the statement runs', async () => {
      return (
        await server.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'select pg_sleep%' AND state = 'active'")
      )[0];
    });
    (session.duplex as Socket).resetAndDestroy();
    await agent.idle();
    expect(await account()).toEqual(DISABLED);
  });

  const stubborn = `do $$ begin loop begin perform pg_sleep(1); exception when query_canceled then null; end; end loop; end $$`;

  /** A statement that catches the cancel, without its client. */
  async function leaveStubborn(): Promise<number> {
    const session = await enter();
    const { pid } = session.backendKey!;
    session.query(stubborn).catch(() => {});
    await until('the statement runs', async () => {
      const values = [String(pid)];
      return (await server.query("SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND query LIKE 'do %'", { values }))[0];
    });
    (session.duplex as Socket).resetAndDestroy();
    await agent.idle();
    return pid;
  }

  test('R-D-3 who leaves a statement behind that catches the cancel: the administrator ends the session', async () => {
    await server.query(`GRANT pg_signal_backend TO "${ADMIN}"`);
    await leaveStubborn();
    expect(await account()).toEqual(DISABLED);
    expect(await isActive()).toBe(false);
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09I', success: true });
  });

  test('R-D-3 where the administrator may not end the session it is recorded, and tried again', async () => {
    const pid = await leaveStubborn();
    expect(await account()).toEqual(ENABLED);
    expect(agent.events.at(-1)).toMatchObject({
      code: 'TDB09W',
      success: false,
      error: expect.stringMatching(
        new RegExp(`^rights not taken away: a session still runs \\(process ${pid}\\): .*terminate`),
      ),
    });
    await server.query(`GRANT pg_signal_backend TO "${ADMIN}"`);
    await until('the rights are gone', async () => ((await account())!.isOpen ? undefined : true));
    await until('it is recorded', () => agent.events.at(-1)!.code === 'TDB09I' || undefined);
  });

  test('who comes in by another door, and by a password of their own, as soon as they have gone', async () => {
    const session = await enter();
    await session.query("alter role alice password 'x'");
    const outside = await direct(USER);
    await leave(session);
    expect(await account()).toEqual(ENABLED);
    await outside.end();
    await until('the rights are gone', async () => ((await account())!.isOpen ? undefined : true));
    expect(await account()).toEqual(DISABLED);
    expect(await server.query("SELECT 1 FROM pg_authid WHERE rolname = 'alice' AND rolpassword IS NOT NULL")).toEqual(
      [],
    );
  });

  test('R-B2 who leaves while another of theirs is on the way in and refused then', async () => {
    const session = await enter();
    const held = await names.take(JSON.stringify([`localhost:${server.port}`, USER]), new AbortController().signal);
    agent.roles = [keeping(['reader', 'nosuch'])];
    const refused = enter().catch((error: unknown) => error);
    await until('the other is on the way', () => startsOf(agent) === 2 || undefined);
    session.close();
    await until('the first has ended', () => agent.names().includes('db.session.end') || undefined);
    held[Symbol.dispose]();
    expect(await refused).toMatchObject({ message: expect.stringContaining('"nosuch" does not exist') });
    await agent.idle();
    expect(await account()).toEqual(DISABLED);
    expect(agent.events.at(-1)).toMatchObject({ event: 'db.session.user.deactivate', code: 'TDB09I' });
  });

  test('R-B2 who stays by another door while another of theirs is refused', async () => {
    const session = await enter();
    await session.query("alter role alice password 'x'");
    const outside = await direct(USER);
    await leave(session);
    // This one waits for the end of the other's session, and is there while the agent looks again.
    agent.roles = [keeping(['reader'])];
    expect((await refusal()).message).toContain('roles for user "alice" has changed');
    await agent.idle();
    await outside.end();
    await until('the rights are gone', async () => ((await account())!.isOpen ? undefined : true));
    expect(await account()).toEqual(DISABLED);
    await until('it is recorded', () => agent.events.at(-1)!.code === 'TDB09I' || undefined);
  });

  test('R-B2 who leaves a statement behind while another session goes on: the last one cancels it', async () => {
    const [one, two] = [await enter(), await enter()];
    one.query('select pg_sleep(3600)').catch(() => {});
    await until('the statement runs', async () => {
      return (
        await server.query("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'select pg_sleep%' AND state = 'active'")
      )[0];
    });
    (one.duplex as Socket).resetAndDestroy();
    await until('the first has ended', () => agent.names().includes('db.session.end') || undefined);
    await leave(two);
    expect(await account()).toEqual(DISABLED);
  });

  test('R-B4 who was sent in beside another that has left since, and the user has other roles now', async () => {
    const session = await enter();
    const admin = { name: ADMIN, database: 'dev' };
    const user = { name: USER, owner: USER, mode: 'keep' as const, roles: ['reader', 'writer'], admin };
    const stay = agent.context.autoUsers.begin(databaseOf('pg'), user);
    const closed: string[] = [];
    let arrive: ((connection: string) => void) | undefined;
    const connect = () => new Promise<string>((resolve) => (arrive = resolve));
    const entering = stay.enter({ onAdmitted() {}, connect, close: (own) => closed.push(own) });
    entering.catch(() => {});
    await until('it makes its connection', () => arrive);
    await leave(session);
    other.roles = [keeping(['reader'])];
    const elsewhere = await enter(USER, other);
    arrive!('with the roles of the other');
    await expect(entering).rejects.toMatchObject({ code: 'CompareFailed' });
    expect(closed).toEqual(['with the roles of the other']);
    await leave(elsewhere, other);
    await stay.leave(undefined, () => {});
    expect(await account()).toEqual(DISABLED);
  });

  test('R-B3 whom Auth no longer held when the own connection was made: the server and Auth are asked again', async () => {
    const user = {
      name: USER,
      owner: USER,
      mode: 'keep' as const,
      roles: ['reader'],
      admin: { name: ADMIN, database: 'dev' },
    };
    const stay = agent.context.autoUsers.begin(databaseOf('pg'), user);
    const closed: string[] = [];
    const connect = async () => {
      agent.loseLocks();
      return 'own';
    };
    const entering = stay.enter({ onAdmitted() {}, connect, close: (own) => closed.push(own) });
    await expect(entering).rejects.toThrow('Auth has gone');
    expect(closed).toEqual(['own']);
    await stay.leave(undefined, () => {});
    expect(await account()).toEqual(DISABLED);
  });

  test('R-B2 who was left behind by another agent, while somebody is on the way in here and refused then', async () => {
    await server.query(
      `CREATE ROLE "${OURS}"; CREATE ROLE alice LOGIN IN ROLE "${OURS}"; GRANT "${OURS}" TO "${ADMIN}" WITH ADMIN OPTION`,
    );
    await server.query(`GRANT alice TO "${ADMIN}" WITH ADMIN OPTION`);
    const held = await names.take(JSON.stringify([`localhost:${server.port}`, USER]), new AbortController().signal);
    agent.roles = [keeping(['reader', 'nosuch'])];
    const refused = enter().catch((error: unknown) => error);
    await until('it is on the way', () => startsOf(agent) === 1 || undefined);
    await agent.context.autoUsers.sweep(databaseOf('pg'), () => {});
    held[Symbol.dispose]();
    expect(await refused).toMatchObject({ message: expect.stringContaining('"nosuch" does not exist') });
    await agent.idle();
    expect(await account()).toMatchObject({ isOpen: false });
  });

  test('R-B7 who has gone before the own connection is there: it is closed, and nobody counts it', async () => {
    const admin = { name: ADMIN, database: 'dev' };
    const user = { name: USER, owner: USER, mode: 'keep' as const, roles: ['reader'], admin };
    const stay = agent.context.autoUsers.begin(databaseOf('pg'), user);
    const closed: string[] = [];
    const ends: string[] = [];
    let arrive: ((connection: string) => void) | undefined;
    const connect = () => new Promise<string>((resolve) => (arrive = resolve));
    const entering = stay.enter({ onAdmitted() {}, connect, close: (late) => closed.push(late) });
    entering.catch(() => {});
    await until('it is let in', () => arrive);
    const left = stay.leave(undefined, ({ how }) => ends.push(how));
    arrive!('late');
    await expect(entering).rejects.toMatchObject({ code: 'ConnectionProblem' });
    await left;
    expect([closed, ends]).toEqual([['late'], ['disabled']]);
    // Were it counted, the next one would come in without an administrator.
    const session = await enter();
    await leave(session);
    expect(await account()).toEqual(DISABLED);
  });

  test('who was given more by somebody else meanwhile', async () => {
    const session = await enter();
    await server.query('GRANT owner TO alice');
    await leave(session);
    // The administrator may not take it away, and says so; nobody logs in meanwhile.
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09W', success: false });
    await server.query('REVOKE owner FROM alice');
    await until('the rights are gone', async () => ((await account())!.isOpen ? undefined : true));
  });

  test('who makes operators of the catalogue’s names where the administrator logs in', async () => {
    const session = await enter();
    await session.query(`create function public.lie(text, text) returns boolean language sql as 'select false';
      create operator public.= (leftarg = text, rightarg = text, function = public.lie)`);
    await server.query(`ALTER ROLE "${ADMIN}" SET search_path TO public, pg_catalog`);
    await leave(session);
    expect(await account()).toEqual(DISABLED);
  });

  test.each(MODES)(
    'when the agent dies, at whatever piece of the conversation: the next one %s the user',
    async (_how, mode) => {
      await dieAtEveryPiece({ start, other, relay, server, database: databaseOf('pg') }, mode);
    },
    120_000,
  );

  test('who was to be dropped and owns something is disabled by whoever finds them', async () => {
    agent.roles = [keeping(['reader'], DROP)];
    await leave(await enter());
    await server.query(`SET ROLE "${ADMIN}"; CREATE ROLE alice LOGIN IN ROLE "${OURS}", "${OURS}-drop", writer`);
    await server.query('CREATE TABLE of_alice (x int); ALTER TABLE of_alice OWNER TO alice', { database: 'dev' });
    const swept: unknown[] = [];
    await other.context.autoUsers.sweep(databaseOf('pg'), (...end) => swept.push(end));
    expect(swept).toEqual([[USER, { isDropped: false }]]);
    expect(await account()).toEqual(DISABLED);
  });

  test('a user that another agent is about to enter as is left alone by whoever looks for users left behind', async () => {
    await leave(await enter());
    await server.query('ALTER ROLE alice LOGIN');
    const entering = await names.take(JSON.stringify([`localhost:${server.port}`, USER]), new AbortController().signal);
    const swept: string[] = [];
    await other.context.autoUsers.sweep(databaseOf('pg'), (user) => swept.push(user));
    expect([swept, (await account())!.isOpen]).toEqual([[], true]);
    entering[Symbol.dispose]();
    await other.context.autoUsers.sweep(databaseOf('pg'), (user) => swept.push(user));
    expect([swept, await account()]).toEqual([[USER], DISABLED]);
  });

  test('when the database goes away in a session and comes back', async () => {
    await agent.as({ serviceName: 'far' });
    const session = await enter();
    relay.isDown = true;
    relay.cut();
    session.duplex.resume();
    await once(session.duplex, 'end');
    session.duplex.destroy();
    await agent.idle();
    expect(agent.events.at(-1)).toMatchObject({ code: 'TDB09W', success: false });
    relay.isDown = false;
    await until('the rights are gone', async () => ((await account())!.isOpen ? undefined : true));
    expect(await account()).toEqual(DISABLED);
    await until('it is recorded', () => agent.events.at(-1)!.code === 'TDB09I' || undefined);
  });
});
