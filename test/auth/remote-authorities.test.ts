import { beforeAll, expect, test } from '@jest/globals';
import { RemoteAuthorities } from '../../src/auth/remote-authorities.js';
import { silent } from '../../src/log.js';
import type { CertAuthority } from '../../src/resources/types.js';
import { type Item, keyOf, type Store } from '../../src/store/store.js';
import { authorityFor } from '../support/authority.js';
import { createTestCa } from '../support/ca.js';

const LEAF = 'leaf.example.com';
let pem: string;
let authority: CertAuthority;
beforeAll(() => {
  pem = createTestCa(LEAF).certPem;
  authority = authorityFor(LEAF, { certs: [pem] });
});

function memoryStore(): Store {
  const items = new Map<string, string>();
  const itemOf = ([key, value]: [string, string]): Item => ({ key, value, revision: '1' }) as Item;
  return {
    range: async (prefix: string) => [...items].filter(([key]) => key.startsWith(prefix)).map(itemOf),
    put: async (key: string, value: string) => {
      items.set(key, value);
      return itemOf([key, value]);
    },
    delete: async (key: string) => items.delete(key),
  } as unknown as Store;
}

const opened = (store: Store, changed = () => {}) => RemoteAuthorities.open(store, { changed, log: silent });

const put = (remotes: RemoteAuthorities, given: CertAuthority, options?: { isOn: boolean }) =>
  remotes.change(given.spec.cluster_name, (remote) => remote.put([given], options));

test('what is believed is what was put, is on and was not dropped, and it is there after a start', async () => {
  const store = memoryStore();
  let changes = 0;
  const remotes = await opened(store, () => changes++);
  await put(remotes, authority);
  const trusted = [{ cluster: LEAF, hostCas: [pem], userCas: [] }];
  expect(remotes.trusts).toEqual(trusted);
  await put(remotes, authority);
  expect(changes).toBe(1);
  await put(remotes, authority, { isOn: false });
  expect(remotes.trusts).toEqual([]);
  expect(remotes.has(LEAF)).toBe(true);
  await put(remotes, authority);
  expect(remotes.isOn(LEAF)).toBe(false);
  await put(remotes, authority, { isOn: true });
  expect((await opened(store)).trusts).toEqual(trusted);
  await remotes.change(LEAF, (remote) => remote.drop());
  expect(remotes.trusts).toEqual([]);
  expect(remotes.has(LEAF)).toBe(false);
  expect((await opened(store)).trusts).toEqual([]);
});

test('R-A-H3 changes of one cluster go one after the other, and each looks at what is there then', async () => {
  const remotes = await opened(memoryStore());
  await put(remotes, authority);
  const dropped = remotes.change(LEAF, (remote) => remote.drop());
  const late = remotes.change(LEAF, async (remote) => {
    if (remote.known) await remote.put([authority]);
    return remote.known;
  });
  await dropped;
  expect(await late).toBeUndefined();
  expect(remotes.has(LEAF)).toBe(false);
});

test('R-A-H1 what an older version has stored and nobody takes today is not believed, and can be dropped', async () => {
  const store = memoryStore();
  const evil = createTestCa('root.example.com').certPem;
  const stored = { cluster: LEAF, isOn: true, authorities: [authorityFor(LEAF, { certs: [`${pem}${evil}`] })] };
  await store.put(keyOf('remote_authority', LEAF), JSON.stringify(stored));
  const remotes = await opened(store);
  expect(remotes.trusts).toEqual([{ cluster: LEAF, hostCas: [], userCas: [] }]);
  expect(remotes.ofType('host')).toEqual([]);
  await remotes.change(LEAF, (remote) => remote.drop());
  expect(remotes.has(LEAF)).toBe(false);
});

test('R-A-H1 the authorities of all clusters together have a bound, and rotations have room behind that of new ones', async () => {
  const remotes = await opened(memoryStore());
  const large = (name: string, copies: number) =>
    authorityFor(name, { certs: Array.from({ length: copies }, () => pem) });
  let taken = 0;
  const filling = async () => {
    for (; taken < 1_000; taken++) await put(remotes, large(`l${taken}.example.com`, 30));
  };
  await expect(filling()).rejects.toThrow('the authorities of all other clusters would be larger than 2097152 bytes');
  expect(taken).toBeGreaterThan(30);
  await put(remotes, large('l0.example.com', 32));
  const growing = put(remotes, large('l0.example.com', 2_000));
  await expect(growing).rejects.toThrow('larger than 3145728 bytes');
  expect(remotes.of('l0.example.com')![0]!.spec.active_keys.tls).toHaveLength(32);
});

test('R-C-L1 a cluster, leaf or root, is found by its name in other letters, and changes of such names go one after the other', async () => {
  const remotes = await opened(memoryStore());
  await put(remotes, authority, { isOn: false });
  expect([remotes.nameLike('Leaf.EXAMPLE.com'), remotes.nameLike('leaf')]).toEqual([LEAF, undefined]);
  const order: string[] = [];
  let finish = () => {};
  const first = remotes.change(LEAF, async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    order.push('first');
  });
  const second = remotes.change('LEAF.example.com', async () => void order.push('second'));
  await remotes.change('other', async () => finish());
  await Promise.all([first, second]);
  expect(order).toEqual(['first', 'second']);
});
