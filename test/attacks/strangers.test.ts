/** X6: a crowd that says little or nothing, at the ports of a Proxy and of Auth, while people work. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { authAlpn } from '../../src/api/alpn.js';
import { dialAuth } from '../../src/api/dial.js';
import { listen } from '../../src/net/listen.js';
import { encodeFirst, PROTOCOL_3_0 } from '../../src/pg/startup.js';
import { createUpstream } from '../../src/proxy/auth-server.js';
import { type Credentials, TestAuth } from '../auth/test-auth.js';
import { CLUSTER, startTestProxy, type TestProxy } from '../proxy/test-proxy.js';
import { gone } from '../support/gone.js';
import { until } from '../support/until.js';

/** 100 strangers, 50 of one network, for three seconds: on a machine that is busy a handshake takes one of them. */
const CROWD = { descriptors: 400, strangerMs: 3_000, limits: { maxConnections: 60 } };
const MOST_OF_NETWORK = 50;
/** Less than the 30 s after which a stranger is cut off who is taken for one that waits for us. */
const IN_TIME_MS = 25_000;
const HALF_OPEN = 200;
const DRIPPING = 30;
const STARTUP = encodeFirst({
  type: 'StartupMessage',
  protocolVersion: PROTOCOL_3_0,
  parameters: new Map([['user', 'analyst']]),
});
/** The first bytes of a ClientHello that never ends. */
const EIGHT_BYTES = Buffer.from('1603010200010001', 'hex');

let proxy: TestProxy;
let auth: TestAuth;
let alice: Credentials;
beforeAll(async () => {
  const listen = { host: '127.0.0.1', port: 0, crowd: CROWD };
  [proxy, auth] = await Promise.all([
    startTestProxy({ crowd: CROWD, rateLimits: { normal: { perMinute: 1e6, burst: 1e6 } } }),
    TestAuth.start({ listen }),
  ]);
  alice = await auth.login('alice', await auth.invite('alice', ['access']));
});
afterAll(async () => {
  await proxy.close();
  await auth.remove();
});

/**
 * Clients that have sent eight bytes, and clients inside TLS that send one byte after the other.
 * Others take the place of who is cut off, each time the crowd is filled.
 */
function crowdAt(port: number, alpn: string) {
  const there = new Set<Socket>();
  let cut = 0;
  const halfOpen = () => {
    const socket = connectTcp({ host: '127.0.0.1', port });
    socket.write(EIGHT_BYTES);
    return socket;
  };
  const dripping = () => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: [alpn] });
    const drip = setInterval(() => socket.write('P'), 50);
    return socket.once('close', () => clearInterval(drip));
  };
  const come = (make: () => Socket) => {
    const socket = make();
    there.add(socket);
    socket.on('error', () => {}).resume();
    socket.once('close', () => {
      there.delete(socket);
      missing.push(make);
      cut++;
    });
  };
  const missing: (() => Socket)[] = [
    ...Array.from({ length: HALF_OPEN }, () => halfOpen),
    ...Array.from({ length: DRIPPING }, () => dripping),
  ];
  const fill = () => missing.splice(0).forEach(come);
  fill();
  return {
    fill,
    isThere: () => there.size > 0,
    cut: () => cut,
    /** Nobody comes any more, and whoever is there is cut off in time. */
    async leave() {
      await Promise.all([...there].map(gone));
    },
    close() {
      for (const socket of there) socket.destroy();
    },
  };
}

function begin(port: number): Promise<number> {
  const body = JSON.stringify({ user: 'alice', pass: 'right' });
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  const options = { method: 'POST', path: '/webapi/mfa/login/begin', rejectUnauthorized: false, agent: false, headers };
  return new Promise((resolve, reject) => {
    const sent = httpsRequest({ host: '127.0.0.1', port, ...options }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode!));
    });
    sent.once('error', reject).end(body);
  });
}

/** A connection of its own, with a certificate or without. */
async function ask(credentials: Partial<Credentials>): Promise<string> {
  const { hostCaPems, clusterName } = await auth.identity('Node');
  const client = await dialAuth(
    { kind: 'direct', ...auth.auth.address },
    { clusterName, hostCaPems, ...credentials },
    { version: '18.3.0' },
  );
  try {
    return (await client.auth.ping({})).clusterName;
  } finally {
    await client.close();
  }
}

test('X6 people log in at the Proxy while a crowd holds on, and all of the crowd is cut off in its time', async () => {
  const crowd = crowdAt(proxy.port, 'http/1.1');
  try {
    for (let login = 0; login < 5 || crowd.cut() === 0; login++) {
      crowd.fill();
      expect(await begin(proxy.port)).toBe(200);
    }
    await crowd.leave();
  } finally {
    crowd.close();
  }
});

