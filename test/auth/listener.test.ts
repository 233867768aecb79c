/**
 * Tests: src/auth/ca.ts, src/auth/grpc/auth-service.ts, src/auth/grpc/cluster-config.ts, src/auth/grpc/presence.ts
 * Tests: src/auth/service.ts
 */
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { hexName } from '../../src/api/alpn.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import type { HostIdentity } from '../../src/api/host-identity.js';
import { joinHostPort } from '../../src/host-port.js';
import { proofOfAddress } from '../../src/identity/signed-address.js';
import { dialTls } from '../../src/net/dial.js';
import { encodeProxyHeader } from '../../src/net/proxy-protocol.js';
import { certificateDer } from '../../src/pki/certificate.js';
import { gone } from '../support/gone.js';
import { runScript } from '../support/script.js';
import { becomeLeaf, CLUSTER, TestAuth } from './test-auth.js';

let cluster: TestAuth;
beforeAll(async () => {
  cluster = await TestAuth.start();
});
afterAll(() => cluster.remove());

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const headerV4 = Buffer.from(`${SIGNATURE}2111000ccb0071077f00000112670bd1`, 'hex');
const headerV6 = Buffer.from(
  `${SIGNATURE}21210024${'20010db8000000000000000000000001'}${'00000000000000000000000000000001'}12670bd1`,
  'hex',
);
const headerLocal = Buffer.from(`${SIGNATURE}20000000`, 'hex');

/** The address that Auth sees on a connection that begins with these bytes. */
async function seenBehind(header: Buffer, shown?: { certPem?: string; keyPem?: string }): Promise<string> {
  const { hostCaPems, ...node } = await cluster.identity('Node');
  const { certPem = '', keyPem = '' } = shown ?? node;
  const client = openAuthClient({
    authority: hexName(CLUSTER),
    version: '18.3.0',
    connect: async () => {
      const socket = connect(cluster.auth.address.port, '127.0.0.1');
      await once(socket, 'connect');
      // One byte first: a header may come in pieces.
      if (header.length > 0) {
        socket.write(header.subarray(0, 1));
        socket.write(header.subarray(1));
      }
      const dialling = { host: '127.0.0.1', port: 1, servername: hexName(CLUSTER), alpn: ['h2'], timeoutMs: 60_000 };
      return await dialTls({ ...dialling, ca: hostCaPems, ...(certPem ? { cert: certPem, key: keyPem } : {}), socket });
    },
  });
  try {
    return (await client.auth.ping({})).remoteAddr;
  } finally {
    await client.close();
  }
}

test('the address of a connection is its own', async () => {
  expect(await seenBehind(Buffer.alloc(0))).toMatch(/^127\.0\.0\.1:\d+$/);
});

async function signedHeader(address: string, via = ''): Promise<Buffer> {
  const { certPem, keyPem } = await cluster.identity('Proxy');
  const proof = { certificateDer: certificateDer(certPem), key: createPrivateKey(keyPem), now: cluster.now(), via };
  const destination = { address: '127.0.0.1', port: cluster.auth.address.port };
  return encodeProxyHeader({ address, port: 4711 }, destination, (bytes) => proofOfAddress(bytes, proof));
}

test.each(['203.0.113.7', '2001:db8::1'])(
  'a PROXY header that a Proxy has signed says who dialled: %s',
  async (address) => {
    expect(await seenBehind(await signedHeader(address))).toBe(joinHostPort(address, 4711));
  },
);

test('R-A-L2 through a root comes nobody but its own people, whatever address it says', async () => {
  const user = await cluster.login('pinned', await cluster.invite('pinned', ['access']));
  for (const address of ['203.0.113.7', '127.0.0.1']) {
    for (const shown of [{}, user, await cluster.identity('Node'), await cluster.identity('Admin')]) {
      expect(await seenBehind(await signedHeader(address), shown)).toBe(joinHostPort(address, 4711));
      const through = seenBehind(await signedHeader(address, 'root-of-ours.example.com'), shown);
      await expect(through).rejects.toMatchObject({ code: 'ConnectionProblem' });
    }
  }
});

