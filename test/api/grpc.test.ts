/**
 * Tests: src/api/alpn.ts, src/api/caller.ts, src/api/client.ts, src/api/server.ts, src/api/status.ts
 * Tests: src/api/version-gate.ts, src/errors.ts, src/net/end-session.ts, src/net/hang-up.ts
 */
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2, constants } from 'node:http2';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createServer, type TLSSocket } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import { authAlpn, hexName } from '../../src/api/alpn.js';
import { callerKey } from '../../src/api/caller.js';
import { type AuthClient, openAuthClient } from '../../src/api/client.js';
import { AuthService, PingResponseSchema } from '../../src/api/gen/authservice_pb.js';
import { TrustService } from '../../src/api/gen/trust_pb.js';
import { RoleV6Schema } from '../../src/api/gen/types_pb.js';
import { type AuthHttp2Server, createAuthHttp2Server } from '../../src/api/server.js';
import { isExpiredCredentials, unknownStatus } from '../../src/api/status.js';
import { TeleportError } from '../../src/errors.js';
import { newIdentity } from '../../src/identity/identity.js';
import { createLogger } from '../../src/log.js';
import { createTestCa, type TestCa } from '../support/ca.js';

const CLUSTER = 'example.com';
const NAME = hexName(CLUSTER);
const STRANGERS_RATE = { perMinute: 1, burst: 30 };
let ca: TestCa;
let grpc: AuthHttp2Server;
let close: () => Promise<void>;
let port: number;
const logged: string[] = [];
let client: AuthClient;
/** Where the next connection comes from, instead of this machine. */
let from: string | undefined;

beforeAll(async () => {
  ca = createTestCa(CLUSTER);
  const host = ca.issue('*.teleport.cluster.local');
  grpc = createAuthHttp2Server({
    version: '18.3.0',
    routes,
    maxMessageBytes: 64 * 1024,
    strangersRate: STRANGERS_RATE,
    log: createLogger({ component: 'TEST', level: 'warn', write: (line) => logged.push(line) }),
  });
  const server = createServer(
    {
      key: host.key,
      cert: host.cert,
      ca: [ca.certPem],
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    },
    (socket) => {
      const shown = socket.authorized ? socket.getPeerX509Certificate() : undefined;
      const identity = newIdentity({
        username: shown?.subject ?? '',
        groups: ['access'],
        teleportCluster: CLUSTER,
        expires: new Date(),
      });
      const bearer = shown && { certificateDer: shown.raw, identity, role: undefined };
      grpc.accept(socket, { bearer, remoteAddr: `${from ?? socket.remoteAddress}:${socket.remotePort}` });
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  close = async () => {
    await grpc.close({ graceMs: 100 });
    await new Promise((done) => server.close(done));
  };
});

afterAll(async () => await close());
afterEach(async () => {
  from = undefined;
  await client?.close();
});

function routes(router: ConnectRouter): void {
  router.service(AuthService, {
    ping: (_request, context) => ({
      clusterName: CLUSTER,
      serverVersion: context.requestHeader.get('version') ?? '',
      proxyPublicAddr: context.requestHeader.get('user-agent') ?? '',
      remoteAddr: context.values.get(callerKey).bearer?.identity.username ?? 'nobody',
    }),
    async *getCurrentUserRoles() {
      yield create(RoleV6Schema, { kind: 'role', metadata: { name: 'one' } });
      yield create(RoleV6Schema, { kind: 'role', metadata: { name: 'two' } });
      throw new TeleportError('LimitExceeded', 'no more');
    },
    listResources: () => {
      throw unknownStatus("parsing expression\n\t1:16: expected operand, found 'EOF'");
    },
    getRole: ({ name }) => {
      if (name === 'bug') throw new TypeError('secret detail');
      if (name === 'expired') {
        throw new TeleportError('AccessDenied', 'access denied: client credentials have expired, please relogin.');
      }
      throw new TeleportError('NotFound', `role ${name} is not found`);
    },
    getDatabase: async (_request, context) => {
      await once(context.signal, 'abort');
      throw new TeleportError('ConnectionProblem', 'gone');
    },
    getDomainName: () => ({ domainName: 'x'.repeat(5_000) }),
  });
}

async function dial(pair?: { cert: string; key: string }): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername: NAME,
    ALPNProtocols: [authAlpn(CLUSTER), 'h2'],
    ca: [ca.certPem],
    ...pair,
  });
  await once(socket, 'secureConnect');
  return socket;
}

