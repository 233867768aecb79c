/** Locks by name: who waits, and who goes away. Tests: src/auth/offers.ts, src/auth/recent-offers.ts, src/db/user-lock.ts */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { abortForMany } from '../../src/abort.js';
import type { AuthClient } from '../../src/api/client.js';
import { toMessage } from '../../src/api/convert.js';
import { HeldNames, MOST_PLACES } from '../../src/auth/held-names.js';
import { RecentOffers } from '../../src/auth/recent-offers.js';
import { lockAtAuth } from '../../src/db/user-lock.js';
import { generateKey, privateKeyPem, publicKeyPem } from '../../src/pki/keys.js';
import type { Database, DatabaseServer, ProvisionToken } from '../../src/resources/types.js';
import { TestAuth, text } from './test-auth.js';

let cluster: TestAuth;
beforeAll(async () => {
  cluster = await TestAuth.start();
});
afterAll(() => cluster.remove());

const never = new AbortController().signal;

test('one has a name at a time, in the order of asking; other names are free', async () => {
  const names = new HeldNames();
  const order: string[] = [];
  const first = await names.take('a', never, 'one');
  const takes = ['second', 'third'].map(async (who) => {
    using _held = await names.take('a', never, who);
    order.push(who);
  });
  (await names.take('b', never, 'one'))[Symbol.dispose]();
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await Promise.all(takes);
  expect(order).toEqual(['second', 'third']);
});

test('who goes away while waiting makes room, and is not waited for', async () => {
  const names = new HeldNames();
  const first = await names.take('a', never, 'one');
  const gone = new AbortController();
  const waiting = names.take('a', gone.signal, 'two');
  const third = names.take('a', never, 'one');
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await expect(names.take('a', AbortSignal.abort(new Error('late')), 'one')).rejects.toThrow('late');
  (await names.take('a', never, 'one'))[Symbol.dispose]();
});

test('R-A-L1 each holder has one place in a line, and so many in all', async () => {
  const names = new HeldNames();
  const order: string[] = [];
  const first = await names.take('a', never, 'mallory');
  const crowd = Array.from({ length: 3 }, async () => {
    using _held = await names.take('a', never, 'mallory');
    order.push('mallory');
  });
  const other = (async () => {
    using _held = await names.take('a', never, 'alice');
    order.push('alice');
  })();
  first[Symbol.dispose]();
  await Promise.all([...crowd, other]);
  expect(order).toEqual(['alice', 'mallory', 'mallory', 'mallory']);

  const gone = abortForMany();
  const all = Array.from({ length: MOST_PLACES }, (_, at) =>
    names.take(`n${at % 7}`, gone.signal, 'mallory').catch(() => {}),
  );
  await expect(names.take('one more', never, 'mallory')).rejects.toThrow(
    'host "mallory" holds or waits for 1000 names',
  );
  (await names.take('one more', never, 'alice'))[Symbol.dispose]();
  gone.abort();
  for (const held of await Promise.all(all)) held?.[Symbol.dispose]();
  (await names.take('one more', never, 'mallory'))[Symbol.dispose]();
});

