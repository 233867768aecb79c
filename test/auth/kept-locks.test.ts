/** A-L1: the locks are read once, and are those of now all the same. */
import { afterEach, expect, test } from '@jest/globals';
import { keptLocks } from '../../src/auth/kept-locks.js';
import { recordsOf } from '../../src/auth/records.js';
import { recordsIn } from '../../src/auth/state.js';
import type { Lock } from '../../src/resources/types.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import type { Store } from '../../src/store/store.js';

let opened: Store | undefined;
afterEach(() => opened?.close());
const open = async (options: Parameters<typeof openEmbeddedStore>[0]): Promise<Store> =>
  (opened = await openEmbeddedStore(options));

const lock = (name: string, expires?: string, ofRecord?: string): Lock => ({
  kind: 'lock',
  version: 'v2',
  metadata: { name, ...(ofRecord ? { expires: ofRecord } : {}) },
  spec: { target: { user: name }, ...(expires ? { expires } : {}) },
});

test('A-L1 they are read once, and anew after each change', async () => {
  const store = await open({ path: ':memory:' });
  const below = recordsOf(store, 'lock');
  let reads = 0;
  const list = async () => {
    reads++;
    return await below.list();
  };
  const locks = keptLocks({ ...below, list }, () => new Date());
  const names = async () => (await locks.list()).map(({ metadata }) => metadata.name);
  expect(await names()).toEqual([]);
  await locks.create(lock('a'));
  expect(await Promise.all([names(), names(), names()])).toEqual([['a'], ['a'], ['a']]);
  await locks.put(lock('b'));
  expect(await names()).toEqual(['a', 'b']);
  await locks.delete('a');
  for (let at = 0; at < 10; at++) expect(await names()).toEqual(['b']);
  expect(reads).toBe(4);
  // Read while a change is made: what was kept then is not what is there now.
  const [, during] = await Promise.all([locks.put(lock('c')), names()]);
  expect(['b', 'b,c']).toContain(during.join());
  expect(await names()).toEqual(['b', 'c']);
});

test('A-L1 one whose time is over counts no more and is removed, by whichever of its ends comes first', async () => {
  let at = new Date('2026-01-01T00:00:00Z');
  const now = () => at;
  const store = await open({ path: ':memory:', now });
  const { locks } = recordsIn(store, now);
  await locks.put(lock('for-ever'));
  await locks.put(lock('spec', '2026-01-01T01:00:00Z'));
  await locks.put(lock('record', undefined, '2026-01-01T02:00:00Z'));
  await locks.put(lock('both', '2026-01-01T04:00:00Z', '2026-01-01T03:00:00Z'));
  const names = async () => (await locks.list()).map(({ metadata }) => metadata.name);
  expect(await names()).toEqual(['both', 'for-ever', 'record', 'spec']);
  for (const [hour, left] of [
    [1, ['both', 'for-ever', 'record']],
    [2, ['both', 'for-ever']],
    [3, ['for-ever']],
  ] as const) {
    at = new Date(`2026-01-01T0${hour}:00:00Z`);
    expect(await names()).toEqual(left);
  }
  expect(await locks.get('spec')).toBeUndefined();
});
