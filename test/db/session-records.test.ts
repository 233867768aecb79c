/**
 * What is recorded of a session on a real PostgreSQL server: its statements, and what they came to.
 * Tests: src/db/session-audit.ts, src/db/statement-tap.ts
 */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import type { SessionAudit } from '../../src/db/session-audit.js';
import { StatementTap } from '../../src/db/statement-tap.js';
import { TeleportError } from '../../src/errors.js';
import { encodeFrontend } from '../../src/pg/encode.js';
import { UserTurns } from '../../src/turns.js';
import { until } from '../support/until.js';
import { LOGIN, USER } from './agent.js';
import { agent, rawSession, refusal, rest, server, useSessions } from './test-session.js';

useSessions();

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
