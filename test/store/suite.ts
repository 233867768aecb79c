/** What every store must do, whatever keeps it. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Change, Store } from '../../src/store/store.js';
import { keyOf } from '../../src/store/store.js';

export interface Fixture {
  open(now: () => Date): Promise<Store>;
  remove(): Promise<void>;
  /** False for stores that forget at close. */
  durable: boolean;
}

export function describeStore(name: string, make: () => Fixture): void {
  describe(`store: ${name}`, () => {
    let clock = 1_000_000;
    let fixture: Fixture;
    let store: Store;
    const now = () => new Date(clock);
    beforeEach(async () => {
      clock = 1_000_000;
      fixture = make();
      store = await fixture.open(now);
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });

    test('an item is read back as it was written, with a new revision at every write', async () => {
      const first = await store.create('/a/1', '{"x":"é"}');
      expect(await store.get('/a/1')).toEqual({ key: '/a/1', value: '{"x":"é"}', revision: first.revision });
      const second = await store.put('/a/1', '2');
      expect(second.revision).not.toBe(first.revision);
      expect((await store.get('/a/1'))?.value).toBe('2');
      expect(await store.get('/a/2')).toBeUndefined();
    });

    test('a taken key is not created again until it has expired', async () => {
      await store.create('/a', '1', { expires: new Date(clock + 1000) });
      await expect(store.create('/a', '2')).rejects.toMatchObject({ code: 'AlreadyExists' });
      clock += 1000;
      expect(await store.get('/a')).toBeUndefined();
      await store.create('/a', '3');
      expect((await store.get('/a'))?.value).toBe('3');
    });

    test('writes and deletes with a stale revision are refused and change nothing', async () => {
      const { revision } = await store.create('/a', '1');
      await store.put('/a', '2', { expectedRevision: revision });
      await expect(store.put('/a', '3', { expectedRevision: revision })).rejects.toMatchObject({
        code: 'CompareFailed',
      });
      await expect(store.delete('/a', { expectedRevision: revision })).rejects.toMatchObject({ code: 'CompareFailed' });
      await expect(store.put('/none', '3', { expectedRevision: revision })).rejects.toMatchObject({
        code: 'CompareFailed',
      });
      expect((await store.get('/a'))?.value).toBe('2');
      expect(await store.get('/none')).toBeUndefined();
    });

    test('of many writers that saw one revision exactly one wins', async () => {
      const { revision } = await store.create('/a', '0');
      const tries = Array.from({ length: 20 }, (_, i) => store.put('/a', String(i), { expectedRevision: revision }));
      const results = await Promise.allSettled(tries);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });

    test('delete says whether there was something', async () => {
      await store.create('/a', '1');
      expect(await store.delete('/a')).toBe(true);
      expect(await store.delete('/a')).toBe(false);
    });

    test('ranges come in key order, bounded, and continue after a key', async () => {
      for (const key of ['/u/c', '/u/a', '/u/b', '/v/a', '/u/ü', '/t/z']) await store.create(key, key);
      expect((await store.range('/u/')).map(({ key }) => key)).toEqual(['/u/a', '/u/b', '/u/c', '/u/ü']);
      expect((await store.range('/u/', { limit: 2 })).map(({ key }) => key)).toEqual(['/u/a', '/u/b']);
      expect((await store.range('/u/', { after: '/u/b' })).map(({ key }) => key)).toEqual(['/u/c', '/u/ü']);
      expect(await store.range('/x/')).toEqual([]);
    });

    test('a range leaves out what has expired', async () => {
      await store.create('/u/a', '1', { expires: new Date(clock + 10) });
      await store.create('/u/b', '2', { expires: new Date(clock + 20) });
      clock += 10;
      expect((await store.range('/u/')).map(({ key }) => key)).toEqual(['/u/b']);
    });

    test('a watch tells puts, deletes and expiry under its prefix in order, and ends with its signal', async () => {
      const stop = new AbortController();
      const watch = store.watch('/u/', stop.signal);
      const seen: Change[] = [];
      const done = (async () => {
        for await (const change of watch) if (seen.push(change) === 4) stop.abort();
      })();
      await store.create('/u/a', '1', { expires: new Date(clock + 10) });
      await store.create('/v/a', '1');
      await store.create('/u/b', '2');
      await store.put('/u/b', '3', { expectedRevision: 'stale' }).catch(() => {});
      await store.delete('/u/b');
      clock += 10;
      await store.get('/x');
      await done;
      expect(seen.map(({ type, key }) => `${type} ${key}`)).toEqual([
        'put /u/a',
        'put /u/b',
        'delete /u/b',
        'delete /u/a',
      ]);
      expect(seen[1]?.item?.value).toBe('2');
    });

    test('closing the store ends its watches and refuses further calls', async () => {
      const watch = store.watch('/', new AbortController().signal);
      const done = (async () => {
        for await (const _ of watch);
      })();
      await store.close();
      await done;
      await expect(store.get('/a')).rejects.toMatchObject({ code: 'ConnectionProblem' });
    });

    test('what was acknowledged is there after opening again', async () => {
      if (!fixture.durable) return;
      const { revision } = await store.create('/a', '1', { expires: new Date(clock + 500) });
      await store.close();
      store = await fixture.open(now);
      expect(await store.get('/a')).toEqual({ key: '/a', value: '1', revision, expires: new Date(clock + 500) });
      clock += 500;
      expect(await store.get('/a')).toBeUndefined();
    });

    test('parts of a key cannot reach into another folder', () => {
      expect(keyOf('users', 'a/b%2F', 'params')).toBe('/users/a%2Fb%252F/params');
    });
  });
}