test('A-H7 more logins than a connection to Auth carries do not hold up what the Proxy itself asks there', async () => {
  const maxStreams = 20;
  const unlimited = { perMinute: 1e6, burst: 1e6 };
  // Nobody of them is cut off for the time that it takes them all to ask.
  const options = { crowd: { strangerMs: 600_000 }, rateLimits: { normal: unlimited } };
  const patient = await startTestProxy(options, { maxStreams });
  const { auth: stub, port } = patient;
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => {});
  let letOn = () => {};
  stub.held = new Promise((resolve) => (letOn = resolve));
  try {
    const announced = stub.calls.length;
    for (let login = 0; login < 2 * maxStreams; login++) {
      const headers = { ':method': 'POST', ':path': '/webapi/mfa/login/begin', 'content-type': 'application/json' };
      session
        .request(headers)
        .on('error', () => {})
        .end(JSON.stringify({ user: 'crowd', pass: 'wrong' }));
    }
    await until('they wait', () => stub.calls.length >= announced + maxStreams || undefined);
    await patient.proxy.announce();
    expect(stub.calls.slice(announced).some(({ hostId }) => hostId === 'proxy-host')).toBe(true);
  } finally {
    letOn();
    session.destroy();
    await patient.close();
  }
});

test('X6 people and the local administrator work at Auth meanwhile', async () => {
  const admin = await auth.identity('Admin');
  const crowd = crowdAt(auth.auth.address.port, 'h2');
  try {
    for (let call = 0; call < 3 || crowd.cut() === 0; call++) {
      crowd.fill();
      const answers = await Promise.all([ask(alice), ask(admin)]);
      expect(answers).toEqual([admin.clusterName, admin.clusterName]);
    }
    await crowd.leave();
  } finally {
    crowd.close();
  }
});

test('A-M6 who is deleted or locked keeps no place at Auth without a call, whoever has a right does', async () => {
  const admin = await auth.asHost('Admin');
  const names = ['ben', 'carl', 'dora'];
  const [ben, carl, dora] = await Promise.all(
    names.map(async (name) => await auth.login(name, await auth.invite(name, ['access']))),
  );
  const connect = async ({ certPem: cert, keyPem: key }: Credentials) => {
    const { host, port } = auth.auth.address;
    const socket = connectTls({ host, port, cert, key, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    return socket.resume();
  };
  const before = await connect(dora!);
  await admin.users.deleteUser({ name: 'ben' });
  await admin.users.deleteUser({ name: 'dora' });
  await admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target: { user: 'carl' } } });
  const first = await connect(alice);
  const out = [before, await connect(ben!), await connect(carl!)];
  try {
    await Promise.all(out.map(gone));
    expect(first.destroyed).toBe(false);
  } finally {
    for (const socket of [first, ...out]) socket.destroy();
  }
});

test('X6 whose request is whole waits for the answer, and is a stranger again after it', async () => {
  const { hostCaPems, clusterName } = await auth.identity('Node');
  const route = { kind: 'direct', ...auth.auth.address } as const;
  const nobody = await dialAuth(route, { clusterName, hostCaPems }, { version: '18.3.0' });
  try {
    // Longer in all than a stranger has, and asking all the time.
    const crowd = crowdAt(auth.auth.address.port, 'h2');
    const left = crowd.leave();
    while (crowd.isThere()) expect((await nobody.auth.ping({})).clusterName).toBe(clusterName);
    await left;
  } finally {
    await nobody.close();
  }
});

/** HTTP/2 by hand: Node's own client ends a request before it takes it back. */
function frame(type: number, flags: number, stream: number, body: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

const PING_HEADERS = Object.entries({
  ':method': 'POST',
  ':scheme': 'https',
  ':authority': 'auth',
  ':path': '/proto.AuthService/Ping',
  'content-type': 'application/grpc',
  te: 'trailers',
}).map(([name, value]) => `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`);
const HEADERS = frame(1, 4, 1, Buffer.from(PING_HEADERS.join('')));
const MESSAGE = frame(0, 1, 1, Buffer.alloc(5));
const RESET = frame(3, 0, 1, Buffer.from([0, 0, 0, 8]));
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));
const NO_WINDOW = frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));

test.each([
  ['takes a request back', [SETTINGS, HEADERS, RESET]],
  ['reads no answer', [NO_WINDOW, HEADERS, MESSAGE]],
])(
  'H1 a stranger who %s is cut off in time',
  async (_, frames) => {
    const { host, port } = auth.auth.address;
    const socket = connectTls({ host, port, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
    await once(socket, 'secureConnect');
    const closed = gone(socket.resume());
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ...frames]));
    await closed;
  },
  IN_TIME_MS,
);

/** The first bytes of a client of TLS. */
async function clientHello(alpn: string): Promise<Buffer> {
  await using listening = await listen({ onConnection() {} });
  const client = connectTls({ host: '127.0.0.1', port: listening.port, ALPNProtocols: [alpn] }).on('error', () => {});
  const [socket] = await until('it is accepted', () =>
    listening.connections.size > 0 ? [...listening.connections] : undefined,
  );
  const [bytes] = (await once(socket!, 'data')) as [Buffer];
  client.destroy();
  return bytes;
}

const RESETS = 200;

