/**
 * Tests: src/api/without-authority.ts, src/pki/cluster-name.ts, src/webapi/exchange.ts
 */
import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createServer as createTls, type Server } from 'node:tls';
import { authTlsOptions, dialAuth } from '../../src/api/dial.js';
import { AuthService, JoinService } from '../../src/api/gen/authservice_pb.js';
import { type AuthHttp2Server, createAuthHttp2Server } from '../../src/api/server.js';
import { TeleportError } from '../../src/errors.js';
import { spkiPin } from '../../src/pki/verify.js';
import { type JoinOptions, joinCluster } from '../../src/webapi/join.js';
import { createTestCa, hostOf, type TestCa } from '../support/ca.js';

const CLUSTER = 'example.com';
let ca: TestCa;
let grpc: AuthHttp2Server;
let auth: Server;
let web: ReturnType<typeof createHttps>;
const seen: unknown[] = [];

beforeAll(async () => {
  ca = createTestCa(CLUSTER);
  const host = ca.issue(['*.teleport.cluster.local', 'teleport.cluster.local', 'localhost'], {
    subject: hostOf('Admin'),
  });
  grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes: (router) => {
      router.service(AuthService, {
        getClusterCACert: () => ({ tlsCa: Buffer.from(ca.certPem) }),
        ping: () => ({ clusterName: CLUSTER }),
      });
      router.service(JoinService, {
        registerUsingToken: (request) => {
          if (request.token !== 'good') throw new TeleportError('AccessDenied', 'the token is not valid');
          return { tls: Buffer.from(host.cert), tlsCaCerts: [Buffer.from(ca.certPem)] };
        },
      });
    },
  });
  auth = createTls({ ...host, ALPNProtocols: ['h2'] }, (socket) => grpc.accept(socket, { remoteAddr: '' }));
  auth.on('tlsClientError', () => {});
  web = createHttps(host, async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    seen.push(JSON.parse(body));
    const good = JSON.parse(body).token === 'good';
    response.statusCode = good ? 200 : 403;
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    response.end(
      JSON.stringify(
        good
          ? { ssh: base64('line'), tls: base64(host.cert), tls_ca_certs: [base64(ca.certPem)], ssh_ca_certs: [] }
          : { error: { message: 'the token is not valid' } },
      ),
    );
  });
  web.on('tlsClientError', () => {});
  for (const server of [auth, web]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
});

afterAll(async () => {
  await grpc.close({ graceMs: 50 });
  await Promise.all([auth, web].map((server) => new Promise((done) => server.close(done))));
});

function join(kind: 'direct' | 'proxy', more: Partial<JoinOptions> = {}) {
  const server = kind === 'direct' ? auth : web;
  return joinCluster({
    route: { kind, host: '127.0.0.1', port: (server.address() as AddressInfo).port, vars: {} },
    token: 'good',
    role: 'Db',
    hostId: 'h1',
    nodename: 'node',
    version: '18.3.0',
    ...more,
  });
}

test('through a Proxy the keys travel as base64 and the answer becomes an identity', async () => {
  const identity = await join('proxy', { insecure: true, caPins: [spkiPin(ca.certPem)] });
  expect(identity).toMatchObject({ hostId: 'h1', role: 'Db', clusterName: CLUSTER, sshCert: 'line' });
  expect(identity.hostCaPems).toHaveLength(1);
  const sent = seen.at(-1) as Record<string, string>;
  expect(sent).toMatchObject({ hostID: 'h1', node_name: 'node', role: 'Db', token: 'good' });
  expect(Buffer.from(sent.public_tls_key!, 'base64').toString()).toMatch(/^-----BEGIN PUBLIC KEY-----/);
  expect(Buffer.from(sent.public_ssh_key!, 'base64').toString()).toMatch(/^ssh-ed25519 /);
});

test('a wrong token is refused in the words of the server, by either way', async () => {
  for (const kind of ['direct', 'proxy'] as const) {
    const joined = join(kind, { token: 'bad', insecure: true });
    await expect(joined).rejects.toMatchObject({ code: 'AccessDenied', message: 'the token is not valid' });
  }
});

test('the token is not sent to a Proxy whose certificate nobody vouches for', async () => {
  const before = seen.length;
  await expect(join('proxy')).rejects.toMatchObject({ code: 'ConnectionProblem' });
  expect(seen).toHaveLength(before);
});

test('at the Auth port the pin vouches for the authority, which vouches for the server', async () => {
  await expect(join('direct', { caPins: [spkiPin(ca.certPem)] })).resolves.toMatchObject({ clusterName: CLUSTER });
  await expect(join('direct', { caPins: [`sha256:${'0'.repeat(64)}`] })).rejects.toMatchObject({
    code: 'AccessDenied',
  });
  await expect(join('direct')).rejects.toMatchObject({ code: 'BadParameter' });
});

test('roots are picked by the name of the target cluster', () => {
  const credentials = { clusterName: CLUSTER, hostCaPems: [ca.certPem] };
  expect(authTlsOptions(credentials)).toMatchObject({
    servername: '6578616d706c652e636f6d.teleport.cluster.local',
    alpn: ['teleport-auth@6578616d706c652e636f6d.teleport.cluster.local', 'h2'],
    ca: [ca.certPem],
  });
  expect(() => authTlsOptions(credentials, { targetCluster: 'leaf' })).toThrow('"leaf" is known');
});

test('dialAuth reaches a cluster by its hex name and refuses a foreign one', async () => {
  const route = { kind: 'direct', host: '127.0.0.1', port: (auth.address() as AddressInfo).port } as const;
  const credentials = { clusterName: CLUSTER, hostCaPems: [ca.certPem] };
  await using client = await dialAuth(route, credentials, { version: '18.3.0' });
  expect((await client.auth.ping({})).clusterName).toBe(CLUSTER);
  const foreign = { clusterName: CLUSTER, hostCaPems: [createTestCa(CLUSTER).certPem] };
  await expect(dialAuth(route, foreign, { version: '18.3.0' })).rejects.toMatchObject({
    code: 'ConnectionProblem',
  });
});
