/**
 * Who is not let into a real PostgreSQL server, by us or by the server, and what is said then.
 * Tests: src/db/authorize.ts
 */
import { describe, expect, test } from '@jest/globals';
import { isServerError } from '../../src/pg/server-error.js';
import { errorFields, rawClient, startupPacket } from '../support/pg-raw.js';
import { LOGIN, role } from './agent.js';
import { agent, refusal, strangerCa, useSessions } from './test-session.js';

useSessions();

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
