/**
 * One session after the other on a real PostgreSQL server that wants client certificates.
 * Tests: src/db/authorize.ts, src/db/engine.ts, src/db/session-audit.ts
 * Tests: src/db/statement-tap.ts
 */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { SessionAudit } from '../../src/db/session-audit.js';
import { StatementTap } from '../../src/db/statement-tap.js';
import { UserTurns } from '../../src/db/turns.js';
import { TeleportError } from '../../src/errors.js';
import { decodeBackend } from '../../src/pg/decode.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { isServerError } from '../../src/pg/server-error.js';
import { shutdownEnd } from '../../src/pg/sqlstate.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';
import { readMessage } from '../../src/pg/stream.js';
import type { RightHolder } from '../../src/rights/rights-watch.js';
import { createTestCa, type TestCa } from '../support/ca.js';
import { errorFields, type RawClient, rawClient, startupPacket } from '../support/pg-raw.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import { until } from '../support/until.js';
import { role, startTestAgent, type TestAgent, USER } from './agent.js';

let server: Postgres;
let agent: TestAgent;
let strangerCa: TestCa;
let clock: () => Date = () => new Date();

beforeAll(async () => {
  const [dbCa, dbClientCa] = [createTestCa('DB CA'), createTestCa('DB client CA')];
  strangerCa = createTestCa('Stranger');
  server = await startPostgres({
    tls: { ...dbCa.issue(['localhost']), ca: dbClientCa.certPem },
    users: [{ name: 'analyst' }, { name: 'reporting' }],
    databases: [{ name: 'dev', owner: 'analyst' }],
  });
  const plain = await startPlain();
  const database = (name: string, spec: object = {}) => ({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: { env: 'dev' } },
    spec: { protocol: 'postgres', uri: `localhost:${server.port}`, ...spec },
  });
  agent = await startTestAgent({
    databases: [
      database('pg'),
      database('wrong-ca', { tls: { ca_cert: strangerCa.certPem } }),
      database('wrong-name', { tls: { server_name: 'db.example.com' } }),
      database('verify-ca', { tls: { mode: 'verify-ca', server_name: 'db.example.com' } }),
      database('verify-ca-wrong', { tls: { mode: 'verify-ca', ca_cert: strangerCa.certPem } }),
      database('insecure', { tls: { mode: 'insecure', ca_cert: strangerCa.certPem } }),
      database('no-tls', { uri: `localhost:${plain}` }),
      database('gone', { uri: 'localhost:1' }),
    ],
    dbClientCa,
    databaseCas: [dbCa.certPem],
    now: () => clock(),
  });
});
let stopPlain = () => {};
async function startPlain(): Promise<number> {
  const { createServer } = await import('node:net');
  const plain = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end('N'));
  }).listen(0, '127.0.0.1');
  stopPlain = () => void plain.close();
  await once(plain, 'listening');
  return (plain.address() as { port: number }).port;
}
afterAll(async () => {
  await agent?.stop();
  await server?.stop();
  stopPlain();
});
beforeEach(async () => {
  await agent.idle();
  clock = () => new Date();
  agent.events.length = 0;
  agent.lines.length = 0;
  agent.roles = [role({})];
  agent.locks = [];
  agent.access = {};
  agent.spool.append = async () => {};
  await agent.as({ serviceName: 'pg' });
});

const LOGIN = { user: 'analyst', database: 'dev' };

async function pgClient(): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port: agent.port, ...LOGIN });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function refusal(login: { user: string; database?: string } = LOGIN): Promise<string> {
  const session = await agent.session(login).catch((error: unknown) => error as Error);
  if (session instanceof Error) return session.message;
  session.close();
  throw new Error('was let in');
}

