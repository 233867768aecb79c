/**
 * `postgres_listen_addr`: PostgreSQL on a port of its own, with TLS routing on and off (seed 002, "If you enable TLS
 * Routing"): on, tsh starts a local proxy for psql; off, psql goes straight to that port.
 * Tests: src/proxy/preference.ts, src/net/ports.ts
 */
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { afterAll, describe, expect, test } from '@jest/globals';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { dialTls } from '../../src/net/dial.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';

const psql = await findPsql(process.env.PATH);
const testWithPsql = psql ? test : test.skip;
const MODES = ['multiplex', 'separate'] as const;
const clusters = new Map<string, Promise<TestCluster>>();

/** Made when the first test asks for it. */
function clusterOf(mode: (typeof MODES)[number]): Promise<TestCluster> {
  const made =
    clusters.get(mode) ??
    startTestCluster({
      postgres: true,
      roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
      users: [{ name: 'alice', roles: ['analyst'] }],
      auth: { proxy_listener_mode: mode },
      proxy: { postgres_listen_addr: '127.0.0.1:0' },
    }).then(async (cluster) => {
      await cluster.login('alice', 'alice');
      await cluster.untilListed('alice', ['orders']);
      return cluster;
    });
  clusters.set(mode, made);
  return made;
}
afterAll(async () => {
  for (const made of clusters.values()) await (await made).stop();
});

interface Found {
  proxy: { tls_routing_enabled: boolean; db: { postgres_listen_addr: string }; ssh: { listen_addr: string } };
}

async function find(cluster: TestCluster): Promise<Found> {
  const ca = await readFile(cluster.webCaFile);
  return await new Promise((resolve, reject) => {
    const asked = request(`https://${cluster.proxyAddr}/webapi/find`, { ca }, async (answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      resolve(JSON.parse(Buffer.concat(chunks).toString()) as Found);
    });
    asked.on('error', reject);
    asked.end();
  });
}

describe.each(MODES)('%s', (mode) => {
  test('webapi/find announces the port, and whether clients go there', async () => {
    const { proxy } = await find(await clusterOf(mode));
    expect(proxy.tls_routing_enabled).toBe(mode === 'multiplex');
    expect(proxy.db.postgres_listen_addr).not.toBe(proxy.ssh.listen_addr);
  });

  test('tsh proxy db --tunnel gets through', async () => {
    const cluster = await clusterOf(mode);
    const client = await (await cluster.tunnel('alice', 'orders')).connect();
    expect((await client.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    await client.end();
  });

  testWithPsql(
    'psql goes the way that the mode says',
    async () => {
      const cluster = await clusterOf(mode);
      const { proxy } = await find(cluster);
      const port = proxy.db.postgres_listen_addr.split(':').at(-1)!;
      const config = await cluster.tsh('alice', 'db', 'login', 'orders', '--db-user=analyst', '--db-name=dev');
      expect(config.status).toBe(0);
      const shown = JSON.parse(
        (await cluster.tsh('alice', 'db', 'config', 'orders', '--format=json')).stdout,
      ) as object;
      expect(shown).toMatchObject({ port: mode === 'separate' ? Number(port) : expect.any(Number) });
      const ran = await cluster.tsh('alice', 'db', 'connect', 'orders', '--', '-XAtc', 'select 7', '-o', '/dev/null');
      expect(ran).toMatchObject({ status: 0, stderr: '' });
    },
    60_000,
  );

  test('that port takes PostgreSQL and nothing else', async () => {
    const cluster = await clusterOf(mode);
    const { proxy } = await find(cluster);
    const port = Number(proxy.db.postgres_listen_addr.split(':').at(-1));
    const web = dialTls({
      host: '127.0.0.1',
      port,
      servername: 'localhost',
      rejectUnauthorized: false,
      vars: {},
      timeoutMs: 60_000,
    });
    await expect(web).rejects.toThrow();
  });
});
