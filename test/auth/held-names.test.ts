/** Locks by name: who waits, and who goes away. Tests: src/db/user-lock.ts */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { HeldNames } from '../../src/auth/held-names.js';
import { lockAtAuth } from '../../src/db/user-lock.js';
import { TestAuth } from './test-auth.js';

let cluster: TestAuth;
beforeAll(async () => {
  cluster = await TestAuth.start();
});
afterAll(() => cluster.remove());

const never = new AbortController().signal;

test('one has a name at a time, in the order of asking; other names are free', async () => {
  const names = new HeldNames();
  const order: string[] = [];
  const first = await names.take('a', never);
  const takes = ['second', 'third'].map(async (who) => {
    using _held = await names.take('a', never);
    order.push(who);
  });
  (await names.take('b', never))[Symbol.dispose]();
  expect(order).toEqual([]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  await Promise.all(takes);
  expect(order).toEqual(['second', 'third']);
});

test('who goes away while waiting makes room, and is not waited for', async () => {
  const names = new HeldNames();
  const first = await names.take('a', never);
  const gone = new AbortController();
  const waiting = names.take('a', gone.signal);
  const third = names.take('a', never);
  gone.abort(new Error('gone'));
  await expect(waiting).rejects.toThrow('gone');
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  await expect(names.take('a', AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
  (await names.take('a', never))[Symbol.dispose]();
});

test('over Auth it is one lock for all agents, and an agent that is gone has given it back', async () => {
  const [one, two] = [await cluster.asHost('Db'), await cluster.asHost('Db')];
  const user = { endpoint: 'db.example.com:5439', user: 'alice', sameNames: false };
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
  const held = await lockAtAuth(agent)({ endpoint: 'r:5439', user: 'carol', sameNames: true }, 20_000);
  expect([...held.sameNames].sort()).toEqual(['Carol', 'carol']);
  held[Symbol.dispose]();
});
