import { expect, test } from '@jest/globals';
import { FairTurns } from '../../src/auth/fair-turns.js';

/** Work that ends when it is told to; `began` in the order of turns. */
function workshop(options: Partial<ConstructorParameters<typeof FairTurns>[0]> = {}) {
  const turns = new FairTurns({
    atOnce: 2,
    waitMs: 10_000,
    mostWaiting: 50,
    mostInAll: 200,
    tooBusy: 'too busy',
    ...options,
  });
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const take = (network: string, name: string, goesFirst = false, site = network) =>
    turns.take(
      network,
      () => {
        began.push(name);
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
      },
      { goesFirst, site },
    );
  const end = async (name: string) => {
    ends.get(name)!();
    await new Promise(setImmediate);
  };
  return { take, end, began };
}

test('X6 a crowd that tries passwords waits behind itself: who comes from elsewhere has the next turn', async () => {
  const { take, end, began } = workshop();
  const all = ['a1', 'a2', 'a3', 'a4', 'a5'].map((name) => take('192.0.2.1', name));
  all.push(take('198.51.100.1', 'b1'), take('2001:db8::', 'c1'), take('2001:db8::', 'c2'));
  await new Promise(setImmediate);
  expect(began).toEqual(['a1', 'a2']);
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'c2', 'a5']) await end(name);
  expect(began).toEqual(['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'c2', 'a5']);
  expect(await Promise.all(all)).toHaveLength(8);
});

test('who is expected goes before all who are not', async () => {
  const { take, end, began } = workshop({ atOnce: 1 });
  const all = ['a', 'b', 'c'].map((name, at) => take(`192.0.2.${at}`, name));
  all.push(take('198.51.100.1', 'expected', true));
  await new Promise(setImmediate);
  for (const name of ['a', 'expected', 'b', 'c']) await end(name);
  expect(began).toEqual(['a', 'expected', 'b', 'c']);
  await Promise.all(all);
});

test('the queue of a network, and the wait, have an end', async () => {
  const { take, end, began } = workshop({ atOnce: 1, mostWaiting: 1, waitMs: 1 });
  const first = take('192.0.2.1', 'a');
  const second = take('192.0.2.1', 'b');
  await expect(take('192.0.2.1', 'c')).rejects.toMatchObject({ code: 'LimitExceeded' });
  await expect(second).rejects.toThrow('too busy');
  await end('a');
  expect(await first).toBe('a');
  const next = take('192.0.2.2', 'd');
  await new Promise(setImmediate);
  expect(began).toEqual(['a', 'd']);
  await end('d');
  await next;
});

test('A-H7 sites have their turns one after the other, and in a site its networks', async () => {
  const { take, end, began } = workshop({ atOnce: 1 });
  const all = ['a1', 'a2', 'a3', 'a4'].map((name, at) =>
    take(`2001:db8:1:${at % 3}::/64`, name, false, '2001:db8:1::/48'),
  );
  all.push(take('192.0.2.1', 'b1'), take('192.0.2.2', 'c1'));
  await new Promise(setImmediate);
  const order = ['a1', 'a2', 'b1', 'c1', 'a3', 'a4'];
  for (const name of order) await end(name);
  expect(began).toEqual(order);
  await Promise.all(all);
});

test('A-H7 of too many the last of the largest site is refused at once, and of those who go first nobody', async () => {
  const { take, end, began } = workshop({ atOnce: 1, mostInAll: 4 });
  const running = take('192.0.2.9', 'running');
  const crowd = ['a', 'b', 'c', 'd'].map((name) => take(`2001:db8:1:${name}::/64`, name, false, '2001:db8:1::/48'));
  await expect(take('2001:db8:1:e::/64', 'e', false, '2001:db8:1::/48')).rejects.toThrow('too busy');
  const refused = expect(crowd[0]).rejects.toThrow('too busy');
  const single = take('192.0.2.1', 'single');
  await refused;
  const alice = take('192.0.2.2', 'alice', true);
  const order = ['running', 'alice', 'b', 'single', 'c', 'd'];
  for (const name of order) await end(name);
  expect(began).toEqual(order);
  await Promise.all([running, single, alice, ...crowd.slice(1)]);
});

test('work that fails gives its turn on', async () => {
  const turns = new FairTurns({ atOnce: 1, waitMs: 1_000, mostWaiting: 5, mostInAll: 5, tooBusy: 'too busy' });
  const failed = turns.take('a', () => Promise.reject(new Error('no')));
  const next = turns.take('b', () => Promise.resolve('yes'));
  await expect(failed).rejects.toThrow('no');
  expect(await next).toBe('yes');
});