function open(connect: () => Promise<Duplex> = () => dial(), more: object = {}): AuthClient {
  client = openAuthClient({ connect, authority: NAME, version: '18.3.0', ...more });
  return client;
}

test('a call carries version and user agent, and the handler sees the certificate of the connection', async () => {
  const pair = ca.issue('alice');
  const headers: Headers[] = [];
  const answer = await open(() => dial(pair)).auth.ping({}, { onHeader: (header) => void headers.push(header) });
  expect(answer).toMatchObject({ clusterName: CLUSTER, serverVersion: '18.3.0' });
  expect(answer.proxyPublicAddr).toMatch(/^tsh\/18\.3\.0 /);
  expect(answer.remoteAddr).toBe(new X509Certificate(pair.cert).subject);
  expect(headers[0]?.get('version')).toBe('18.3.0');
});

test('without a certificate the caller is nobody', async () => {
  expect((await open().auth.ping({})).remoteAddr).toBe('nobody');
});

test('L12 without a certificate a network calls so many times, with one as often as it likes', async () => {
  const refusals = async (options: { from: string; pair?: { cert: string; key: string } }) => {
    from = options.from;
    await using opened = open(() => dial(options.pair));
    const answers = await Promise.allSettled(Array.from({ length: 40 }, () => opened.auth.ping({})));
    return answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as TeleportError] : []));
  };
  const refused = await refusals({ from: '192.0.2.1' });
  expect(refused.length).toBe(40 - STRANGERS_RATE.burst);
  for (const { code, message } of refused) {
    expect(code).toBe('LimitExceeded');
    expect(message).toMatch(/^rate limit exceeded, try again in [1-6]?\ds$/);
  }
  expect(await refusals({ from: '192.0.2.1', pair: ca.issue('alice') })).toEqual([]);
  expect((await refusals({ from: '192.0.2.2' })).length).toBe(40 - STRANGERS_RATE.burst);
  expect(await refusals({ from: '127.0.0.1' })).toEqual([]);
});

test('an error of a handler comes back with code and text, several lines included', async () => {
  const { auth } = open();
  await expect(auth.getRole({ name: 'dba' })).rejects.toMatchObject({
    name: 'TeleportError',
    code: 'NotFound',
    message: 'role dba is not found',
  });
  await expect(auth.listResources({})).rejects.toMatchObject({
    message: "rpc error: code = Unknown desc = parsing expression\n\t1:16: expected operand, found 'EOF'",
  });
});

test('a mistake of ours tells a caller nothing about itself', async () => {
  await expect(open().auth.getRole({ name: 'bug' })).rejects.toMatchObject({
    message: 'rpc error: code = Unknown desc = internal error',
  });
});

test('the text that asks for a new login is recognised', async () => {
  const error = await open()
    .auth.getRole({ name: 'expired' })
    .catch((thrown: unknown) => thrown);
  expect(isExpiredCredentials(error)).toBe(true);
  expect(isExpiredCredentials(new TeleportError('AccessDenied', 'access denied'))).toBe(false);
});

test('a stream gives its messages and then its error', async () => {
  const names: string[] = [];
  const read = async () => {
    for await (const role of open().auth.getCurrentUserRoles({})) names.push(role.metadata?.name ?? '');
  };
  await expect(read()).rejects.toMatchObject({ code: 'LimitExceeded', message: 'no more' });
  expect(names).toEqual(['one', 'two']);
});

test('unknown methods and services are NotImplemented in the words of grpc-go', async () => {
  const { auth, trust } = open();
  await expect(auth.getTokens({})).rejects.toMatchObject({
    code: 'NotImplemented',
    message: 'unknown method GetTokens for service proto.AuthService',
  });
  await expect(trust.getCertAuthorities({})).rejects.toMatchObject({
    code: 'NotImplemented',
    message: `unknown service ${TrustService.typeName}`,
  });
});

test('a service that is ours alone says what a cluster without it is', async () => {
  await expect(open().accessReader.explainAccess({})).rejects.toMatchObject({
    code: 'NotImplemented',
    message: 'the cluster does not serve this',
    hint: 'It runs a real Teleport, or an older version of these programs.',
  });
});