/** Everything up to the end of the connection. */
async function rest(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('a session', () => {
  test('is in the database as the user of the StartupMessage, without a password', async () => {
    await agent.as({ serviceName: 'pg', username: 'somebody', database: 'else' });
    const session = await agent.session(LOGIN);
    const [result] = await session.query('select current_user, current_database()');
    expect(result?.rows).toEqual([['analyst', 'dev']]);
    session.close();
  });

  test('takes what the StartupMessage leaves out from the certificate', async () => {
    await agent.as({ serviceName: 'pg', username: 'analyst', database: 'dev' });
    const socket = await agent.socket();
    const parameters = new Map([['client_encoding', 'UTF8']]);
    socket.write(encodeFirst({ type: 'StartupMessage', protocolVersion: PROTOCOL_3_0, parameters }));
    const { tag, body } = await readMessage(socket);
    expect(decodeBackend(tag, body)).toEqual({ type: 'AuthenticationOk' });
    socket.end(encodeFrontend({ type: 'Terminate' }));
    await rest(socket);
  });

  test('passes startup parameters on, but neither application_name nor protocol options', async () => {
    const session = await agent.session({
      ...LOGIN,
      parameters: [
        ['application_name', 'psql of alice'],
        ['DateStyle', 'German'],
        ['options', '-c work_mem=5MB'],
        ['_pq_.some_option', 'on'],
      ],
    });
    expect(session.unrecognizedOptions).toEqual(['_pq_.some_option']);
    const shown = await session.query('show application_name; show datestyle; show work_mem');
    expect(shown.map(({ rows }) => rows[0]![0])).toEqual(['', 'German, DMY', '5MB']);
    session.close();
    await agent.idle();
    expect(agent.events[0]).toMatchObject({ event: 'db.session.start', user_agent: 'psql of alice' });
  });

  test('M3 begins with the record of its startup parameters, before anything goes to the database', async () => {
    let release = () => {};
    agent.spool.append = () => new Promise((resolve) => (release = resolve));
    const parameters: [string, string][] = [
      ['options', '-c role=reporting'],
      ['search_path', 'elsewhere'],
      ['client_encoding', 'UTF8'],
      ['application_name', 'psql'],
    ];
    const login = rawSession(0x3_0000, [...Object.entries(LOGIN), ...parameters]);
    await until('the start is written', () => agent.events.length > 0 || undefined);
    expect(agent.events).toEqual([
      expect.objectContaining({
        event: 'db.session.start',
        code: 'TDB00I',
        startup_parameters: Object.fromEntries(parameters.slice(0, 3)),
      }),
    ]);
    expect(await server.query("select 1 from pg_stat_activity where usename = 'analyst'")).toEqual([]);
    agent.spool.append = async () => {};
    release();
    // The database refuses that role, and what it says is recorded too.
    await expect(login).rejects.toThrow('permission denied to set role');
    await agent.idle();
    expect(agent.events.map(({ code }) => code)).toEqual(['TDB00I', 'TDB00W', 'TDB01I']);
    expect(agent.events[1]).toMatchObject({
      success: false,
      error: expect.stringContaining('permission denied to set role'),
      sid: agent.events[0]!.sid,
    });
  });

  test('names the process of the database in each record', async () => {
    const session = await agent.session(LOGIN);
    const { pid } = session.backendKey!;
    await session.query('select 1');
    session.close();
    await agent.idle();
    const [start, ...others] = agent.events;
    expect(start!.postgres_pid).toBeUndefined();
    expect(others.map(({ postgres_pid }) => postgres_pid)).toEqual(others.map(() => pid));
  });

  test('records extended-protocol statements in order, with who and where', async () => {
    const client = await pgClient();
    const { rows } = await client.query('select $1::int + 1 as sum', [41]);
    expect(rows).toEqual([{ sum: 42 }]);
    await client.query('select 1');
    await expect(client.query('select nope')).rejects.toMatchObject({ code: '42703' });
    await client.end();
    await agent.idle();
    const all = agent.events.filter(({ event }) => event !== 'db.session.result');
    expect(all.map(({ event, code }) => `${event} ${code}`)).toEqual([
      'db.session.start TDB00I',
      'db.session.postgres.statements.parse TPG00I',
      'db.session.postgres.statements.bind TPG01I',
      'db.session.postgres.statements.execute TPG02I',
      'db.session.query TDB02I',
      'db.session.query TDB02I',
      'db.session.end TDB01I',
    ]);
    expect(agent.events.map(({ ei }) => ei)).toEqual(agent.events.map((_, n) => n));
    expect(new Set(agent.events.map(({ sid }) => sid)).size).toBe(1);
    const sums = agent.lines.map((line) => createHash('sha256').update(line).digest('hex'));
    expect(agent.events.map(({ prev }) => prev)).toEqual(['0'.repeat(64), ...sums.slice(0, -1)]);
    expect(agent.events[2]).toMatchObject({ parameters: ['41'] });
    for (const event of agent.events) {
      expect(event).toMatchObject({
        user: 'alice',
        db_service: 'pg',
        db_user: 'analyst',
        db_name: 'dev',
        db_protocol: 'postgres',
        db_type: 'self-hosted',
        cluster_name: 'test.example.com',
      });
    }
  });

  test('brings notices, a result of 20 MB and a result after an error', async () => {
    const client = await pgClient();
    const notices: string[] = [];
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    await client.query("do $$ begin raise notice 'heard'; end $$");
    expect(notices).toEqual(['heard']);
    const { rows } = await client.query("select repeat('x', 1000) as text from generate_series(1, 20000)");
    expect(rows.length).toBe(20_000);
    await expect(client.query('select 1/0')).rejects.toMatchObject({ code: '22012' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test('copies in and out', async () => {
    const session = await agent.session(LOGIN);
    const { duplex } = session;
    const untilReady = async () => {
      const data: Buffer[] = [];
      for (;;) {
        const { tag, body } = await readMessage(duplex);
        const message = decodeBackend(tag, body);
        if (message.type === 'CopyData') data.push(message.data);
        if (message.type === 'ErrorResponse') throw new Error(JSON.stringify(message.fields));
        if (message.type === 'ReadyForQuery') return Buffer.concat(data).toString();
      }
    };
    await session.query('create table copied (n int, word text)');
    duplex.write(encodeFrontend({ type: 'Query', query: 'copy copied from stdin' }));
    await readMessage(duplex); // CopyInResponse
    const lines = Array.from({ length: 50_000 }, (_, n) => `${n}\tword ${n}\n`);
    for (let at = 0; at < lines.length; at += 1000) {
      const data = Buffer.from(lines.slice(at, at + 1000).join(''));
      if (!duplex.write(encodeFrontend({ type: 'CopyData', data }))) await once(duplex, 'drain');
    }
    duplex.write(encodeFrontend({ type: 'CopyDone' }));
    await untilReady();
    duplex.write(encodeFrontend({ type: 'Query', query: 'copy (select * from copied order by n) to stdout' }));
    expect(await untilReady()).toBe(lines.join(''));
    session.close();
    await agent.idle();
    expect(agent.names().filter((name) => name === 'db.session.query')).toHaveLength(3);
  });

  test('still brings the answer to a client that has closed its half', async () => {
    const session = await agent.session(LOGIN);
    session.duplex.end(encodeFrontend({ type: 'Query', query: "select pg_sleep(0.1), 'late' as word" }));
    expect((await rest(session.duplex as Socket)).toString('latin1')).toContain('late');
    await agent.idle();
    expect(agent.names().at(-1)).toBe('db.session.end');
  });

  test('ends in the database when the client is gone', async () => {
    const session = await agent.session(LOGIN);
    const pid = session.backendKey!.pid;
    (session.duplex as Socket).resetAndDestroy();
    await agent.idle();
    expect(agent.names()).toEqual(['db.session.start', 'db.session.end']);
    const alive = 'select 1 from pg_stat_activity where pid = $1';
    await until('it has ended', async () => (await server.query(alive, { values: [pid] })).length === 0 || undefined);
  });

  test('ends for the client when the database is gone, with what the database said', async () => {
    const session = await agent.session(LOGIN);
    await server.query('select pg_terminate_backend($1)', { values: [session.backendKey!.pid] });
    expect((await rest(session.duplex as Socket)).toString()).toContain('57P01');
    session.duplex.destroy();
  });
});

describe('a cancel request', () => {
  test('on a connection of its own ends the statement with the rights of the certificate', async () => {
    await agent.as({ serviceName: 'pg', username: 'analyst' });
    const session = await agent.session(LOGIN);
    const { pid, secret } = session.backendKey!;
    const running = session.query('select pg_sleep(600)');
    running.catch(() => {});
    const busy = "select 1 from pg_stat_activity where query like 'select pg_sleep(600)%' and state = 'active'";
    await until('the statement runs', async () => (await server.query(busy)).length > 0 || undefined);
    const socket = await agent.socket();
    socket.end(encodeFirst({ type: 'CancelRequest', pid, secret }));
    expect((await rest(socket)).length).toBe(0);
    await expect(running).rejects.toMatchObject({ sqlState: '57014' });
    expect(await session.query('select 1')).toHaveLength(1);
    session.close();
  });

  test('without a user in the certificate is refused', async () => {
    const socket = await agent.socket();
    socket.write(encodeFirst({ type: 'CancelRequest', pid: 1, secret: Buffer.from('abcd') }));
    expect((await rest(socket)).toString()).toContain('user name must not be empty');
  });
});

describe('the record of a statement', () => {
  test('holds the answer back until it is durable', async () => {
    const session = await agent.session(LOGIN);
    let release = () => {};
    agent.spool.append = () => new Promise((resolve) => (release = resolve));
    let answered = false;
    const answer = session.query('select 7').then((results) => {
      answered = true;
      return results;
    });
    // The database has long answered when a second session has seen the first one idle.
    const idle = "select 1 from pg_stat_activity where pid = $1 and state = 'idle' and query = 'select 7'";
    const values = [session.backendKey!.pid];
    await until('the session is idle', async () => (await server.query(idle, { values })).length > 0 || undefined);
    expect(answered).toBe(false);
    release();
    expect((await answer)[0]!.rows).toEqual([['7']]);
    agent.spool.append = async () => {};
    session.close();
  });

  test('that fails ends the session with an ErrorResponse and no answer', async () => {
    const session = await agent.session(LOGIN);
    agent.spool.append = () => Promise.reject(new TeleportError('LimitExceeded', 'the spool is full'));
    session.duplex.write(encodeFrontend({ type: 'Query', query: "select 'secret answer'" }));
    const bytes = (await rest(session.duplex as Socket)).toString();
    expect(bytes).toContain('audit record failed: the spool is full');
    expect(bytes).not.toContain('secret answer');
    session.duplex.destroy();
    await agent.idle();
  });

  test('of the start that fails lets nobody in', async () => {
    agent.spool.append = () => Promise.reject(new TeleportError('LimitExceeded', 'the spool is full'));
    expect(await refusal()).toBe('audit record failed: the spool is full');
    await agent.idle();
    expect(agent.names()).toEqual(['db.session.start']);
  });
});

/** Logged in by hand, so that nothing of ours reads what comes. */
async function rawSession(version = 0x3_0000, parameters: [string, string][] = Object.entries(LOGIN)) {
  const client = await rawClient({ host: '127.0.0.1', port: agent.port });
  client.socket.write(startupPacket(version, parameters));
  return { client, hello: await client.until('Z') };
}

describe('F9 a session that is ended', () => {
  const words = async (client: RawClient) => {
    const last = await client.rest();
    expect(last.map(({ tag }) => tag)).toEqual(['E']);
    client.socket.destroy();
    await agent.idle();
    return errorFields(last[0]!);
  };

  test('by silence hears 57P05 and is audited', async () => {
    agent.roles = [role({}, { client_idle_timeout: '200ms' })];
    const { client } = await rawSession();
    client.socket.write(encodeFrontend({ type: 'Query', query: 'select 1' }));
    await client.until('Z');
    expect(await words(client)).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '57P05',
      M: 'terminating connection due to idle-session timeout: Client exceeded idle timeout of 200ms',
    });
    const names = ['db.session.start', 'db.session.query', 'db.session.result', 'client.disconnect', 'db.session.end'];
    expect(agent.names()).toEqual(names);
    expect(agent.events[3]).toMatchObject({ code: 'T3006I', reason: 'Client exceeded idle timeout of 200ms' });
  });

  test('by the end of its certificate, where a role asks for it, hears 57P01 and what to do', async () => {
    agent.roles = [role({}, { disconnect_expired_cert: true })];
    // Certificates end on whole seconds, and the session begins before.
    const expires = new Date(Math.ceil((Date.now() + 5_000) / 1000) * 1000);
    await agent.as({ serviceName: 'pg' }, { expires });
    const { client } = await rawSession();
    const reason = `client certificate expired at ${expires.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
    expect(await words(client)).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '57P01',
      M: `terminating connection: ${reason}`,
      H: 'Log in again: "tsh login".',
    });
    expect(Date.now()).toBeGreaterThanOrEqual(expires.getTime());
    expect(agent.events.find(({ event }) => event === 'client.disconnect')).toMatchObject({ reason });
  });

  test('by a lock hears 57P01 and the message of the lock, also in the middle of a statement', async () => {
    const { rights } = agent.context;
    let lock: (reason: string) => void = () => {};
    agent.context.rights = {
      ...rights,
      during(_, onLocked) {
        lock = onLocked;
        return { [Symbol.dispose]() {} };
      },
    };
    try {
      const { client } = await rawSession();
      client.socket.write(encodeFrontend({ type: 'Query', query: 'select pg_sleep(600)' }));
      await until('the statement runs', async () =>
        (await server.query("select 1 from pg_stat_activity where query = 'select pg_sleep(600)'")).length > 0
          ? true
          : undefined,
      );
      lock('lock targeting User:"alice" is in force: On leave.');
      expect(await words(client)).toEqual({
        S: 'FATAL',
        V: 'FATAL',
        C: '57P01',
        M: 'terminating connection: lock targeting User:"alice" is in force: On leave.',
      });
    } finally {
      agent.context.rights = rights;
    }
  });

  test.each([
    ['strict', true],
    ['best_effort', false],
  ] as const)('with lock: %s in a role is watched over with its user in the database', async (lock, isStrict) => {
    const { rights } = agent.context;
    const watched: RightHolder[] = [];
    agent.context.rights = {
      ...rights,
      during(holder, onEnded) {
        watched.push(holder);
        if (holder.isStrict) onEnded('the Auth Service has said nothing for 15 s, and the locking mode is strict');
        return { [Symbol.dispose]() {} };
      },
    };
    agent.roles = [role({}, { lock })];
    try {
      const { client } = await rawSession();
      if (isStrict) expect((await words(client)).M).toContain('the locking mode is strict');
      else client.socket.destroy();
      expect(watched).toMatchObject([{ identity: { username: USER }, login: 'analyst', isStrict }]);
    } finally {
      agent.context.rights = rights;
    }
  });

  test('by the end of the service hears 57P01, whether it is in or on its way in', async () => {
    const ending = new AbortController();
    agent.context.ending = ending.signal;
    try {
      const [{ client: inside }, onItsWay] = [
        await rawSession(),
        await rawClient({ host: '127.0.0.1', port: agent.port }),
      ];
      ending.abort(shutdownEnd('Connect again.'));
      const late = await rawClient({ host: '127.0.0.1', port: agent.port });
      for (const client of [inside, onItsWay, late]) {
        const [last, ...more] = await client.rest();
        expect(more).toEqual([]);
        expect(errorFields(last!)).toEqual({
          S: 'FATAL',
          V: 'FATAL',
          C: '57P01',
          M: 'terminating connection due to administrator command',
          H: 'Connect again.',
        });
        client.socket.destroy();
      }
      await agent.idle();
    } finally {
      delete agent.context.ending;
    }
  });

  test.each([
    ['an unknown tag', '7a00000004'],
    ['a length of 3', '5100000003'],
    ['a length of 4 GiB', '51ffffffff'],
    ['a NUL inside a Query', '510000000f73656c6563742031007800'],
    ['a Query without its end', '510000000c73656c6563742031'],
    ['a Close of neither', '43000000067800'],
  ])('X14 for %s hears 08P01 and is audited, and the database sees nothing of it', async (_, hex) => {
    const { client } = await rawSession();
    const before = encodeFrontend({ type: 'Query', query: "select 'with it'" });
    client.socket.write(Buffer.concat([before, Buffer.from(hex, 'hex')]));
    expect(await words(client)).toMatchObject({ S: 'FATAL', V: 'FATAL', C: '08P01' });
    expect(agent.events.filter(({ event }) => event === 'db.session.malformed_packet')).toEqual([
      expect.objectContaining({ code: 'TDB06I', user: 'alice', error: expect.stringContaining('PostgreSQL message') }),
    ]);
    expect(agent.names().at(-1)).toBe('db.session.end');
  });

  test.each(['Query', 'Parse'] as const)('X1 for a %s of more than 16 MiB hears 54000 and is audited', async (type) => {
    const { client } = await rawSession();
    const query = 'x'.repeat(16 * 2 ** 20 + 1);
    const packet = encodeFrontend(
      type === 'Query' ? { type, query } : { type, query, statement: '', parameterTypes: [] },
    );
    client.socket.write(packet);
    expect(await words(client)).toMatchObject({ C: '54000', M: expect.stringContaining('allowed are 16777217 bytes') });
    expect(agent.names()).toEqual(['db.session.start', 'db.session.query.failed', 'db.session.end']);
    expect(agent.events[1]).toMatchObject({
      code: 'TDB02W',
      success: false,
      error: expect.stringContaining('16777217'),
    });
  });

  test('every refusal has the fields S and V', async () => {
    agent.roles = [role({ db_users: ['other'] })];
    for (const parameters of [Object.entries(LOGIN), [['user', 'x']] as [string, string][]]) {
      const client = await rawClient({ host: '127.0.0.1', port: agent.port });
      client.socket.write(startupPacket(0x3_0000, parameters));
      expect(await words(client)).toMatchObject({ S: 'FATAL', V: 'FATAL', C: '28000' });
    }
  });
});

describe('B10 the user of the StartupMessage', () => {
  test('is who one becomes, or is refused with 28000; it is never replaced', async () => {
    agent.roles = [role({ db_users: ['analyst', 'reporting'] })];
    await agent.as({ serviceName: 'pg', username: 'analyst' });
    for (const user of ['analyst', 'reporting']) {
      const session = await agent.session({ user, database: 'dev' });
      expect((await session.query('select current_user'))[0]!.rows).toEqual([[user]]);
      session.close();
    }
    const refused = await agent.session({ user: 'postgres', database: 'dev' }).catch((error: unknown) => error);
    expect(isServerError(refused, '28000')).toBe(true);
  });

  test('may be left out or empty: the certificate names one; where it does not either, 28000', async () => {
    await agent.as({ serviceName: 'pg', username: 'analyst', database: 'dev' });
    for (const parameters of [[['user', '']], [['client_encoding', 'UTF8']]] as [string, string][][]) {
      const { client } = await rawSession(0x3_0000, parameters);
      client.socket.write(encodeFrontend({ type: 'Query', query: 'select current_user' }));
      const row = (await client.until('Z')).find(({ tag }) => tag === 'D');
      expect(row!.body.toString()).toContain('analyst');
      client.socket.destroy();
    }
    await agent.as({ serviceName: 'pg' });
    const refused = await agent.session({ user: '', database: 'dev' }).catch((error: unknown) => error);
    expect(isServerError(refused, '28000')).toBe(true);
  });
});

describe('X14 replication', () => {
  test.each(['true', 'database', 'on', '1', 'false', ''])(
    '"%s" in the StartupMessage is refused and audited',
    async (value) => {
      const client = await rawClient({ host: '127.0.0.1', port: agent.port });
      client.socket.write(startupPacket(0x3_0000, [...Object.entries(LOGIN), ['replication', value]]));
      const [last] = await client.rest();
      expect(errorFields(last!)).toMatchObject({ C: '28000', M: 'connections for replication are not taken' });
      client.socket.destroy();
      await agent.idle();
      expect(agent.events.map(({ code }) => code)).toEqual(['TDB00W']);
    },
  );
});

describe('X1 a long statement', () => {
  test('runs, and its whole text is recorded before it does', async () => {
    const session = await agent.session(LOGIN);
    const text = `/*${'ü'.repeat(200_000)}*/ select 'hidden'`;
    expect((await session.query(text))[0]!.rows).toEqual([['hidden']]);
    session.close();
    await agent.idle();
    const event = agent.events.find(({ event }) => event === 'db.session.query')!;
    const parts = agent.events.filter((one) => one.event === 'db.session.query.part' && one.uid_of === event.uid);
    const whole = (event.db_query as string) + parts.map((part) => part.text as string).join('');
    expect(whole).toBe(text);
    expect(event).toMatchObject({
      db_query_bytes: Buffer.byteLength(text),
      db_query_sha256: createHash('sha256').update(text).digest('hex'),
      db_query_parts: parts.length,
    });
    expect(parts[0]).toMatchObject({ event: 'db.session.query.part', code: 'TDB02P', part: 1 });
  });

  test('that is never sent whole leaves its parts', async () => {
    const { client } = await rawSession();
    client.socket.write(encodeFrontend({ type: 'Query', query: 'x'.repeat(1_000_000) }).subarray(0, 500_000));
    await until('parts are recorded', () => agent.names().length > 5 || undefined);
    client.socket.destroy();
    await agent.idle();
    const names = new Set(agent.names());
    expect([...names]).toEqual(['db.session.start', 'db.session.query.part', 'db.session.end']);
  });
});

describe('what a statement came to', () => {
  type Messages = Parameters<typeof encodeFrontend>[0][];
  const query = (text: string): Messages => [{ type: 'Query', query: text }];
  const sync: Messages = [{ type: 'Sync' }];
  const executed = (text: string, maxRows = 0): Messages => [
    { type: 'Parse', statement: '', query: text, parameterTypes: [] },
    { type: 'Bind', portal: '', statement: '', parameterFormats: [], parameters: [], resultFormats: [] },
    { type: 'Describe', target: 'P', name: '' },
    { type: 'Execute', portal: '', maxRows },
  ];
  const copied = (...lines: string[]): Messages => [
    ...lines.map((line) => ({ type: 'CopyData' as const, data: Buffer.from(line) })),
    { type: 'CopyDone' },
  ];

  /** All in one piece. @returns results with the event that they are of, in their order */
  async function resultsOf(messages: Messages, readyCount: number): Promise<string[]> {
    const { client } = await rawSession();
    client.socket.write(Buffer.concat(messages.map((message) => encodeFrontend(message))));
    for (let n = 0; n < readyCount; n++) await client.until('Z');
    client.socket.destroy();
    await agent.idle();
    return results();
  }

  function results(): string[] {
    const names = new Map(agent.events.map(({ uid, event }) => [uid, event.split('.').at(-1)]));
    const found = agent.events.filter(({ event }) => event === 'db.session.result');
    return found.map((one) => {
      expect(one).toMatchObject({ code: 'TDB10I', user: 'alice', db_service: 'pg' });
      expect(one.duration_ms).toBeGreaterThanOrEqual(0);
      const { uid_of, uid_to, statements, success, outcome, sqlstate, rows, commands, suspended } = one;
      const { affected_records: affected } = one;
      const how = success ? 'done' : (outcome ?? sqlstate);
      const more = { affected, commands, suspended, to: names.get(uid_to), statements };
      return `${names.get(uid_of)} ${how} ${rows} ${JSON.stringify(more)}`;
    });
  }

  test('of the simple protocol, several commands in one and pipelined', async () => {
    const all = [
      ...query('select 1'),
      ...query('select * from generate_series(1, 3); create temp table t (n int); insert into t values (1), (2)'),
      ...query(''),
      ...query('select 1; select 1/0; select 2'),
      ...query('select from nowhere'),
      ...query('select 5'),
    ];
    expect(await resultsOf(all, 6)).toEqual([
      'query done 1 {"affected":1}',
      'query done 3 {"affected":5,"commands":3}',
      'query done 0 {}',
      'query 22012 1 {"affected":1}',
      'query 42P01 0 {}',
      'query done 1 {"affected":1}',
    ]);
    const failed = agent.events.find(({ sqlstate }) => sqlstate === '22012')!;
    expect(failed).toMatchObject({ success: false, error: 'division by zero' });
    expect(agent.events.find(({ event }) => event === 'db.session.result')).toMatchObject({ bytes: 2 + 4 + 1 });
  });

  test('of the extended protocol: what is behind a failure is skipped, up to the next Sync', async () => {
    const all = [
      ...executed('select * from generate_series(1, 4)'),
      ...executed('select 1/0'),
      ...executed('select 3'),
      ...query('select 4'),
      ...sync,
      ...executed('select wrong'),
      ...sync,
      ...executed('select 6'),
      ...sync,
      ...query('select 7'),
    ];
    expect(await resultsOf(all, 4)).toEqual([
      'execute done 4 {"affected":4}',
      'bind 22012 0 {}',
      'execute skipped 0 {"to":"query","statements":5}',
      'parse 42703 0 {}',
      'bind skipped 0 {"to":"execute","statements":2}',
      'execute done 1 {"affected":1}',
      'query done 1 {"affected":1}',
    ]);
  });

  test('of a portal that is read in parts', async () => {
    const more: Messages = [{ type: 'Execute', portal: '', maxRows: 0 }];
    expect(await resultsOf([...executed('select * from generate_series(1, 5)', 2), ...more, ...sync], 1)).toEqual([
      'execute done 2 {"suspended":true}',
      'execute done 3 {"affected":3}',
    ]);
  });

  test('of COPY: bytes and rows, never contents', async () => {
    const copy = 'copy t from stdin';
    const all = [
      ...query('create temp table t (what text)'),
      ...query(copy),
      ...copied('secret one\n', 'secret two\n'),
      ...executed(copy),
      ...sync,
      ...copied('secret three\n'),
      ...sync,
      ...executed('select 1'),
      ...sync,
      ...query('copy t to stdout'),
      ...query(copy),
      { type: 'CopyFail' as const, message: 'no more' },
      ...query('select 1'),
    ];
    expect(await resultsOf(all, 7)).toEqual([
      'query done 0 {}',
      'query done 2 {"affected":2}',
      'execute done 1 {"affected":1}',
      'execute done 1 {"affected":1}',
      'query done 3 {"affected":3}',
      'query 57014 0 {}',
      'query done 1 {"affected":1}',
    ]);
    const bytes = agent.events.filter(({ event }) => event === 'db.session.result').map((one) => one.bytes);
    expect(bytes).toEqual([0, 22, 13, 7, 35, 0, 7]);
    expect(agent.lines.join('')).not.toContain('secret');
  });

  test('H5 of COPY with Syncs in it, which the server ignores: every result is of its own statement', async () => {
    const copy = 'copy t from stdin';
    const row = (line: string): Messages => [{ type: 'CopyData', data: Buffer.from(line) }];
    const done: Messages = [{ type: 'CopyDone' }];
    const all = [
      ...query('create temp table t (n int)'),
      ...query(copy),
      ...sync,
      ...done,
      ...query('select from nowhere'),
      ...query('select 1'),
      // Before and behind the row that fails.
      ...query(copy),
      ...sync,
      ...row('not a number\n'),
      ...sync,
      ...done,
      ...query('select from nowhere'),
      ...query('select 2'),
      ...executed(copy),
      ...sync,
      ...row('not a number\n'),
      ...done,
      ...sync,
      ...query('select 3'),
      ...query('select from nowhere'),
    ];
    expect(await resultsOf(all, 11)).toEqual([
      'query done 0 {}',
      'query done 0 {}',
      'query 42P01 0 {}',
      'query done 1 {"affected":1}',
      'query 22P02 0 {}',
      'query 42P01 0 {}',
      'query done 1 {"affected":1}',
      'execute 22P02 0 {}',
      'query done 1 {"affected":1}',
      'query 42P01 0 {}',
    ]);
  });

  test('M1 of 30,000 messages behind a failure, and the session goes on', async () => {
    const { client } = await rawSession();
    const bytes = (messages: Messages) => Buffer.concat(messages.map((message) => encodeFrontend(message)));
    const describe: Messages = [{ type: 'Describe', target: 'S', name: '' }];
    client.socket.write(bytes([...executed('select wrong'), ...Array.from({ length: 30_000 }, () => describe).flat()]));
    await client.until('E');
    client.socket.write(bytes([...Array.from({ length: 30_000 }, () => describe).flat(), ...sync]));
    await client.until('Z');
    client.socket.write(bytes(query('select 1')));
    await client.until('Z');
    client.socket.destroy();
    await agent.idle();
    expect(results()).toEqual([
      'parse 42703 0 {}',
      'bind skipped 0 {"to":"execute","statements":2}',
      'query done 1 {"affected":1}',
    ]);
  });

  test('that fails when its transaction ends is said of the Execute', async () => {
    const all = [
      ...query('create temp table d (n int unique deferrable initially deferred)'),
      ...executed('insert into d values (1), (1)'),
      ...sync,
      ...query('select 1'),
    ];
    expect(await resultsOf(all, 3)).toEqual([
      'query done 0 {}',
      'execute done 0 {"affected":2}',
      'execute 23505 0 {}',
      'query done 1 {"affected":1}',
    ]);
  });

  test('of a function', async () => {
    const call = (functionOid: number): Messages => [
      { type: 'FunctionCall', functionOid, argumentFormats: [], arguments: [Buffer.from('abc')], resultFormat: 0 },
    ];
    // length(text), and one that does not exist.
    expect(await resultsOf([...call(1317), ...call(1), ...query('select 1')], 3)).toEqual([
      'function done 0 {}',
      'function 42883 0 {}',
      'query done 1 {"affected":1}',
    ]);
  });

  test('is unknown where the session was cut, and an error where the server ended it', async () => {
    const { client, hello } = await rawSession();
    client.socket.write(
      Buffer.concat(
        [...query('select 1; select pg_sleep(600)'), ...query('select 2')].map((message) => encodeFrontend(message)),
      ),
    );
    const pid = hello.find(({ tag }) => tag === 'K')!.body.readInt32BE();
    const active = "select 1 from pg_stat_activity where pid = $1 and state = 'active'";
    await until('it runs', async () => (await server.query(active, { values: [pid] })).length > 0 || undefined);
    client.socket.resetAndDestroy();
    await agent.idle();
    expect(results()).toEqual(['query unknown 0 {}', 'query unknown 0 {}']);
    expect(agent.names().at(-1)).toBe('db.session.end');

    agent.events.length = 0;
    const other = await rawSession();
    other.client.socket.write(encodeFrontend({ type: 'Query', query: 'select pg_sleep(600)' }));
    const values = [other.hello.find(({ tag }) => tag === 'K')!.body.readInt32BE()];
    await until('it runs', async () => (await server.query(active, { values })).length > 0 || undefined);
    await server.query('select pg_terminate_backend($1)', { values });
    await other.client.rest();
    other.client.socket.destroy();
    await agent.idle();
    expect(results()).toEqual(['query 57P01 0 {}']);
  });
});

test('L9 where the database sends what is no message, results are unknown from there on and nobody waits for room', async () => {
  const results: string[] = [];
  const audit = {
    statement: () => 'uid',
    result: (_: string, { how }: { how: string }) => results.push(how),
    write() {},
    pause() {},
    undurable: 0,
  };
  const tap = new StatementTap(audit as unknown as SessionAudit, new UserTurns().of(USER));
  const query = encodeFrontend({ type: 'Query', query: 'select 1' });
  tap.fromClient(query);
  expect(() => tap.follow.push(Buffer.from('5a00000001', 'hex'))).toThrow();
  expect(results).toEqual(['unknown']);
  await tap.fromClient(Buffer.concat(Array.from({ length: 20_001 }, () => query)));
  expect(results).toHaveLength(20_002);
});

describe('D1 a newer protocol on the way to a PostgreSQL 18 that speaks it', () => {
  test.each([
    [0x3_0002, [], '760000000c 00030000 00000000'],
    [0x3_270f, ['_pq_.foo'], '7600000015 00030000 00000001 5f70715f2e666f6f00'],
  ] as [number, string[], string][])(
    '%i is 3.0 for both sides, the cancel key has 4 bytes and works',
    async (version, names, answer) => {
      const options = names.map((name): [string, string] => [name, 'on']);
      const { client, hello } = await rawSession(version, [...Object.entries(LOGIN), ...options]);
      expect(hello[0]!.bytes.toString('hex')).toBe(answer.replaceAll(' ', ''));
      const key = hello.find(({ tag }) => tag === 'K')!.body;
      expect(key).toHaveLength(8);
      await agent.as({ serviceName: 'pg', username: 'analyst', database: 'dev' });
      client.socket.write(encodeFrontend({ type: 'Query', query: 'select pg_sleep(601)' }));
      await until('the statement runs', async () =>
        (await server.query("select 1 from pg_stat_activity where query = 'select pg_sleep(601)'")).length > 0
          ? true
          : undefined,
      );
      const canceller = await rawClient({ host: '127.0.0.1', port: agent.port });
      canceller.socket.end(Buffer.concat([Buffer.from('0000001004d2162e', 'hex'), key]));
      expect(await canceller.rest()).toEqual([]);
      const failed = (await client.until('Z')).find(({ tag }) => tag === 'E');
      expect(errorFields(failed!)).toMatchObject({ C: '57014' });
      client.socket.destroy();
      canceller.socket.destroy();
    },
  );
});

describe('a refusal', () => {
  const starts = () =>
    agent.events.filter(({ event }) => event === 'db.session.start').map(({ code, error }) => [code, error]);

  test.each([
    { of: 'the user', allow: { db_users: ['other'] } },
    { of: 'the name', allow: { db_names: ['other'] } },
    { of: 'the labels', allow: { db_labels: { env: 'prod' } } },
  ])('by $of is told in the words of the cluster and audited', async ({ allow }) => {
    agent.roles = [role(allow)];
    expect(await refusal()).toBe(
      'access to db denied. User does not have permissions. Confirm database user and name.',
    );
    expect(agent.events.map(({ code }) => code)).toEqual(['TDB00W']);
    expect(agent.events[0]).toMatchObject({ success: false, db_user: 'analyst' });
  });

  test('by a lock, an empty user and an unknown database is told', async () => {
    agent.locks = [
      { kind: 'lock', version: 'v2', metadata: { name: 'l' }, spec: { target: { user: 'alice' } } } as never,
    ];
    expect(await refusal()).toBe('access denied: lock targeting User:"alice" is in force');
    expect(starts()).toEqual([['TDB00W', 'access denied: lock targeting User:"alice" is in force']]);
    agent.locks = [];
    expect(await refusal({ user: '' })).toBe('user name must not be empty');
    await agent.as({ serviceName: 'nope' });
    expect(await refusal()).toBe('database "nope" not found among registered databases in cluster "test.example.com"');
  });

  test('of a certificate from elsewhere or after its end comes before anything else', async () => {
    await agent.as({ serviceName: 'pg' }, { ca: strangerCa });
    expect(await refusal()).not.toBe('');
    await agent.as({ serviceName: 'pg' }, { expires: new Date(Date.now() - 60_000) });
    expect(await refusal()).not.toBe('');
    expect(agent.events).toEqual([]);
  });

  test('L6 of who is locked out by address, ended certificate or deletion is recorded with its reason', async () => {
    agent.roles = [role({}, { pin_source_ip: true })];
    const texts = [await refusal()];
    agent.roles = [role({})];
    for (const access of [{ certificateEnded: true }, { userExists: false }]) {
      agent.access = access;
      texts.push(await refusal());
    }
    expect(texts[0]).toMatch(/pinned/i);
    expect(texts[2]).toBe('access denied');
    expect(starts()).toEqual(texts.map((text) => ['TDB00W', text]));
  });

  test('by the database reaches the client in its own words, with its SQLSTATE', async () => {
    const unknown = await agent.session({ user: 'analyst', database: 'nope' }).catch((error: unknown) => error);
    expect(isServerError(unknown, '3D000')).toBe(true);
    expect(await refusal({ user: 'nobody' })).toBe('role "nobody" does not exist');
    await agent.idle();
    expect(starts()).toEqual([
      ['TDB00I', undefined],
      ['TDB00W', 'database "nope" does not exist'],
      ['TDB00I', undefined],
      ['TDB00W', 'role "nobody" does not exist'],
    ]);
  });
});

// psql writes the severity itself: a message that begins with it would read `FATAL:  FATAL: …`.
test('F9 no refusal names its severity twice', async () => {
  const error = await agent.session({ user: 'nobody', database: 'dev' }).catch((reason: unknown) => reason);
  if (!isServerError(error, '28000')) throw error;
  expect(error.severity).toBe('FATAL');
  expect(error.message).not.toMatch(/FATAL|SQLSTATE/);
});

describe('TLS to the database', () => {
  test.each([
    [
      'wrong-ca',
      /^Database service cannot validate database's certificate: .*unknown authority\. Please verify if the correct CA bundle is used in the database config\.$/,
    ],
    ['verify-ca-wrong', /^Database service cannot validate database's certificate: .*unknown authority/],
    ['wrong-name', /^Database service cannot validate database's certificate: .*db\.example\.com/],
    ['no-tls', /refused TLS connection$/],
    ['gone', /connection refused/],
  ])('of "%s" is refused with %s', async (serviceName, text) => {
    await agent.as({ serviceName });
    expect(await refusal()).toMatch(text);
  });

  test.each(['verify-ca', 'insecure'])('of "%s" is as loose as its mode says', async (serviceName) => {
    await agent.as({ serviceName });
    const session = await agent.session(LOGIN);
    expect(await session.query('select 1')).toHaveLength(1);
    session.close();
  });
});
