/**
 * The one port, with real sockets: each protocol name that we serve, each way in for PostgreSQL.
 * Tests: src/proxy/auth-server.ts, src/proxy/authorities.ts, src/proxy/database-clients.ts, src/proxy/grpc.ts
 * Tests: src/proxy/postgres.ts, src/proxy/preference.ts, src/proxy/reception.ts, src/proxy/router.ts
 * Tests: src/proxy/terminator.ts, src/proxy/terminators.ts
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { authAlpn } from '../../src/api/alpn.js';
import { dialAuth } from '../../src/api/dial.js';
import { PingStream } from '../../src/net/ping-stream.js';
import { encodeProxyHeader } from '../../src/net/proxy-protocol.js';
import { upgradeConnection } from '../../src/net/websocket.js';
import { decodeBackend } from '../../src/pg/decode.js';
import { encodeFirst } from '../../src/pg/startup.js';
import { deadlineIn, readExactly, readMessage } from '../../src/pg/stream.js';
import type { TunnelAgent, TunnelConnection } from '../../src/tunnel/agent.js';
import { gone } from '../support/gone.js';
import { errorFields, messagesOf, rawClient, startupPacket } from '../support/pg-raw.js';
import { until } from '../support/until.js';
import { CLUSTER, HEX, startTestAgent, startTestProxy, type TestProxy, type UserAttributes } from './test-proxy.js';

let peer: TestProxy;
let agent: TunnelAgent;
const seen: TunnelConnection[] = [];
/** The agent takes connections and says nothing. */
let isMute = false;
/** Connections of one login. */
const MOST = 30;
const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: 0x30000,
  parameters: new Map([['user', 'bob']]),
});

beforeAll(async () => {
  peer = await startTestProxy({
    proxyHeadersFrom: ['127.0.0.0/8'],
    crowd: { limits: { maxConnections: MOST } },
  });
  const serve = (stream: Duplex, connection: TunnelConnection) => {
    seen.push(connection);
    stream.on('error', () => {});
    if (!isMute) stream.pipe(stream);
  };
  agent = await startTestAgent(peer, serve);
});
afterAll(async () => {
  await agent.close();
  await peer.close();
});

function tcp(): Socket {
  const socket = connectTcp({ host: '127.0.0.1', port: peer.port, noDelay: true });
  socket.on('error', () => {});
  return socket;
}

async function tls(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ host: '127.0.0.1', port: peer.port, rejectUnauthorized: false, ...options });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(Object.assign(new Error('closed'), { code: 'CLOSED' })));
  });
  socket.on('error', () => {});
  return socket;
}

const user = (attributes: UserAttributes = {}) =>
  peer.authorities.user({ name: 'alice', database: 'sales', usage: 'usage:db', ...attributes });
const POSTGRES = ['teleport-postgres-ping', 'teleport-postgres'];

async function echoes(stream: Duplex): Promise<void> {
  stream.write(STARTUP);
  expect(await readExactly(stream, STARTUP.length, deadlineIn(60_000))).toEqual(STARTUP);
  stream.destroy();
}

async function refusal(stream: Duplex, first: Buffer = STARTUP): Promise<{ message: string | undefined }> {
  stream.write(first);
  const { tag, body } = await readMessage(stream, { timeoutMs: 60_000 });
  const decoded = decodeBackend(tag, body);
  stream.destroy();
  return {
    message: decoded.type === 'ErrorResponse' ? decoded.fields.find(([name]) => name === 'M')?.[1] : decoded.type,
  };
}

async function innerTls(below: Duplex, options: ConnectionOptions): Promise<TLSSocket> {
  below.write(encodeFirst({ type: 'SSLRequest' }));
  expect((await readExactly(below, 1, deadlineIn(60_000))).toString()).toBe('S');
  const inner = connectTls({ socket: below, servername: 'localhost', ca: peer.authorities.hostCa.certPem, ...options });
  inner.on('error', () => {});
  await once(inner, 'secureConnect');
  return inner;
}

test.each([
  [['http/1.1'], 'http/1.1'],
  [['h2'], 'h2'],
  [['h2', 'http/1.1'], 'http/1.1'],
  [[], false],
  [['teleport-reversetunnel'], 'teleport-reversetunnel'],
  [['teleport-proxy-grpc', 'h2'], 'h2'],
  [['teleport-postgres', 'teleport-postgres-ping'], 'teleport-postgres-ping'],
  [['teleport-postgres'], 'teleport-postgres'],
])('%j negotiates %s with the web certificate', async (alpn, negotiated) => {
  const socket = await tls(alpn.length > 0 ? { ALPNProtocols: alpn } : {});
  expect(socket.alpnProtocol).toBe(negotiated);
  expect(socket.getPeerCertificate().subject.CN).toBe('localhost');
  socket.destroy();
});

