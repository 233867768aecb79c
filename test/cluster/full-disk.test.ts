/** A whole cluster on a small disk, which somebody fills with statements. Tests: src/audit/reserve.ts */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { mountSmallDisk, type SmallDisk, testOnSmallDisk } from '../support/small-disk.js';

let disk: SmallDisk | undefined;
let cluster: TestCluster;
afterAll(async () => {
  await cluster?.stop();
  disk?.unmount();
});

beforeAll(async () => {
  if (testOnSmallDisk === test.skip) return;
  disk = mountSmallDisk(32 * 1024);
  cluster = await startTestCluster({
    postgres: true,
    dataDir: join(disk.dir, 'data'),
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'mallory', roles: ['analyst'] }],
  });
  await cluster.login('mallory', 'mallory');
  await cluster.untilListed('mallory', ['orders']);
});

testOnSmallDisk('M3 who fills the disk of a cluster with statements is refused, and can be locked', async () => {
  const tunnel = await cluster.tunnel('mallory', 'orders');
  const fill = async (length: number) => {
    const client = await tunnel.connect();
    client.on('error', () => {});
    // Six bytes a character in the log.
    for (let n = 0; n < 100_000; n++) await client.query(`select length('${'\x01'.repeat(length)}')`);
  };
  // Down to the last bytes.
  for (const length of [500_000, 50_000, 5000, 50]) {
    await expect(fill(length)).rejects.toMatchObject({ code: '53100' });
  }
  expect(await cluster.tctl('lock', '--user=mallory')).toMatchObject({ status: 0 });
  const { status, stderr } = await cluster.tsh('mallory', 'db', 'ls');
  expect([status, stderr]).toEqual([1, expect.stringContaining('lock')]);
});
