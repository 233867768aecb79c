/** Tests: src/webapi/check-ping.ts. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { causesOf, messageOf } from '../../src/errors.js';
import { findProxyAddress, proxyClient } from '../../src/webapi/client.js';
import { createTestCa } from '../support/ca.js';
import { freePort } from '../support/free-port.js';

let server: Server;
let folder: string;
let address: string;
let connections = 0;
let seen: { url: string | undefined; headers: NodeJS.Dict<string | string[]> }[] = [];
let answer: { status: number; body: string };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'proxy-client-'));
  const ca = createTestCa();
  const { cert, key } = ca.issue(['localhost']);
  writeFileSync(join(folder, 'webproxy_cert.pem'), ca.certPem);
  server = createServer({ cert, key }, (request, response) => {
    seen.push({ url: request.url, headers: request.headers });
    request.resume().on('end', () => {
      if (answer.status > 0) response.writeHead(answer.status).end(answer.body);
    });
  });
  server.on('secureConnection', () => connections++);
  await new Promise<void>((done) => server.listen(0, done));
  address = `localhost:${(server.address() as AddressInfo).port}`;
});
beforeEach(() => {
  seen = [];
  connections = 0;
  answer = { status: 200, body: '{"server_version":"18.3.0"}' };
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true, force: true });
});

const client = (options: { timeoutMs?: number; headers?: Record<string, string>; signal?: AbortSignal } = {}) =>
  proxyClient(address, { vars: {}, webproxyCertPath: join(folder, 'webproxy_cert.pem'), ...options });

test('a proxy on this machine is trusted by its own certificate; calls share a connection and carry the headers', async () => {
  using proxy = client({ headers: { 'X-Team': 'blue' } });
  await proxy.ping();
  await proxy.ping('local');
  expect(connections).toBe(1);
  expect(seen.map(({ url }) => url)).toEqual(['/webapi/ping', '/webapi/ping/local']);
  expect(seen[0]!.headers).toMatchObject({ 'x-team': 'blue', host: address });
});

test.each([
  [{ status: 200, body: '{}' }, 'Protocol', 'dotted-tri'],
  [{ status: 200, body: '<html>' }, 'Protocol', 'not a JSON object'],
  [
    { status: 400, body: '{"error":{"message":"invalid connector name: x"}}' },
    'BadParameter',
    'invalid connector name: x',
  ],
])('an answer that is no ping: %j', async (given, code, message) => {
  answer = given;
  using proxy = client();
  await expect(proxy.ping()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
});

test('a proxy that does not answer in time, and a cancelled wait', async () => {
  answer = { status: 0, body: '' };
  using slow = client({ timeoutMs: 50 });
  await expect(slow.ping()).rejects.toMatchObject({
    code: 'ConnectionProblem',
    message: expect.stringMatching(/^Get "https:\/\/localhost:\d+\/webapi\/ping": no answer within/),
  });
  using cancelled = client({ signal: AbortSignal.abort(new Error('stopped')) });
  await expect(cancelled.ping()).rejects.toThrow('stopped');
});

describe('W8 a Proxy without a port that cannot be reached: the reason is below the two addresses', () => {
  const reasons = async (httpProxyPort: number) => {
    const error = await findProxyAddress(
      { host: 'teleport.example.com' },
      { vars: { HTTPS_PROXY: `http://127.0.0.1:${httpProxyPort}` } },
    ).catch((thrown: unknown) => thrown);
    expect(messageOf(error)).toBe(
      'Teleport proxy not available at proxy address teleport.example.com:3080 or teleport.example.com:443',
    );
    return causesOf(error).map(messageOf).join('\n');
  };

  test('an HTTP proxy that asks for a password', async () => {
    const httpProxy = createTcpServer((socket) => {
      socket.on('error', () => {}).resume();
      socket.once('data', () => socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n'));
    });
    await new Promise<void>((done) => httpProxy.listen(0, '127.0.0.1', done));
    try {
      expect(await reasons((httpProxy.address() as AddressInfo).port)).toMatch(
        /the HTTP proxy refused a tunnel to teleport\.example\.com:\d+: HTTP status 407/,
      );
    } finally {
      httpProxy.close();
    }
  });

  test('an HTTP proxy that is not there', async () => {
    const port = await freePort();
    expect(await reasons(port)).toContain(`dial tcp 127.0.0.1:${port}: connect: connection refused`);
  });
});