test('unknown names are closed without an alert, ACME gets the alert no_application_protocol', async () => {
  await expect(tls({ ALPNProtocols: ['nope'] })).rejects.toMatchObject({ code: 'ECONNRESET' });
  await expect(tls({ ALPNProtocols: ['acme-tls/1'] })).rejects.toMatchObject({
    code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
  });
});

test('plain HTTP and SSH are dropped', async () => {
  for (const first of ['GET / HTTP/1.1\r\n\r\n', 'SSH-2.0-x\r\n']) {
    const socket = tcp();
    socket.write(first);
    expect((await socket.toArray().catch(() => [])).length).toBe(0);
  }
});

test('Auth is reached by name, by tctl’s bare h2, and through ProxyCluster, and sees the client', async () => {
  const { cert, key } = peer.authorities.user();
  const credentials = {
    clusterName: CLUSTER,
    hostCaPems: [peer.authorities.hostCa.certPem],
    certPem: cert,
    keyPem: key,
  };
  const route = { kind: 'proxy', host: '127.0.0.1', port: peer.port, vars: {} } as const;
  await using client = await dialAuth(route, credentials, { version: '18.3.0' });
  expect((await client.auth.ping({})).remoteAddr).toMatch(/^127\.0\.0\.1:\d+$/);
  for (const alpn of [[authAlpn(CLUSTER), 'h2'], ['h2']]) {
    const socket = await tls({
      ALPNProtocols: alpn,
      servername: HEX,
      ca: peer.authorities.hostCa.certPem,
      rejectUnauthorized: true,
    });
    expect(socket.alpnProtocol).toBe('h2');
    expect([socket.getPeerCertificate().subject.O].flat()).toEqual(['Auth']);
    socket.destroy();
  }
  expect(peer.auth.clients).toContain('127.0.0.1');
});

test('a connection upgrade leads to the same services, with the host certificate', async () => {
  const web = await tls({});
  const below = await upgradeConnection(web, { host: 'localhost', protocol: 'alpn-ping', timeoutMs: 60_000 });
  const socket = connectTls({
    socket: below,
    servername: 'localhost',
    ca: peer.authorities.hostCa.certPem,
    ALPNProtocols: POSTGRES,
    ...user(),
  });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  expect(socket.alpnProtocol).toBe('teleport-postgres-ping');
  await echoes(new PingStream(socket));
});

test.each([
  ['nothing', undefined, true],
  ['databases', 'usage:db', false],
] as const)('H1 gRPC of the Proxy and a certificate restricted to %s', async (_, usage, isServed) => {
  const { cert, key } = peer.authorities.user(usage ? { usage } : {});
  const socket = await tls({ ALPNProtocols: ['teleport-proxy-ssh-grpc', 'h2'], cert, key });
  // A server of HTTP/2 speaks first: its settings.
  const first = await Promise.race([new Promise((resolve) => socket.once('data', resolve)), gone(socket)]);
  expect(first !== undefined).toBe(isServed);
  socket.destroy();
});

test.each([
  ['no address', []],
  ['other addresses', ['192.0.2.0/24', '2001:db8::/32', '127.1.0.0/16']],
])('X17 a PROXY header is refused from here where the configuration names %s', async (_, proxyHeadersFrom) => {
  const plain = await startTestProxy({ proxyHeadersFrom });
  try {
    const header = encodeProxyHeader({ address: '203.0.113.9', port: 77 }, { address: '127.0.0.1', port: plain.port });
    for (const first of [Buffer.alloc(0), header]) {
      const below = connectTcp({ host: '127.0.0.1', port: plain.port });
      below.write(first);
      const socket = connectTls({ socket: below, rejectUnauthorized: false });
      const outcome = new Promise((resolve) => {
        socket.once('secureConnect', () => resolve('served')).once('error', () => resolve('refused'));
        socket.once('close', () => resolve('refused'));
      });
      expect(await outcome).toBe(first === header ? 'refused' : 'served');
      socket.destroy();
    }
  } finally {
    await plain.close();
  }
});