test('the answer to an unknown method is one frame of headers that ends the stream, as grpc-go wants it', async () => {
  const host = ca.issue('Admin');
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    servername: NAME,
    ALPNProtocols: ['h2'],
    ca: [ca.certPem],
    ...host,
  });
  const session = connectHttp2('https://auth', { createConnection: () => socket });
  try {
    for (const path of ['/proto.AuthService/Missing', '/teleport.missing.v1.MissingService/Get']) {
      const call = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      call.end(Buffer.alloc(5));
      const [headers, flags] = await once(call, 'response');
      expect([headers['grpc-status'], flags & constants.NGHTTP2_FLAG_END_STREAM]).toEqual(['12', 1]);
      call.resume();
      await once(call, 'close');
    }
  } finally {
    session.destroy();
  }
});

test('too large a request is refused with status 8 and the text of grpc-go', async () => {
  const name = 'x'.repeat(70_000);
  await expect(open().auth.getRole({ name })).rejects.toMatchObject({
    code: 'LimitExceeded',
    message: expect.stringMatching(/^grpc: received message larger than max \(\d+ vs\. 65536\)$/),
  });
});

test('too large an answer is LimitExceeded', async () => {
  await expect(open(undefined, { maxMessageBytes: 1_000 }).auth.getDomainName({})).rejects.toMatchObject({
    code: 'LimitExceeded',
  });
});

test('F15 a call without an answer ends at its deadline, and says which call, whom it asked and how long', async () => {
  const late = open(undefined, { defaultTimeoutMs: 50.5, address: 'auth.example.com:3025' });
  await expect(late.auth.getDatabase({ name: 'x' })).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: 'no answer to GetDatabase from the Auth Service at auth.example.com:3025 within 1 s',
  });
});

test('a client that is too old is cut off without a status, which is a ConnectionProblem', async () => {
  await expect(open(undefined, { version: '16.4.0' }).auth.ping({})).rejects.toMatchObject({
    code: 'ConnectionProblem',
  });
});

test('H1 of a version that is not supported the log has 64 characters', async () => {
  await expect(open(undefined, { version: `9${'x'.repeat(10_000)}` }).auth.ping({})).rejects.toBeInstanceOf(Error);
  const line = logged.find((text) => text.includes('version:9x'));
  expect(line).toContain(`9${'x'.repeat(63)}`);
  expect(line).not.toContain('x'.repeat(64));
});

test('the next call after a lost connection dials again', async () => {
  const sockets: TLSSocket[] = [];
  const { auth } = open(async () => {
    const socket = await dial();
    sockets.push(socket);
    return socket;
  });
  await auth.ping({});
  sockets[0]?.destroy();
  await once(sockets[0]!, 'close');
  await auth.ping({});
  expect(sockets).toHaveLength(2);
});

test('an error of dialling is the error of the call', async () => {
  const refused = new TeleportError('ConnectionProblem', 'connection refused');
  await expect(open(() => Promise.reject(refused)).auth.ping({})).rejects.toBe(refused);
});

test('200 calls share one connection', async () => {
  let dialled = 0;
  const { auth } = open(() => {
    dialled++;
    return dial();
  });
  await Promise.all(Array.from({ length: 200 }, () => auth.ping({})));
  expect(dialled).toBe(1);
});

test('a refusal of our certificate after the handshake is told as the TLS alert', async () => {
  const host = ca.issue('*.teleport.cluster.local');
  const strict = createServer({ ...host, ca: [ca.certPem], requestCert: true, ALPNProtocols: ['h2'] });
  strict.on('tlsClientError', () => {});
  strict.listen(0, '127.0.0.1');
  await once(strict, 'listening');
  const strictPort = (strict.address() as AddressInfo).port;
  const connect = async () => {
    const tcp = connectTcp(strictPort, '127.0.0.1');
    const socket = connectTls({ socket: tcp, servername: NAME, ALPNProtocols: ['h2'], ca: [ca.certPem] });
    await once(socket, 'secureConnect');
    return socket;
  };
  await expect(open(connect).auth.ping({})).rejects.toMatchObject({
    code: 'AccessDenied',
    message: 'remote error: tls: certificate required',
  });
  await new Promise((done) => strict.close(done));
});

test('an empty answer still decodes', () => {
  expect(create(PingResponseSchema)).toMatchObject({ clusterName: '' });
});