test('R-D-2 who has a name gives it back a while after another has begun to wait, and not before', async () => {
  jest.useFakeTimers();
  try {
    const names = new HeldNames();
    const held = await names.take('a', never, 'mallory');
    const again = names.take('a', never, 'mallory');
    jest.advanceTimersByTime(60_000);
    expect(held.wanted.aborted).toBe(false);
    const gone = new AbortController();
    const early = names.take('a', gone.signal, 'alice');
    jest.advanceTimersByTime(9_000);
    gone.abort(new Error('gone'));
    await expect(early).rejects.toThrow('gone');
    jest.advanceTimersByTime(60_000);
    expect(held.wanted.aborted).toBe(false);
    const waiting = names.take('a', never, 'alice');
    jest.advanceTimersByTime(9_999);
    expect(held.wanted.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(held.wanted.aborted).toBe(true);
    held[Symbol.dispose]();
    // The other one's turn comes before the next of the same, for whom the same holds.
    const next = await waiting;
    jest.advanceTimersByTime(10_000);
    expect(next.wanted.aborted).toBe(true);
    next[Symbol.dispose]();
    (await again)[Symbol.dispose]();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

/** The agent says that it serves it. */
async function offer(
  agent: AuthClient,
  endpoint: string,
  more: Partial<Database['spec']> = {},
  hostId?: string,
): Promise<void> {
  const metadata = { name: endpoint.replaceAll(/\W/g, '-').slice(0, 100) };
  const spec = { protocol: 'postgres', uri: endpoint, ...more };
  const database: Database = { kind: 'db', version: 'v3', metadata, spec };
  await offerOf(agent, database, hostId);
}

/** An agent of another host than that of Auth. */
async function otherHost(): Promise<{ hostId: string; client: AuthClient }> {
  const hostId = randomUUID();
  const admin = await cluster.asHost('Admin');
  const token: ProvisionToken = {
    kind: 'token',
    version: 'v2',
    metadata: { name: 'for-another' },
    spec: { roles: ['Db'], join_method: 'token' },
  };
  await admin.auth.createTokenV2({ token: { case: 'v2', value: toMessage('token', token) } });
  const key = await generateKey('ecdsa-p256');
  const publicTlsKey = Buffer.from(publicKeyPem(key));
  const nobody = await cluster.as({});
  const request = { hostId, nodeName: 'host-2', role: 'Db', token: token.metadata.name, publicTlsKey };
  const { tls } = await nobody.join.registerUsingToken(request);
  return { hostId, client: await cluster.as({ certPem: text(tls), keyPem: privateKeyPem(key) }) };
}

async function offerOf(agent: AuthClient, database: Database, hostId?: string): Promise<void> {
  const { metadata } = database;
  const host_id = hostId ?? (await cluster.identity('Db')).hostId;
  const spec = { host_id, hostname: 'h', version: '18.3.0', database };
  const server: DatabaseServer = { kind: 'db_server', version: 'v3', metadata, spec };
  await agent.auth.upsertDatabaseServer({ server: toMessage('db_server', server) });
}

test('R-A-L1 an agent holds users of servers that it offers or has offered lately, and of no other', async () => {
  const agent = await cluster.asHost('Db');
  const { hostId } = await cluster.identity('Db');
  const user = { endpoint: 'mine.example.com:5432', user: 'alice', sameNames: false };
  // Its heartbeat may come a moment later.
  const early = lockAtAuth(agent)(user, 120_000);
  await offer(agent, 'Mine.example.com');
  (await early)[Symbol.dispose]();
  await agent.auth.deleteDatabaseServer({ hostId, name: 'Mine-example-com' });
  (await lockAtAuth(agent)(user, 120_000))[Symbol.dispose]();
  const other = lockAtAuth(agent)({ ...user, endpoint: 'theirs.example.com:5432' }, 120_000);
  await expect(other).rejects.toThrow('this host offers no database on "theirs.example.com:5432"');
});

test('R-D-1 what an agent offers, and the users that it asks for, have bounds of length', async () => {
  const agent = await cluster.asHost('Db');
  const long = 'x'.repeat(1025);
  await expect(offer(agent, long)).rejects.toThrow('its URI has more than 1024 characters');
  const named: Database = {
    kind: 'db',
    version: 'v3',
    metadata: { name: long },
    spec: { protocol: 'postgres', uri: 'a:1' },
  };
  await expect(offerOf(agent, named)).rejects.toThrow('its name has more than 1024 characters');
  const wide = offer(agent, 'wide:5432', { ca_cert: 'x'.repeat(2 ** 19) });
  await expect(wide).rejects.toThrow(/^the offer of database "wide-5432" has \d+ characters, and 524288 are the most$/);
  await offer(agent, 'bounded:5432');
  const bounded = { endpoint: 'bounded:5432', user: 'alice', sameNames: false };
  for (const [field, asked] of [
    ['user', { ...bounded, user: long }],
    ['endpoint', { ...bounded, endpoint: long }],
  ] as const) {
    const text = `the request has 1025 characters in ${field}, and 1024 are the most`;
    await expect(lockAtAuth(agent)(asked, 120_000)).rejects.toThrow(text);
  }
});

test('R-D-1 a host that offers very many servers forgets its own, and those of others stay', () => {
  const offers = new RecentOffers({ ms: 1_000, most: 4, nowMs: () => 0 });
  for (const name of ['a', 'b']) offers.add('honest', name);
  for (let at = 0; at < 20; at++) offers.add('crowded', `s${at}`);
  expect(['a', 'b'].map((name) => offers.has('honest', name))).toEqual([true, true]);
  expect(['s17', 's18', 's19'].map((name) => offers.has('crowded', name))).toEqual([false, true, true]);
  // So does each of many hosts.
  for (let at = 0; at < 20; at++) offers.add(`host${at}`, 's');
  expect(offers.has('host19', 's')).toBe(true);
  expect(offers.has('honest', 'b') || offers.has('crowded', 's19')).toBe(false);
});

test('R-D-2 a host that holds a user for ever, and asks again at once, keeps nobody out', async () => {
  const mallory = await cluster.asHost('Db');
  const { hostId, client: honest } = await otherHost();
  const user = { endpoint: 'shared.example.com:5432', user: 'alice', sameNames: false };
  await offer(mallory, user.endpoint);
  await offer(honest, user.endpoint, {}, hostId);
  const held = await lockAtAuth(mallory)(user, 120_000);
  const lost = once(held.lost, 'abort');
  const again = lockAtAuth(mallory)(user, 120_000);
  const mine = await lockAtAuth(honest)(user, 30_000);
  await lost;
  expect(mine.lost.aborted).toBe(false);
  mine[Symbol.dispose]();
  (await again)[Symbol.dispose]();
});

test('over Auth it is one lock for all agents, and an agent that is gone has given it back', async () => {
  const [one, two] = [await cluster.asHost('Db'), await cluster.asHost('Db')];
  const user = { endpoint: 'db.example.com:5439', user: 'alice', sameNames: false };
  await offer(one, user.endpoint);
  await offer(one, 'other.example.com:5439');
  const held = await lockAtAuth(one)(user, 20_000);
  const elsewhere = await lockAtAuth(two)({ ...user, endpoint: 'other.example.com:5439' }, 20_000);
  elsewhere[Symbol.dispose]();
  await expect(lockAtAuth(two)(user, 50)).rejects.toThrow(
    'another agent is changing user "alice" of db.example.com:5439',
  );
  const waiting = lockAtAuth(two)(user, 20_000);
  held[Symbol.dispose]();
  await waiting;
  const third = lockAtAuth(one)(user, 20_000);
  await two.close();
  (await third)[Symbol.dispose]();
});

test('it names the people of the cluster who would be one user of Redshift', async () => {
  const admin = await cluster.asHost('Admin');
  await admin.auth.createRole({ role: { version: 'v7', metadata: { name: 'some' }, spec: {} } });
  for (const name of ['Carol', 'carol', 'carola']) {
    await admin.users.createUser({
      user: { kind: 'user', version: 'v2', metadata: { name }, spec: { roles: ['some'] } },
    });
  }
  const agent = await cluster.asHost('Db');
  await offer(agent, 'r:5439');
  const held = await lockAtAuth(agent)({ endpoint: 'r:5439', user: 'carol', sameNames: true }, 20_000);
  expect([...held.sameNames].sort()).toEqual(['Carol', 'carol']);
  held[Symbol.dispose]();
});

test('R-B3 an agent hears that Auth no longer holds a user for it', async () => {
  const agent = await cluster.asHost('Db');
  const user = { endpoint: 'lost.example.com:5439', user: 'alice', sameNames: false };
  await offer(agent, user.endpoint);
  const { lost } = await lockAtAuth(agent)(user, 20_000);
  expect(lost.aborted).toBe(false);
  const heard = once(lost, 'abort');
  await agent.close();
  await heard;
  expect(lost.reason).toMatchObject({
    code: 'ConnectionProblem',
    message: 'Auth no longer holds user "alice" of lost.example.com:5439 for this agent',
  });
});