describe('PostgreSQL', () => {
  test('tunnel mode, plain and with pings, and N to an SSLRequest', async () => {
    await echoes(await tls({ ALPNProtocols: ['teleport-postgres'], ...user() }));
    await echoes(new PingStream(await tls({ ALPNProtocols: POSTGRES, ...user() })));
    const socket = await tls({ ALPNProtocols: ['teleport-postgres'], ...user() });
    socket.write(Buffer.concat([encodeFirst({ type: 'SSLRequest' }), encodeFirst({ type: 'GSSENCRequest' })]));
    expect((await readExactly(socket, 2, deadlineIn(60_000))).toString()).toBe('NN');
    await echoes(socket);
    expect(seen.at(-1)?.clientAddr).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(seen.at(-1)?.certificateDer.length).toBeGreaterThan(300);
  });

  test('non-tunnel mode: the certificate is inside, under pings', async () => {
    const outer = new PingStream(await tls({ ALPNProtocols: POSTGRES }));
    await echoes(await innerTls(outer, user()));
  });

  test('direct mode on the same port, with a PROXY header in front', async () => {
    const socket = tcp();
    await once(socket, 'connect');
    socket.write(encodeProxyHeader({ address: '203.0.113.9', port: 77 }, { address: '127.0.0.1', port: peer.port }));
    await echoes(await innerTls(socket, user({ pinnedIp: '203.0.113.9' })));
    expect(seen.at(-1)?.clientAddr).toBe('203.0.113.9:77');
  });

  test('a cancel goes through inside TLS and is cut outside', async () => {
    const cancel = encodeFirst({ type: 'CancelRequest', pid: 1, secret: Buffer.alloc(4) });
    const socket = await tls({ ALPNProtocols: ['teleport-postgres'], ...user() });
    socket.end(cancel);
    expect(Buffer.concat((await socket.toArray()) as Buffer[])).toEqual(cancel);
    const plain = tcp();
    plain.end(cancel);
    expect((await plain.toArray().catch(() => [])).length).toBe(0);
  });

  test('L6 a cancel goes through when the login has all its connections', async () => {
    const cancel = encodeFirst({ type: 'CancelRequest', pid: 1, secret: Buffer.alloc(4) });
    const outside = { ALPNProtocols: ['teleport-postgres'] };
    const crowded = user({ name: 'carl' });
    const held = await Promise.all(Array.from({ length: MOST }, () => tls({ ...outside, ...crowded })));
    try {
      const full = 'too many connections of user "carl": 30 are open';
      expect((await refusal(await tls({ ...outside, ...crowded }))).message).toBe(full);
      expect((await refusal(await innerTls(await tls(outside), crowded))).message).toBe(full);
      for (const socket of [await tls({ ...outside, ...crowded }), await innerTls(await tls(outside), crowded)]) {
        socket.end(cancel);
        expect(Buffer.concat((await socket.toArray()) as Buffer[])).toEqual(cancel);
      }
    } finally {
      for (const socket of held) socket.destroy();
    }
  });

  test('a certificate with a database in it means the database, whatever the protocol name', async () => {
    await echoes(await tls({ ALPNProtocols: ['http/1.1'], ...user() }));
  });

  test.each<[string, UserAttributes, string]>([
    [
      'an unknown database',
      { database: 'nope' },
      `database "nope" not found among registered databases in cluster "${CLUSTER}"`,
    ],
    ['another use', { usage: 'usage:kube' }, 'access denied: invalid client certificate'],
    ['another cluster', { routeToCluster: 'leaf' }, 'cluster "leaf" is not found'],
    ['another address', { pinnedIp: '192.0.2.7' }, "pinned IP doesn't match observed client IP"],
    ['an expired certificate', { expired: true }, 'access denied: the certificate has expired'],
  ])('refused with a reason: %s', async (_name, attributes, text) => {
    const inner = await innerTls(await tls({ ALPNProtocols: ['teleport-postgres'] }), user(attributes));
    expect(await refusal(inner)).toEqual({ message: text });
  });

  test('a foreign authority and no certificate at all are refused with a reason', async () => {
    const foreign = user({ ca: peer.authorities.hostCa });
    const open = () => tls({ ALPNProtocols: ['teleport-postgres'] });
    expect((await refusal(await innerTls(await open(), foreign))).message).toMatch(/signed by an unknown authority/);
    expect((await refusal(await innerTls(await open(), {}))).message).toMatch(/client certificate is required/);
    expect((await refusal(await open())).message).toMatch(/client certificate is required/);
  });

  test.each<[string, UserAttributes, RegExp]>([
    ['an unknown database', { database: 'nope' }, /not found among registered databases/],
    ['another address', { pinnedIp: '192.0.2.7' }, /pinned IP doesn't match observed client IP/],
    ['an expired certificate', { expired: true }, /access denied: the certificate has expired/],
  ])('F9 in tunnel mode the refusal is told as well: %s', async (_name, attributes, text) => {
    const socket = await tls({ ALPNProtocols: ['teleport-postgres'], ...user(attributes) });
    expect((await refusal(socket)).message).toMatch(text);
  });

  test('F9 a foreign authority in tunnel mode, and a start without TLS, are told', async () => {
    const foreign = user({ ca: peer.authorities.hostCa });
    const socket = await tls({ ALPNProtocols: ['teleport-postgres'], ...foreign });
    expect((await refusal(socket)).message).toMatch(/signed by an unknown authority/);
    const plain = await rawClient({ host: '127.0.0.1', port: peer.port });
    plain.socket.write(startupPacket(0x3_0000, [['user', 'alice']]));
    const [said] = await plain.rest();
    expect(errorFields(said!)).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '28000',
      M: 'a connection without TLS is not taken',
      H: 'Connect with sslmode=require or stricter.',
    });
    plain.socket.destroy();
  });
});

