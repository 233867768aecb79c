/** Tests: src/certificate-problem.ts, src/net/conn-upgrade-test.ts, src/net/peek.ts, src/net/tls-server.ts. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { certificateProblem } from '../../src/certificate-problem.js';
import { forcedConnUpgrade, needsConnUpgrade } from '../../src/net/conn-upgrade-test.js';
import { dialTcp, dialTls } from '../../src/net/dial.js';
import { listen } from '../../src/net/listen.js';
import { peek, peekClientHello } from '../../src/net/peek.js';
import {
  endsOf,
  makeTlsServer,
  presentedCertificate,
  type TlsServer,
  type TlsServerOptions,
} from '../../src/net/tls-server.js';
import { subjectOf } from '../../src/pki/x509.js';
import { createTestCa, type TestCa } from '../support/ca.js';
import { gone } from '../support/gone.js';

let authority: TestCa;
let stranger: TestCa;

beforeAll(() => {
  authority = createTestCa('example.com');
  stranger = createTestCa('other');
});

async function serve(options: Partial<TlsServerOptions> & { onSecure: (socket: TLSSocket) => void }) {
  const identity = { ...authority.issue(['localhost', '127.0.0.1']), ca: [authority.certPem] };
  const tls: TlsServer = makeTlsServer({ identity, alpn: ['teleport-reversetunnel', 'h2'], ...options });
  const listener = await listen({ onConnection: (socket) => tls.accept(socket) });
  return { tls, port: listener.port, [Symbol.asyncDispose]: () => listener.close() };
}

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
const quiet = (socket: TLSSocket) => void socket.resume();

test('the ClientHello is read in full and put back, also when it comes byte by byte', async () => {
  const seen: unknown[] = [];
  const tls = makeTlsServer({
    identity: authority.issue(['db.example.com']),
    alpn: ['b'],
    onSecure: (s) => s.end('hi'),
  });
  await using listener = await listen({
    async onConnection(socket) {
      seen.push(await peekClientHello(socket, { timeoutMs: 60_000 }));
      tls.accept(socket);
    },
  });
  await using slow = await listen({
    async onConnection(socket) {
      const up = await dialTcp({ host: '127.0.0.1', port: listener.port });
      up.pipe(socket);
      let first = true;
      socket.on('data', (chunk) => {
        if (first) for (const byte of chunk) up.write(Buffer.from([byte]));
        else up.write(chunk);
        first = false;
      });
      socket.on('end', () => up.end());
    },
  });
  const client = await dialTls({
    host: '127.0.0.1',
    port: slow.port,
    servername: 'db.example.com',
    alpn: ['a', 'b'],
    ca: authority.certPem,
  });
  expect(client.alpnProtocol).toBe('b');
  expect((await once(client, 'data')).toString()).toBe('hi');
  client.destroy();
  expect(seen).toEqual([{ complete: true, serverName: 'db.example.com', alpn: ['a', 'b'] }]);
});

test('the client certificate that was presented is given to who verifies it', async () => {
  const seen: (string | undefined)[] = [];
  await using server = await serve({
    requestCert: true,
    onSecure(socket) {
      const der = presentedCertificate(socket);
      seen.push(der && subjectOf(der).get('2.5.4.3')?.[0]);
      socket.end();
    },
  });
  const to = { host: 'localhost', port: server.port, ca: authority.certPem };
  for (const identity of [authority.issue('alice'), stranger.issue('eve'), {}]) {
    const client = await dialTls({ ...to, ...identity });
    client.resume();
    await once(client, 'close');
  }
  expect(seen).toEqual(['alice', 'eve', undefined]);
});

test('H10 a server is refused while its authority is not valid yet, and once it has expired', async () => {
  await using server = await serve({ onSecure: quiet });
  for (const [from, to] of [
    [-2, -1],
    [1, 3],
  ] as const) {
    const dated = createTestCa('example.com', { from: inDays(from), to: inDays(to) });
    server.tls.setIdentity(dated.issue(['localhost']));
    const dialled = dialTls({ host: 'localhost', port: server.port, ca: dated.certPem });
    await expect(dialled).rejects.toMatchObject({ certificateProblem: 'expired' });
  }
});

test('refused server certificates are told apart without looking at text', async () => {
  await using server = await serve({ onSecure: quiet });
  const to = { host: 'localhost', port: server.port };
  const problem = (options: object) =>
    dialTls({ ...to, vars: {}, ...options }).then(
      () => 'none',
      (error) => [certificateProblem(error), error.host, error.code],
    );
  const host = `localhost:${server.port}`;
  expect(await problem({ ca: stranger.certPem })).toEqual(['unknown-authority', host, 'ConnectionProblem']);
  expect(await problem({})).toEqual(['unknown-authority', host, 'ConnectionProblem']);
  expect(await problem({ ca: authority.certPem, servername: 'else.example.com' })).toEqual([
    'name',
    `else.example.com:${server.port}`,
    'ConnectionProblem',
  ]);
  server.tls.setIdentity(authority.issue(['localhost'], { to: new Date(Date.now() - 1000) }));
  expect(await problem({ ca: authority.certPem })).toEqual(['expired', host, 'ConnectionProblem']);
  expect(() => server.tls.setIdentity({ cert: 'x', key: 'y' })).toThrow();
  server.tls.setIdentity(authority.issue(['localhost']));
  const ok = await dialTls({ ...to, ca: authority.certPem });
  ok.destroy();
});

test('the upgrade test follows the table: negotiated no, alert yes, nothing negotiated yes, other failures no', async () => {
  const test = (port: number, vars = {}) => needsConnUpgrade({ host: 'localhost', port, ca: authority.certPem, vars });
  await using ours = await serve({ onSecure: quiet });
  expect(await test(ours.port)).toBe(false);
  await using strict = await serve({ alpn: ['http/1.1'], onSecure: quiet });
  expect(await test(strict.port)).toBe(true);
  expect(await needsConnUpgrade({ host: 'localhost', port: strict.port, ca: stranger.certPem, vars: {} })).toBe(true);
  await using silent = await serve({ alpn: [], onSecure: quiet });
  expect(await test(silent.port)).toBe(true);
  expect(await needsConnUpgrade({ host: 'localhost', port: silent.port, ca: stranger.certPem, vars: {} })).toBe(false);
  expect(await test(1)).toBe(false);
  expect(await test(1, { TELEPORT_TLS_ROUTING_CONN_UPGRADE: 'yes' })).toBe(true);
  expect(forcedConnUpgrade('a:1', { TELEPORT_TLS_ROUTING_CONN_UPGRADE: 'a:1=false;true' })).toBe(false);
  expect(forcedConnUpgrade('b:1', { TELEPORT_TLS_ROUTING_CONN_UPGRADE: 'a:1=false,nonsense' })).toBeUndefined();
});

test('A-L4 a connection is told by both ends, and the TLS socket on it has the same', async () => {
  const told: (string | undefined)[] = [];
  let done = () => {};
  const secured = new Promise<void>((resolve) => (done = resolve));
  const authority = createTestCa();
  const tls = makeTlsServer({
    identity: authority.issue(['127.0.0.1']),
    onSecure: (socket) => {
      told.push(endsOf(socket));
      socket.destroy();
      done();
    },
  });
  await using listener = await listen({
    onConnection: (socket) => {
      told.push(endsOf(socket));
      tls.accept(socket);
    },
  });
  const client = await dialTls({ host: '127.0.0.1', port: listener.port, ca: authority.certPem });
  await secured;
  client.destroy();
  tls.close();
  const far = { remoteAddress: '192.0.2.1', remotePort: 7 };
  expect(told[0]).toBe(told[1]);
  expect(told[0]).toContain(String(listener.port));
  expect(endsOf({ ...far, localAddress: '192.0.2.2', localPort: 443 })).not.toBe(
    endsOf({ ...far, localAddress: '192.0.2.3', localPort: 443 }),
  );
  expect(endsOf({})).toBeUndefined();
});

test('a stranger who says nothing is cut by the deadline of the peek', async () => {
  let failed: ((error: unknown) => void) | undefined;
  const failure = new Promise((resolve) => {
    failed = resolve;
  });
  await using listener = await listen({
    onConnection: async (socket) => void (await peek(socket, { bytes: 8, timeoutMs: 20 })),
    onError: (error) => failed?.(error),
  });
  const client = connect(listener.port, '127.0.0.1');
  client.write('1234567');
  await Promise.all([gone(client.resume()), failure]);
  expect(await failure).toMatchObject({
    code: 'ConnectionProblem',
    message: 'no first bytes of the connection within 1 s',
  });
});

test('R-A-H1 more authorities than a handshake can name end no handshake', async () => {
  const unit = { oid: '2.5.4.11', values: ['x'.repeat(20_000)] };
  const many = Array.from({ length: 4 }, () => createTestCa('leaf.example.com', { subject: [unit] }).certPem);
  const seen: (string | undefined)[] = [];
  await using server = await serve({
    identity: { ...authority.issue('localhost'), ca: [authority.certPem, ...many] },
    requestCert: true,
    onSecure(socket) {
      const der = presentedCertificate(socket);
      seen.push(der && subjectOf(der).get('2.5.4.3')?.[0]);
      socket.end();
    },
  });
  const to = { host: 'localhost', port: server.port, ca: authority.certPem };
  const client = await dialTls({ ...to, ...authority.issue('alice') });
  client.resume();
  await once(client, 'close');
  expect(seen).toEqual(['alice']);
});