test.each([
  ['an IPv4 address', headerV4],
  ['an IPv6 address', headerV6],
  ['no address', headerLocal],
  ['version 1', Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 4711 3025\r\n')],
])('X17 a PROXY header that nobody signed is not believed from this machine either: %s', async (_, header) => {
  await expect(seenBehind(header)).rejects.toMatchObject({ code: 'ConnectionProblem' });
});

test('a header that is too long, or of another version, ends the connection', async () => {
  for (const bad of [`${SIGNATURE}2111ffff`, `${SIGNATURE}1111000c${'00'.repeat(12)}`]) {
    const socket = connect(cluster.auth.address.port, '127.0.0.1');
    socket.write(Buffer.from(bad, 'hex'));
    await gone(socket.resume());
  }
});

test('the data directory of another cluster is refused', async () => {
  const other = await TestAuth.start({
    settings: { cluster_auth_preference: { signature_algorithm_suite: 'legacy' } },
    clusterName: 'other.example.com',
  }).catch((e: unknown) => e);
  expect(other).toBeInstanceOf(TestAuth);
  const { dir } = other as TestAuth;
  await (other as TestAuth).stop();
  const { startAuth } = await import('../../src/auth/service.js');
  const { silent } = await import('../../src/log.js');
  const listen = { host: '127.0.0.1', port: 0 };
  await expect(
    startAuth({ dataDir: dir, clusterName: CLUSTER, listen, nodename: 'n', log: silent, version: '18.3.0' }),
  ).rejects.toMatchObject({ code: 'BadParameter' });
  rmSync(dir, { recursive: true });
});

test('users that were acknowledged survive kill -9 of the service, and so does its authority', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'auth-kill-'));
  const dataDir = join(dir, 'data');
  const start = async () => {
    const { child, lines, ended } = await runScript(
      dir,
      `import { startAuth } from './src/auth/service.ts';
       import { silent } from './src/log.ts';
       startAuth({ dataDir: process.argv[2], clusterName: '${CLUSTER}', listen: { host: '127.0.0.1', port: 0 },
         nodename: 'n', log: silent, version: '18.3.0' })
         .then((auth) => process.stdout.write(auth.address.port + '\\n'));`,
      [dataDir],
    );
    const first = once(lines, 'line') as Promise<[string]>;
    const [port] = await Promise.race([
      first,
      ended.then(({ stderr }) => {
        throw new Error(stderr);
      }),
    ]);
    return {
      port: Number(port),
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
      },
    };
  };
  const admin = (port: number) => {
    const { certPem, keyPem, hostCaPems } = JSON.parse(
      readFileSync(join(dataDir, 'admin-identity.json'), 'utf8'),
    ) as HostIdentity;
    const servername = hexName(CLUSTER);
    return openAuthClient({
      authority: servername,
      version: '18.3.0',
      connect: () =>
        dialTls({
          host: '127.0.0.1',
          port,
          servername,
          alpn: ['h2'],
          ca: hostCaPems,
          cert: certPem,
          key: keyPem,
          timeoutMs: 60_000,
        }),
    });
  };
  const first = await start();
  const before = admin(first.port);
  const acknowledged: string[] = [];
  let killed: Promise<void> | undefined;
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      const name = `user-${i}`;
      await before.users.createUser({ user: { metadata: { name }, spec: { roles: ['access'] } } }).then(
        () => acknowledged.push(name),
        () => {},
      );
      // Two may be acknowledged at once.
      if (acknowledged.length >= 20) killed ??= first.kill();
      await killed;
    }),
  );
  await before.close();
  const second = await start();
  const after = admin(second.port);
  try {
    const names = (await after.users.listUsers({})).users.map(({ metadata }) => metadata!.name);
    expect(acknowledged.length).toBeGreaterThanOrEqual(20);
    expect(names).toEqual(expect.arrayContaining(acknowledged));
  } finally {
    await after.close();
    await second.kill();
    rmSync(dir, { recursive: true });
  }
});

test('R-A-M2 a leaf that makes as many hosts as it wants takes an eighth of the room for hosts, and those of the root have theirs', async () => {
  const root = await TestAuth.start({ listen: { host: '127.0.0.1', port: 0, crowd: { descriptors: 240 } } });
  const leaf = await TestAuth.start({ clusterName: 'leaf.example.com' });
  const clients: AuthClient[] = [];
  try {
    await becomeLeaf(root, leaf);
    const agent = await root.identity('Db');
    const { hostCaPems } = await root.identity('Node');
    const refused: string[] = [];
    for (let at = 0; at < 12; at++) {
      const { certPem, keyPem } = await leaf.auth.issueHostIdentity({
        role: 'RemoteProxy',
        nodename: 'x',
        additionalPrincipals: [],
        dnsNames: [],
      });
      const dialling = { ...root.auth.address, servername: hexName(CLUSTER), alpn: ['h2'], timeoutMs: 60_000 };
      const socket = await dialTls({ ...dialling, ca: hostCaPems, cert: certPem, key: keyPem });
      const client = openAuthClient({ authority: hexName(CLUSTER), version: '18.3.0', connect: async () => socket });
      clients.push(client);
      const asked = client.trustLink.getEnding({ user: 'x', userGeneration: '' });
      await asked.catch((error: Error) => refused.push(error.message));
    }
    // 240 descriptors: 64 for hosts.
    const text = 'too many connections of hosts of cluster "leaf.example.com": 8 are open';
    expect(refused).toEqual(Array(4).fill(expect.stringContaining(text)));
    await (await root.as(agent)).auth.getDomainName({});
  } finally {
    await Promise.all(clients.map((client) => client.close()));
    await leaf.remove();
    await root.remove();
  }
});
