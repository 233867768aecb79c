import { createCredentialCache } from '../../src/aws/credential-cache.js';

function setup() {
  let time = 0;
  let made = 0;
  const cache = createCredentialCache({ now: () => new Date(time), renewAheadMs: 120_000, leastLifeMs: 10_000 });
  const fetch = async () => {
    made++;
    return { user: 'IAM:x', password: `p${made}`, expiresAt: new Date(time + 900_000) };
  };
  return { cache, fetch, made: () => made, pass: (ms: number) => (time += ms) };
}

test('one fetch serves everyone who waits, and everyone after', async () => {
  const { cache, fetch, made } = setup();
  const all = await Promise.all([cache.get('k', fetch), cache.get('k', fetch), cache.get('k', fetch)]);
  expect(all.map(({ password }) => password)).toEqual(['p1', 'p1', 'p1']);
  await cache.get('k', fetch);
  expect(made()).toBe(1);
  await cache.get('other', fetch);
  expect(made()).toBe(2);
});

test('it is renewed ahead while the present one is still given, and waited for at the end', async () => {
  const { cache, fetch, pass } = setup();
  await cache.get('k', fetch);
  pass(800_000);
  expect((await cache.get('k', fetch)).password).toBe('p1');
  expect((await cache.get('k', fetch)).password).toBe('p2');
  pass(895_000);
  expect((await cache.get('k', fetch)).password).toBe('p3');
});

test('a failed fetch is not kept, and a dropped credential is fetched again', async () => {
  const { cache, fetch, made } = setup();
  await expect(cache.get('k', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect((await cache.get('k', fetch)).password).toBe('p1');
  cache.drop('k');
  expect((await cache.get('k', fetch)).password).toBe('p2');
  expect(made()).toBe(2);
});