test('A-H1 clients that ask for Auth and reset their connections at once leave no socket behind', async () => {
  const script = `const { connect } = require('node:net');
    const [port, hello] = [Number(process.argv[1]), Buffer.from(process.argv[2], 'hex')];
    const come = (left) => {
      if (left === 0) return;
      const socket = connect({ port, host: '127.0.0.1' });
      socket.on('error', () => {}).once('close', () => come(left - 1));
      socket.write(hello, () => socket.resetAndDestroy());
    };
    come(${RESETS});`;
  const hello = await clientHello(authAlpn(CLUSTER));
  const before = readdirSync('/dev/fd').length;
  // All is done before this process, which is the Proxy too, gets to accept.
  const { status } = spawnSync(process.execPath, ['-e', script, String(proxy.port), hello.toString('hex')]);
  expect(status).toBe(0);
  // Accepted behind them, dialled behind them, and over.
  const ALPNProtocols = [authAlpn(CLUSTER), 'h2'];
  const last = connectTls({ host: '127.0.0.1', port: proxy.port, rejectUnauthorized: false, ALPNProtocols });
  await once(last, 'secureConnect');
  last.destroy();
  await until('the descriptors are back', () => readdirSync('/dev/fd').length < before + RESETS / 10 || undefined);
});

test('A-H1 a connection to Auth for a client without an address is closed again', async () => {
  await using listening = await listen({ onConnection() {} });
  const upstream = createUpstream({
    host: '127.0.0.1',
    port: listening.port,
    identity: () => proxy.authorities.host('Proxy', 'proxy-host'),
    now: () => new Date(),
  });
  await expect(upstream.dial({ address: '', port: 0 })).rejects.toThrow('not an IP address');
  const [socket] = await until('it is accepted', () =>
    listening.connections.size > 0 ? [...listening.connections] : undefined,
  );
  await once(socket!.resume(), 'end');
});

test('H2 a client that is passed on to Auth and overhears the end is cut off', async () => {
  await using closing = await listen({ onConnection: (socket) => void socket.resume().end() });
  const upstream = createUpstream({
    host: '127.0.0.1',
    port: closing.port,
    identity: () => proxy.authorities.host('Proxy', 'proxy-host'),
    now: () => new Date(),
    halfCloseTimeoutMs: 50,
  });
  await using forwarding = await listen({
    onConnection: (socket) => upstream.forward(socket, { address: '127.0.0.1', port: 1 }),
  });
  const client = connectTcp({ host: '127.0.0.1', port: forwarding.port, allowHalfOpen: true });
  await once(client.resume(), 'end');
  const [forwarded] = forwarding.connections;
  await gone(forwarded!);
  client.destroy();
});

test('H2 clients that are passed on to Auth push out their own, as other strangers do', async () => {
  // Nobody of them is cut off for the time that it takes them all to come.
  const patient = await startTestProxy({ crowd: { ...CROWD, strangerMs: 60_000 } });
  const sockets: TLSSocket[] = [];
  try {
    for (let at = 0; at < MOST_OF_NETWORK + 5; at++) {
      const ALPNProtocols = [authAlpn(CLUSTER), 'h2'];
      const socket = connectTls({ host: '127.0.0.1', port: patient.port, rejectUnauthorized: false, ALPNProtocols });
      sockets.push(socket);
      await once(socket, 'secureConnect');
      socket.on('error', () => {}).resume();
    }
    await Promise.all(sockets.slice(0, 5).map(gone));
    expect(sockets.slice(5).filter(({ destroyed }) => destroyed)).toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
    await patient.close();
  }
});

test('X6 who has shown a certificate is no stranger, however long nothing is said', async () => {
  const shown = proxy.authorities.user();
  const options = { host: '127.0.0.1', port: proxy.port, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] };
  const [known, stranger] = await Promise.all(
    [{ ...options, ...shown }, options].map(async (one) => {
      const socket = connectTls(one);
      await once(socket, 'secureConnect');
      return socket;
    }),
  );
  await gone(stranger!);
  const ping = 'GET /webapi/find HTTP/1.1\r\nhost: x\r\n\r\n';
  known!.write(ping);
  const [answer] = (await once(known!, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /);
  known!.destroy();
});

test('X6 one login has so many connections, and says so to PostgreSQL; another has its own', async () => {
  const { port } = proxy;
  const connectAs = async (name: string): Promise<TLSSocket> => {
    const shown = proxy.authorities.user({ name, database: 'orders' });
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      ALPNProtocols: ['teleport-postgres'],
      ...shown,
    });
    await once(socket, 'secureConnect');
    return socket;
  };
  const held: TLSSocket[] = [];
  try {
    // Before she has shown her certificate she is one of the strangers of this network.
    while (held.length < CROWD.limits.maxConnections)
      held.push(...(await Promise.all(Array.from({ length: 10 }, () => connectAs('alice')))));
    const next = await connectAs('alice');
    next.write(STARTUP);
    const [refusal] = (await once(next, 'data')) as [Buffer];
    expect(refusal.toString()).toMatch(/C53300.*too many connections of user "alice": 60 are open/s);
    const bob = await connectAs('bob');
    bob.write(STARTUP);
    const [other] = (await once(bob, 'data')) as [Buffer];
    expect(other.toString()).not.toContain('too many connections');
    bob.destroy();
  } finally {
    for (const socket of held) socket.destroy();
  }
});