test('the web certificate can be replaced', async () => {
  const { certPem, keyPem } = peer.authorities.host('Proxy', 'renewed');
  peer.proxy.setWebCertificate({ certPem, keyPem });
  const socket = await tls({});
  expect(socket.getPeerCertificate().subject.CN).toBe(`renewed.${CLUSTER}`);
  socket.destroy();
  expect(() => peer.proxy.setWebCertificate({ certPem: 'x', keyPem })).toThrow();
  (await tls({})).destroy();
});

describe('X2 what is locked ends at the Proxy, whatever the agent does', () => {
  afterEach(() => {
    isMute = false;
    peer.auth.lock();
  });
  const connect = async () => await tls({ ALPNProtocols: ['teleport-postgres'], ...user() });

  /** A connection that the agent has taken and says nothing on; what its client hears. */
  async function held(): Promise<{ heard: Promise<string | undefined> }> {
    isMute = true;
    const socket = await connect();
    const before = seen.length;
    socket.write(STARTUP);
    await until('the agent has it', async () => seen.length > before || undefined);
    const all = socket.toArray();
    return { heard: all.then((chunks) => errorFields(messagesOf(Buffer.concat(chunks as Buffer[]))[0]!).M) };
  }

  test('connections of a person, and new ones are refused', async () => {
    const { heard } = await held();
    peer.auth.lock({ user: 'alice' });
    expect(await heard).toBe('terminating connection: lock targeting User:"alice" is in force: out');
    expect((await refusal(await connect())).message).toBe(
      'access denied: lock targeting User:"alice" is in force: out',
    );
    peer.auth.lock();
    isMute = false;
    await until(
      'it is open again',
      async () =>
        await echoes(await connect()).then(
          () => true,
          () => undefined,
        ),
    );
  });

  test('a connection to the transport service that is held open, and the next one', async () => {
    const open = async () =>
      await tls({ ALPNProtocols: ['teleport-proxy-ssh-grpc', 'h2'], ...peer.authorities.user() });
    const socket = await open();
    const closed = gone(socket.resume());
    peer.auth.lock({ user: 'alice' });
    await closed;
    await gone((await open()).resume());
  });

  test('connections and tunnels of a host, until the lock is gone', async () => {
    const { heard } = await held();
    peer.auth.lock({ server_id: 'db-host' });
    expect(await heard).toBe('terminating connection: lock targeting ServerID:"db-host" is in force: out');
    await until('the tunnel is gone', async () => peer.proxy.agents().length === 0 || undefined);
    expect((await refusal(await connect())).message).toContain('not found among registered databases');
    peer.auth.lock();
    isMute = false;
    while (peer.proxy.agents().length === 0) await peer.proxy.agentsChanged();
    await echoes(await connect());
  });
});

// The last one: nothing is there afterwards.
test('F9 a Proxy that stops tells every client why, also one that never hangs up', async () => {
  isMute = true;
  const sockets = [
    await tls({ ALPNProtocols: ['teleport-postgres'], ...user() }),
    await innerTls(await tls({ ALPNProtocols: ['teleport-postgres'] }), user()),
  ];
  const before = seen.length;
  for (const socket of sockets) socket.write(STARTUP);
  await until('the agent has both', async () => seen.length === before + 2 || undefined);
  const heard = sockets.map(async (socket) => messagesOf(Buffer.concat((await socket.toArray()) as Buffer[])));
  await peer.proxy.close({ drainMs: 0 });
  for (const messages of await Promise.all(heard)) {
    expect(messages).toHaveLength(1);
    expect(errorFields(messages[0]!)).toEqual({
      S: 'FATAL',
      V: 'FATAL',
      C: '57P01',
      M: 'terminating connection due to administrator command',
      H: 'The Proxy Service is stopping. Connect again when it is back.',
    });
  }
});
