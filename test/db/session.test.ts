/**
 * One session after the other on a real PostgreSQL server that wants client certificates: how it begins, and how it is ended.
 * Tests: src/db/engine.ts
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { decodeBackend } from '../../src/pg/decode.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { isServerError } from '../../src/pg/server-error.js';
import { shutdownEnd } from '../../src/pg/sqlstate.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';
import { readMessage } from '../../src/pg/stream.js';
import type { RightHolder } from '../../src/rights/rights-watch.js';
import { errorFields, type RawClient, rawClient, startupPacket } from '../support/pg-raw.js';
import { until } from '../support/until.js';
import { LOGIN, role, USER } from './agent.js';
import { agent, pgClient, rawSession, rest, server, useSessions } from './test-session.js';

useSessions();

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
