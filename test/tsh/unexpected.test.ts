/**
 * Answers that no Proxy gives: each is told in one sentence, with exit status 1, and nothing hangs.
 * Tests: src/webapi/exchange.ts
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { runTsh } from '../../src/tsh/main.js';
import { createTestCa, type TestCertificate } from '../support/ca.js';
import { memoryEnv } from '../support/env.js';

let web: TestCertificate;
let folder: string;
let home: string;
let open: Server[] = [];
const sockets = new Set<Socket>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'unexpected-'));
  const ca = createTestCa('web');
  web = ca.issue(['localhost']);
  writeFileSync(join(folder, 'ca.pem'), ca.certPem);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'unexpected-home-'));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  await Promise.all(open.map((server) => new Promise((done) => server.close(done))));
  open = [];
  rmSync(home, { recursive: true, force: true });
});

async function listen(server: Server): Promise<number> {
  open.push(server);
  server.on('connection', (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
  });
  await new Promise<void>((done) => server.listen(0, 'localhost', done));
  return (server.address() as AddressInfo).port;
}

/** HTTPS whose every answer is written by hand. */
async function answering(answer: (socket: Socket, path: string) => void): Promise<number> {
  const server = createTlsServer({ cert: web.cert, key: web.key }, (socket) => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    socket.on('data', (head: Buffer) => answer(socket, head.toString().split(' ')[1] ?? ''));
  });
  server.on('tlsClientError', () => {});
  return await listen(server);
}

