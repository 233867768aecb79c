/** What services hear of rights that end, from a real Auth Service. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hexName } from '../../src/api/alpn.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import type { WatchLocksResponse } from '../../src/api/gen/internal_pb.js';
import { rightsFeed, WORD_MS } from '../../src/auth/rights-feed.js';
import { type AuthState, recordsIn } from '../../src/auth/state.js';
import { silent } from '../../src/log.js';
import { dialTls } from '../../src/net/dial.js';
import { CUT_OFF_MS, watchRights } from '../../src/rights/rights-watch.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import { CLUSTER, TestAuth } from './test-auth.js';

let cluster: TestAuth;
let admin: AuthClient;
beforeAll(async () => {
  cluster = await TestAuth.start();
  admin = await cluster.asHost('Admin');
});
afterAll(() => cluster.remove());

/** Messages of a stream, one after the other, without the words that say nothing. */
async function listen(withUsers: boolean) {
  const agent = await cluster.asHost('Db');
  const stream = agent.databaseAgent.watchLocks({ withUsers })[Symbol.asyncIterator]();
  const next = async (): Promise<WatchLocksResponse> => {
    for (;;) {
      const { value, done } = await stream.next();
      if (done) throw new Error('the stream has ended');
      if (!value.sameLocks || value.users.length > 0 || value.whole) return value;
    }
  };
  return { next, agent };
}

test('X10 users with their generations: all, then whoever is made, reset or deleted', async () => {
  await cluster.invite('ann', ['access']);
  const { next, agent } = await listen(true);
  expect(await next()).toMatchObject({ first: true, sameLocks: false });
  const all = await next();
  expect(all).toMatchObject({ sameLocks: true, whole: true });
  const before = all.users.find(({ name }) => name === 'ann')!.generation;
  expect(before).toMatch(/^[0-9a-f]{16}$/);

  await admin.auth.createResetPasswordToken({ name: 'ann', type: 'password', ttl: 0n });
  const [reset] = (await next()).users;
  expect(reset).toMatchObject({ name: 'ann', isGone: false, generation: expect.not.stringContaining(before) });
  await admin.users.deleteUser({ name: 'ann' });
  expect((await next()).users).toMatchObject([{ name: 'ann', isGone: true }]);
  await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { user: 'x%/y' } } });
  let heard = await next();
  while (heard.sameLocks) heard = await next();
  expect(heard.locks.map(({ metadata }) => metadata?.name)).toEqual(['l1']);
  await admin.users.createUser({ user: { metadata: { name: 'x.y@z' }, spec: { roles: ['access'] } } });
  expect((await next()).users).toMatchObject([{ name: 'x.y@z' }]);
  await agent.close();
});

test('locks alone for a service that asks for no more', async () => {
  const { next, agent } = await listen(false);
  const { locks, users } = await next();
  expect([locks.length, users.length]).toEqual([1, 0]);
  await admin.auth.deleteLock({ name: 'l1' });
  expect((await next()).locks).toEqual([]);
  await agent.close();
});

test('R-A-M3 a host has one watch: a new one ends the one before, and one of locks alone is another', async () => {
  const agent = await cluster.asHost('Db');
  const follow = (withUsers: boolean) =>
    agent.databaseAgent.watchLocks({ withUsers }, { timeoutMs: 0 })[Symbol.asyncIterator]();
  const [first, locks] = [follow(true), follow(false)];
  await Promise.all([first.next(), locks.next()]);
  const second = follow(true);
  await second.next();
  const ended = async () => {
    while (!(await first.next()).done);
  };
  await expect(ended()).rejects.toThrow('another watch has taken the place of this one');
  await admin.auth.upsertLock({ metadata: { name: 'l2' }, spec: { target: { login: 'x' } } });
  for (let said = await locks.next(); said.value.locks.length === 0; said = await locks.next());
  await admin.auth.deleteLock({ name: 'l2' });
  await agent.close();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('H4 a word comes in time whatever else is written', async () => {
  const store = await openEmbeddedStore({ path: ':memory:' });
  const stop = new AbortController();
  let writes = 0;
  const writing = (async () => {
    for (; !stop.signal.aborted; await turn()) await store.put('/busy', String(writes++));
  })();
  try {
    const words = rightsFeed(
      { store, authorities: { remotes: { trusts: [] } }, ...recordsIn(store) } as unknown as AuthState,
      stop.signal,
      100,
    );
    // The writing never stops: a word that waits for its end does not come.
    for (let before = -1, heard = 0; heard < 8 || writes === before; heard++) {
      before = writes;
      const { value } = await words.next();
      if (heard > 1) expect(value).toEqual({ sameLocks: true, silentRoots: [] });
    }
  } finally {
    stop.abort();
    await writing;
    await store.close();
  }
});

test('M1 a line to Auth that is dead is replaced, and the next one is heard', async () => {
  const { certPem: cert, keyPem: key, hostCaPems: ca, hostId } = await cluster.identity('Db');
  const servername = hexName(CLUSTER);
  const lines: Duplex[] = [];
  const far = cluster.auth.address;
  const relay = createServer((near) => {
    const line = connectTcp(far);
    lines.push(near, line);
    for (const one of [near, line]) one.on('error', () => {});
    near.pipe(line).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const { port } = relay.address() as AddressInfo;
  const connect = async () =>
    await dialTls({ host: '127.0.0.1', port, servername, alpn: ['h2'], timeoutMs: 60_000, ca, cert, key });
  const auth = openAuthClient({ authority: servername, version: '18.3.0', connect });
  const stop = new AbortController();
  const rights = watchRights({
    fetch: (signal) => auth.databaseAgent.watchLocks({ withUsers: true }, { signal, timeoutMs: 0 }),
    reconnect: auth.reconnect,
    hostId,
    now: cluster.now,
    log: silent,
    signal: stop.signal,
    cutOffMs: 3_000,
  });
  const heard = (login: string) =>
    new Promise<string>((resolve) => {
      rights.during({ login }, resolve);
    });
  try {
    await admin.auth.upsertLock({ metadata: { name: 'before' }, spec: { target: { login: 'before' } } });
    await heard('before');
    for (const line of lines) line.unpipe().pause();
    await admin.auth.upsertLock({ metadata: { name: 'after' }, spec: { target: { login: 'after' } } });
    expect(await heard('after')).toContain('Login:"after"');
    expect(lines.length).toBeGreaterThan(2);
  } finally {
    stop.abort();
    for (const line of lines) line.destroy();
    relay.close();
    await Promise.all([rights.ended, auth.close()]);
    for (const name of ['before', 'after']) await admin.auth.deleteLock({ name });
  }
});

test('a word comes without anything to say, three times in the silence that a service takes for the end', async () => {
  const agent = await cluster.asHost('Db');
  const stream = agent.databaseAgent.watchLocks({ withUsers: true })[Symbol.asyncIterator]();
  for (let heard = await stream.next(); !isWord(heard.value); heard = await stream.next());
  expect(3 * WORD_MS).toBeLessThanOrEqual(CUT_OFF_MS);
  await agent.close();
});

const isWord = ({ sameLocks, users, whole }: WatchLocksResponse) => sameLocks && users.length === 0 && !whole;
