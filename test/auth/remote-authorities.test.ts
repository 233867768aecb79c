import { beforeAll, expect, test } from '@jest/globals';
import { checkedAuthorities, RemoteAuthorities } from '../../src/auth/remote-authorities.js';
import type { CaType, CertAuthority } from '../../src/resources/types.js';
import type { Item, Store } from '../../src/store/store.js';
import { createTestCa } from '../support/ca.js';

const LEAF = 'leaf.example.com';
let pem: string;
let foreign: string;
beforeAll(() => {
  pem = createTestCa(LEAF).certPem;
  foreign = createTestCa('other.example.com').certPem;
});

function authority(type: CaType = 'host', { cluster = LEAF, cert = pem, keys = 1 } = {}): CertAuthority {
  const tls = Array.from({ length: keys }, () => ({ cert: Buffer.from(cert).toString('base64'), key: 'secret' }));
  return {
    kind: 'cert_authority',
    sub_kind: type,
    version: 'v2',
    metadata: { name: cluster, labels: { any: 'thing' } },
    spec: { type, cluster_name: cluster, active_keys: { tls }, additional_trusted_keys: {} },
  };
}

test('of the authorities of another cluster the public halves are kept, and nothing that came with them', () => {
  const { cluster, authorities } = checkedAuthorities([authority('user'), authority('host')], ['host', 'user']);
  expect(cluster).toBe(LEAF);
  expect(authorities.map(({ spec }) => spec.type)).toEqual(['host', 'user']);
  expect(JSON.stringify(authorities)).not.toContain('secret');
  expect(authorities[0]!.metadata).toEqual({ name: LEAF });
});

test('authorities that are not exactly those of one cluster are refused', () => {
  const refusal =
    (given: CertAuthority[], types: CaType[] = ['host']) =>
    () =>
      checkedAuthorities(given, types);
  expect(refusal([])).toThrow('expected exactly one host authority, received 0');
  expect(refusal([authority(), authority()])).toThrow('expected exactly one host authority, received 2');
  expect(refusal([authority(), authority('user', { cluster: 'x', cert: foreign })], ['host', 'user'])).toThrow(
    'the authorities are of different clusters',
  );
  expect(refusal([authority('host', { cert: foreign })])).toThrow('does not match the cluster name');
  expect(refusal([authority('host', { keys: 0 })])).toThrow('the host authority has no certificate');
  expect(refusal([authority('host', { keys: 20 })])).toThrow('too many keys');
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

test('what is believed is what was put, is on and was not dropped, and it is there after a start', async () => {
  const store = memoryStore();
  let changes = 0;
  const remotes = await RemoteAuthorities.open(store, () => changes++);
  await remotes.put(LEAF, [authority()]);
  const trusted = [{ cluster: LEAF, hostCas: [pem], userCas: [] }];
  expect(remotes.trusts).toEqual(trusted);
  await remotes.put(LEAF, [authority()]);
  expect(changes).toBe(1);
  await remotes.setOn(LEAF, false);
  expect(remotes.trusts).toEqual([]);
  expect(remotes.has(LEAF)).toBe(true);
  await remotes.setOn(LEAF, true);
  expect((await RemoteAuthorities.open(store, () => {})).trusts).toEqual(trusted);
  await remotes.drop(LEAF);
  expect(remotes.trusts).toEqual([]);
  expect(remotes.has(LEAF)).toBe(false);
  expect((await RemoteAuthorities.open(store, () => {})).trusts).toEqual([]);
});