const http = (status: string, body: string, headers = '') =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n${headers}\r\n${body}`;
const json = (value: unknown) => http('200 OK', JSON.stringify(value));

async function login(port: number, answers: string[] = [], flags: string[] = []) {
  const env = memoryEnv({
    home,
    tty: { stdin: answers.length > 0 },
    vars: { SSL_CERT_FILE: join(folder, 'ca.pem'), TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none') },
  });
  for (const answer of answers) env.type(`${answer}\n`);
  const status = await runTsh(['login', `--proxy=localhost:${port}`, '--user=alice', ...flags], env);
  const said = env.err().replaceAll(String(port), 'PORT');
  return { status, said, home: readdirSync(home) };
}

const page = '<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>';
const good = { server_version: '18.3.0', auth: { type: 'local' }, proxy: { tls_routing_enabled: false } };

const NOT_JSON = /^https:\/\/localhost:PORT\/webapi\/ping answered with something that is not a JSON object\nIs this/;
const GONE = 'Teleport proxy not available at localhost:PORT.\n\tGet "https://localhost:PORT/webapi/ping": ';
const NO_PROXY = 'the server at localhost:PORT is not a Teleport proxy: ';
const BEGIN = 'https://localhost:PORT/webapi/mfa/login/begin: ';

/** Nothing was stored, and exactly this was said. */
async function expectSaid(port: number, text: string | RegExp): Promise<void> {
  const { status, said, home: stored } = await login(port, ['pw', '123456']);
  expect({ status, stored }).toEqual({ status: 1, stored: [] });
  const errors = said.split('ERROR: ').slice(1);
  expect(errors).toHaveLength(1);
  if (typeof text === 'string') expect(errors[0]).toBe(`${text}\n\n`);
  else expect(errors[0]).toMatch(text);
}

test.each<[string, (socket: Socket) => void, string | RegExp]>([
  ['a page', (s) => s.end(http('200 OK', page)), NOT_JSON],
  ['nothing', (s) => s.end(http('200 OK', '')), NOT_JSON],
  ['JSON cut off', (s) => s.end(http('200 OK', '{"server_version":"18.3.0","auth":{"ty')), NOT_JSON],
  ['a word', (s) => s.end(http('200 OK', '"hello"')), NOT_JSON],
  ['a list', (s) => s.end(http('200 OK', '[]')), NOT_JSON],
  ['null', (s) => s.end(http('200 OK', 'null')), NOT_JSON],
  [
    '502 of a balancer',
    (s) => s.end(http('502 Bad Gateway', page)),
    /^Teleport proxy not available at localhost:PORT\.\n\tTeleport proxy at .* answered the ping with an error: HTTP status 502 Bad Gateway\n\n$/,
  ],
  ['404', (s) => s.end(http('404 Not Found', '404 page not found')), /answered the ping with an error: 404 page not/],
  ['a redirect', (s) => s.end(http('302 Found', '')), /answered the ping with an error: HTTP status 302 Found\n/],
  [
    'a number as version',
    (s) => s.end(json({ ...good, server_version: 18 })),
    `${NO_PROXY}server_version of its ping is not a string`,
  ],
  ['text as auth', (s) => s.end(json({ ...good, auth: 'local' })), `${NO_PROXY}auth of its ping is not an object`],
  ['a list as proxy', (s) => s.end(json({ ...good, proxy: [] })), `${NO_PROXY}proxy of its ping is not an object`],
  [
    'a number as address',
    (s) => s.end(json({ ...good, proxy: { ssh: { public_addr: 5 } } })),
    `${NO_PROXY}proxy.ssh.public_addr of its ping is not a string`,
  ],
  ['no version', (s) => s.end(json({})), `${NO_PROXY}its version "" is not in dotted-tri format`],
  [
    'an escape sequence behind the version',
    (s) => s.end(json({ ...good, server_version: '18.3.0\u001b]0;owned\u0007' })),
    `${NO_PROXY}its version "18.3.0\\u001b]0;owned\\u0007" is not in dotted-tri format`,
  ],
  [
    'an address with a line of its own',
    (s) => s.end(json({ ...good, proxy: { ssh: { public_addr: 'x.example.com\r\nX-Injected: 1:443' } } })),
    `${NO_PROXY}proxy.ssh.public_addr of its ping is not an address`,
  ],
  [
    'a body cut off',
    (s) => s.end('HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"server_version":'),
    `${GONE}the connection was closed before the whole answer had come`,
  ],
  ['a hang-up', (s) => s.destroy(), `${GONE}the connection was closed before the whole answer had come`],
  ['an endless body', (s) => flood(s, 'HTTP/1.1 200 OK\r\n\r\n'), `${GONE}the answer is longer than 4194304 bytes`],
  ['an endless head', (s) => flood(s, 'HTTP/1.1 200 OK\r\nX-Long: '), `${GONE}the answer is too long`],
  ['another protocol', (s) => s.end('220 mail.example.com ESMTP\r\n'), `${GONE}the answer is not HTTP`],
  [
    'chunks that are none',
    (s) => s.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n'),
    `${GONE}the answer is not HTTP`,
  ],
])('a ping answered with %s', async (_what, answer, text) => {
  await expectSaid(await answering(answer), text);
});

const unknownTrust = [{ domain_name: 'x', checking_keys: ['eHg='], tls_certs: ['eHg='] }];

test.each<[string, { begin?: string; finish?: string }, string | RegExp]>([
  ['a challenge without anything', { begin: json({}) }, 'the proxy answered a login without a certificate'],
  ['502', { begin: http('502 Bad Gateway', page) }, `${BEGIN}HTTP status 502 Bad Gateway`],
  ['403 without text', { begin: http('403 Forbidden', '') }, `${BEGIN}HTTP status 403 Forbidden`],
  ['members of other types', { finish: json({ username: 5, cert: 7, tls_cert: {} }) }, /without a certificate/],
  ['no authorities', { finish: json({ username: 'a', cert: 'eHg=', tls_cert: 'eHg=' }) }, /without host authorities/],
  [
    'certificates that are none',
    { finish: json({ username: 'a', cert: 'eHg=', tls_cert: 'eHg=', host_signers: unknownTrust }) },
    'no certificate found in PEM text',
  ],
])('a login answered with %s', async (_what, { begin, finish }, text) => {
  const answers: Record<string, string> = {
    '/webapi/ping': json({ ...good, auth: null, from_the_future: { x: [1] } }),
    '/webapi/mfa/login/begin': begin ?? json({ totp_challenge: true }),
    '/webapi/mfa/login/finish': finish ?? json({}),
  };
  await expectSaid(await answering((socket, path) => void socket.end(answers[path] ?? '')), text);
});

test.each<[string, () => Server, string]>([
  [
    'plain HTTP',
    () => createHttpServer((_q, response) => response.end()),
    'tls: first record does not look like a TLS handshake',
  ],
  [
    'SSH',
    () => createTcpServer((s) => s.write('SSH-2.0-OpenSSH_9.2\r\n')),
    'tls: first record does not look like a TLS handshake',
  ],
  [
    'nothing and hangs up',
    () => createTcpServer((s) => s.destroy()),
    'the connection was closed during the TLS handshake',
  ],
])('a server that speaks %s', async (_what, server, text) => {
  await expectSaid(await listen(server()), `${GONE}${text}`);
});

test('a kept connection that was closed while a person typed is made anew', async () => {
  let connections = 0;
  const server = createTlsServer({ cert: web.cert, key: web.key }, (socket) => {
    connections++;
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)));
    socket.once('data', () => {
      const body = JSON.stringify(connections === 1 ? good : { error: { message: 'invalid credentials' } });
      const status = connections === 1 ? '200 OK' : '403 Forbidden';
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      // What comes next on it finds nobody.
      socket.once('data', () => socket.destroy());
    });
  });
  await expectSaid(await listen(server), 'invalid credentials');
  expect(connections).toBe(2);
});

test.each([
  [
    '15.4.36',
    undefined,
    /^WARNING: the cluster at localhost:PORT has version 15\.4\.36, which is too old for tsh 18\.3\.0: use tsh 15\.x, or .*--skip-version-check\.\n/,
  ],
  [
    '25.1.0',
    '24.0.0-aa',
    /^WARNING: the cluster at localhost:PORT \(version 25\.1\.0\) needs tsh 24\.0\.0 or newer and this is 18\.3\.0: upgrade tsh, or .*\n/,
  ],
  ['18.9.9', '17.0.0-aa', /^Enter password/],
])('a cluster of version %s', async (version, minClient, said) => {
  const ping = json({ ...good, server_version: version, min_client_version: minClient });
  const port = await answering(
    (socket, path) =>
      void socket.end(path === '/webapi/ping' ? ping : http('403 Forbidden', '{"error":{"message":"no"}}')),
  );
  expect((await login(port, ['pw'])).said).toMatch(said);
  expect((await login(port, ['pw'], ['--skip-version-check'])).said).toMatch(/^Enter password/);
});

function flood(socket: Socket, head: string): void {
  socket.write(head);
  const more = () => {
    while (!socket.destroyed && socket.write('x'.repeat(65_536)));
  };
  socket.on('drain', more);
  more();
}
