/** The way to Auth behind a balancer that ends TLS is found when the direct one fails; another failure stays itself. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { dialAuth } from '../../src/api/dial.js';
import { createTestCa, hostOf } from '../support/ca.js';
import { CLUSTER, type FakeCluster, startFakeCluster } from '../support/fake-cluster/cluster.js';

let cluster: FakeCluster;
beforeAll(async () => {
  cluster = await startFakeCluster({ now: () => new Date() });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const dial = (port: number, options: { hostCaPem?: string; connUpgrade?: boolean } = {}) =>
  dialAuth(
    {
      kind: 'proxy',
      host: 'localhost',
      port,
      vars: { SSL_CERT_FILE: cluster.webCaFile },
      ...(options.connUpgrade === undefined ? {} : { connUpgrade: options.connUpgrade }),
    },
    { clusterName: CLUSTER, hostCaPems: [options.hostCaPem ?? cluster.hostCaPem] },
    { version: '18.3.0' },
  );

test('nobody said that there is a balancer', async () => {
  cluster.calls.length = 0;
  await using auth = await dial(cluster.balancerPort);
  const { remoteClusters } = await auth.presence.listRemoteClusters({});
  expect(remoteClusters.map(({ metadata }) => metadata?.name)).toEqual(['leaf.local']);
  expect(cluster.calls).toEqual(['UPGRADE alpn-ping', 'ListRemoteClusters']);
});

test('where there is none nothing is upgraded', async () => {
  cluster.calls.length = 0;
  await using auth = await dial(cluster.port);
  await auth.presence.listRemoteClusters({});
  expect(cluster.calls).toEqual(['ListRemoteClusters']);
});

test('a route that says so is believed', async () => {
  await expect(dial(cluster.balancerPort, { connUpgrade: false })).rejects.toMatchObject({ code: 'ConnectionProblem' });
});

test('a host that another authority signed is refused', async () => {
  const hostCaPem = createTestCa(CLUSTER).certPem;
  await expect(dial(cluster.port, { hostCaPem })).rejects.toMatchObject({ certificateProblem: 'unknown-authority' });
});

test.each([
  ['Admin', true],
  ['Auth', true],
  ['Proxy', true],
  ['Db', false],
  ['Instance', false],
  ['Node', false],
  ['', false],
])('A-H2 a server with the right name and the certificate of a host of role %j is taken: %s', async (role, isTaken) => {
  const ca = createTestCa(CLUSTER);
  const own = ca.issue('*.teleport.cluster.local', { subject: hostOf(role) });
  await using server = createServer({ ...own, ALPNProtocols: ['h2'] }, (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const credentials = { clusterName: CLUSTER, hostCaPems: [ca.certPem] };
  const dialled = dialAuth({ kind: 'direct', host: '127.0.0.1', port }, credentials, { version: '18.3.0' });
  if (isTaken) return await (await dialled).close();
  await expect(dialled).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: expect.stringContaining('neither the Auth Service nor a Proxy'),
  });
});
