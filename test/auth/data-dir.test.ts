/** What Auth makes of its data directory: a new cluster only in an untouched one, whole after a clean stop, refused when damaged. */
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startAuth } from '../../src/auth/service.js';
import { silent } from '../../src/log.js';
import { CA_TYPES } from '../../src/resources/types.js';
import { openEmbeddedStore } from '../../src/store/embedded.js';
import type { Store } from '../../src/store/store.js';
import { CLUSTER } from './test-auth.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'auth-data-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const at = (...parts: string[]) => join(dir, ...parts);
const start = (dataDir = dir) =>
  startAuth({
    dataDir,
    clusterName: CLUSTER,
    listen: { host: '127.0.0.1', port: 0 },
    nodename: 'n',
    log: silent,
    version: '18.3.0',
  });

/** Start and stop once. @returns the pins of the Host authority, which are the cluster's identity */
async function pinsOf(dataDir = dir): Promise<string[]> {
  const auth = await start(dataDir);
  const pins = await auth.caPins();
  await auth.close();
  return pins;
}

async function inStore<T>(path: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openEmbeddedStore({ path });
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

describe('F10 a backup', () => {
  test('of backend/auth.db alone, after a clean stop, is the whole cluster', async () => {
    const pins = await pinsOf();
    expect(readdirSync(at('backend'))).toEqual(['auth.db']);
    const other = mkdtempSync(join(tmpdir(), 'auth-copy-'));
    mkdirSync(join(other, 'backend'));
    copyFileSync(at('backend', 'auth.db'), join(other, 'backend', 'auth.db'));
    expect(await pinsOf(other)).toEqual(pins);
    rmSync(other, { recursive: true });
  });

  test('that was taken from the file alone while Auth ran has the name and the keys of the cluster', async () => {
    const auth = await start();
    const pins = await auth.caPins();
    const other = mkdtempSync(join(tmpdir(), 'auth-copy-'));
    mkdirSync(join(other, 'backend'));
    copyFileSync(at('backend', 'auth.db'), join(other, 'backend', 'auth.db'));
    await auth.close();
    expect(await pinsOf(other)).toEqual(pins);
    rmSync(other, { recursive: true });
  });

  test('a first start that was killed before the store was whole begins anew', async () => {
    mkdirSync(at('backend'));
    writeFileSync(at('backend', 'auth.db.new'), '');
    writeFileSync(at('host_uuid'), 'a-b-c\n');
    expect(await pinsOf()).toHaveLength(1);
    expect(readdirSync(at('backend'))).toEqual(['auth.db']);
  });
});

describe('W1 a damaged or missing store is never taken for a new cluster', () => {
  const damaged = { code: 'ConnectionProblem', hint: expect.stringContaining('backup') };

  test('empty, cut and of another kind', async () => {
    await pinsOf();
    const store = at('backend', 'auth.db');
    const whole = readFileSync(store);
    for (const bytes of [
      Buffer.alloc(0),
      whole.subarray(0, 4096),
      whole.subarray(0, 10_000),
      Buffer.alloc(9000, 'x'),
    ]) {
      writeFileSync(store, bytes);
      await expect(start()).rejects.toMatchObject({ ...damaged, message: expect.stringContaining(store) });
      expect(readFileSync(store).equals(bytes)).toBe(true);
    }
    writeFileSync(store, whole);
    await (await start()).close();
  });

  test('a store without its cluster, or without any of the keys: none is made anew', async () => {
    await pinsOf();
    const path = at('backend', 'auth.db');
    for (const [key, text] of [
      ...CA_TYPES.map((type) => [`/cert_authority/${type}`, `its authorities cannot be used: "${type}" is missing`]),
      ['/cluster', 'the name of the cluster is missing'],
    ] as [string, string][]) {
      const refused = async () => {
        await expect(start()).rejects.toMatchObject({ ...damaged, message: `the store ${path} is damaged: ${text}` });
      };
      const item = await inStore(path, async (store) => {
        const before = (await store.get(key))!;
        await store.delete(key);
        return before;
      });
      await refused();
      await refused();
      await inStore(path, (store) => store.create(key, item.value));
    }
    await (await start()).close();
  });

  test('an authority without its key', async () => {
    await pinsOf();
    const path = at('backend', 'auth.db');
    await inStore(path, async (store) => {
      const authority = JSON.parse((await store.get('/cert_authority/user'))!.value);
      authority.spec.active_keys = {};
      await store.put('/cert_authority/user', JSON.stringify(authority));
    });
    await expect(start()).rejects.toMatchObject({
      ...damaged,
      message: `the store ${path} is damaged: its authorities cannot be used: "user" has no key`,
    });
  });

  test('keys that cannot be read', async () => {
    await pinsOf();
    const path = at('backend', 'auth.db');
    const store = await openEmbeddedStore({ path });
    for (const broken of [
      '{"spec',
      JSON.stringify({ spec: { type: 'host', active_keys: { tls: [{ cert: '', key: 'AAAA' }] } } }),
    ]) {
      await store.put('/cert_authority/host', broken);
      const again = start();
      await expect(again).rejects.toMatchObject(damaged);
    }
    await store.close();
  });

  test.each([
    ['the audit log', 'log/2026-11-21.log'],
    ['the identity of tctl', 'admin-identity.json'],
    ['an identity of a host', 'identity-db.json'],
    ['a -wal file', 'backend/auth.db-wal'],
  ])('no store beside %s', async (_, name) => {
    mkdirSync(at('log'));
    mkdirSync(at('backend'));
    writeFileSync(at(name), '{}');
    await expect(start()).rejects.toMatchObject({
      code: 'NotFound',
      message: expect.stringContaining(
        `the store ${at('backend', 'auth.db')} is missing, but ${dir} belongs to a cluster: ${name}`,
      ),
      hint: expect.stringContaining('use an empty data_dir'),
    });
    expect(readdirSync(at('backend'))).toEqual(name.startsWith('backend') ? ['auth.db-wal'] : []);
  });

  test('the store of a cluster that was removed', async () => {
    await pinsOf();
    rmSync(at('backend'), { recursive: true });
    await expect(start()).rejects.toMatchObject({ code: 'NotFound' });
    truncateSync(at('admin-identity.json'), 0);
    await expect(start()).rejects.toMatchObject({ code: 'NotFound' });
  });
});
