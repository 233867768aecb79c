/**
 * Tests: src/proxy/web/answer.ts, src/proxy/web/body.ts, src/proxy/web/join.ts, src/proxy/web/limits.ts
 * Tests: src/proxy/web/login.ts, src/proxy/web/pages.ts, src/proxy/web/ping.ts, src/proxy/web/request.ts
 * Tests: src/proxy/web/routes.ts, src/proxy/web/signup-script.ts, src/proxy/web/signup.ts
 */
import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { connect as connectHttp2, type Settings } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as connectTls } from 'node:tls';
import { jest } from '@jest/globals';
import { createLimiter } from '../../src/net/rate-limit.js';
import { readQr } from '../support/qr.js';
import { CLUSTER, startTestProxy, type TestProxy, TOTP_SECRET } from './test-proxy.js';

let peer: TestProxy;
beforeAll(async () => {
  peer = await startTestProxy();
});
afterAll(() => peer.close());

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are compared, not used
  json: () => any;
}

function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, port = peer.port) {
  return new Promise<Reply>((resolve, reject) => {
    const request = httpsRequest(
      {
        host: '127.0.0.1',
        port,
        method,
        path,
        agent: false,
        rejectUnauthorized: false,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            json: () => JSON.parse(text),
          });
        });
      },
    );
    request.once('error', reject);
    request.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body));
  });
}

function recorded(name: string) {
  const text = readFileSync(`test/fixtures/rest/${name}.json`, 'utf8');
  // The recorded Proxy listened elsewhere.
  return JSON.parse(text.replaceAll('127.0.0.1:47080', `127.0.0.1:${peer.port}`));
}

const SENT: Record<string, unknown> = { '{PASSWORD}': 'right', '{WRONG_PASSWORD}': 'wrong', '{WRONG_OTP}': '000000' };

test.each([
  'ping',
  'ping-v1',
  'find',
  'ping-connector-unknown',
  'not-found',
  'update-channel-version',
  'begin',
  'begin-no-body',
  'begin-unknown-user',
  'begin-wrong-password',
  'finish-no-keys',
  'finish-wrong-code',
])('%s is answered as Teleport 18.3.0 answered it', async (name) => {
  const { request, response } = recorded(name);
  const body =
    request.body &&
    Object.fromEntries(Object.entries(request.body).map(([key, value]) => [key, SENT[value as string] ?? value]));
  const reply = await call(request.method, request.path, body);
  expect(reply.status).toBe(response.status);
  const { date: _date, 'content-length': length, ...headers } = response.headers;
  expect(reply.headers).toMatchObject(headers);
  if (typeof response.body === 'string') expect(reply.text).toBe(response.body);
  else expect(reply.json()).toEqual(response.body);
  // Same bytes for what names no port.
  if (!/^(ping|find)/.test(name) || name === 'ping-connector-unknown') {
    expect(reply.headers['content-length']).toBe(length);
  }
});

test('a finished login has the recorded members, and one without SSH key has a null certificate', async () => {
  const { request, response } = recorded('finish');
  const body = { ...request.body, password: 'right', totp_code: '123456' };
  const reply = await call('POST', request.path, body, { 'user-agent': 'probe' });
  expect(reply.status).toBe(200);
  expect(Object.keys(reply.json())).toEqual(Object.keys(response.body));
  expect(reply.json()).toMatchObject({ username: 'alice', cert: Buffer.from('ssh cert\n').toString('base64') });
  expect(peer.auth.calls.at(-1)).toMatchObject({
    ttl: 43_200_000_000_000n,
    remoteAddr: '127.0.0.1',
    userAgent: 'probe',
  });
  const { ssh_pub_key: _ssh, ...without } = body;
  expect((await call('POST', request.path, without)).json().cert).toBeNull();
});

test('bodies of a wrong type, broken JSON and too much of it are refused', async () => {
  const path = '/webapi/mfa/login/begin';
  expect((await call('POST', path, 'x', { 'content-type': 'text/plain' })).json()).toEqual({
    error: { message: 'invalid request' },
  });
  const broken = await call('POST', path, '{');
  expect(broken.status).toBe(400);
  expect(broken.json().error.message).toMatch(/^request: /);
  expect((await call('POST', path, `"${'x'.repeat(100_000)}"`)).status).toBe(429);
  expect((await call('POST', path, { user: 5 })).status).toBe(403);
  expect((await call('POST', path, { passwordless: true })).json().error.message).toBe(
    'passwordless requires WebAuthn',
  );
});

test('A-M1 a path of slashes is not taken apart', async () => {
  const taken: number[] = [];
  const split = jest.spyOn(String.prototype, 'split');
  try {
    expect((await call('GET', '/'.repeat(16_000))).status).toBe(404);
    for (const text of split.mock.contexts as unknown as string[]) if (text.length > 512) taken.push(text.length);
  } finally {
    split.mockRestore();
  }
  expect(taken).toEqual([]);
  const token = (characters: number) => `/webapi/users/password/token/${'x'.repeat(characters)}`;
  const answers = await Promise.all([call('GET', token(483)), call('GET', token(484))]);
  expect(answers.map(({ text }) => text.includes('path not found'))).toEqual([false, true]);
});

test('A-M1 what is not there has a rate too', async () => {
  const busy = await startTestProxy({ rateLimits: { any: { perMinute: 1, burst: 2 } } });
  try {
    const ask = async (method: string, path: string) => (await call(method, path, undefined, {}, busy.port)).status;
    expect([await ask('GET', '/a'), await ask('DELETE', '/webapi/ping')]).toEqual([404, 404]);
    expect([await ask('GET', '/b'), await ask('GET', '/')]).toEqual([429, 429]);
  } finally {
    await busy.close();
  }
});

test('L12 ping and find have a rate, and HTTP/2 a number of requests at a time', async () => {
  const busy = await startTestProxy({ rateLimits: { any: { perMinute: 1, burst: 3 } } });
  const session = connectHttp2(`https://127.0.0.1:${busy.port}`, { rejectUnauthorized: false });
  const announced = new Promise<Settings>((resolve) => session.once('remoteSettings', resolve));
  try {
    const statuses: number[] = [];
    for (const path of ['/webapi/ping', '/webapi/find', '/v1/webapi/ping', '/webapi/ping', '/webapi/find']) {
      statuses.push((await call('GET', path, undefined, {}, busy.port)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    expect((await announced).maxConcurrentStreams).toBe(100);
  } finally {
    session.destroy();
    await busy.close();
  }
});

test('motd, connectors, channels, the root and methods', async () => {
  peer.auth.settings.messageOfTheDay = 'hello';
  expect((await call('GET', '/webapi/motd')).json()).toEqual({ Text: 'hello' });
  expect((await call('GET', '/webapi/ping')).json().auth.has_motd).toBe(true);
  peer.auth.settings.messageOfTheDay = '';
  const local = (await call('GET', '/webapi/ping/local')).json();
  expect(local.auth).toMatchObject({ default_session_ttl: '0s', local: { name: 'local' } });
  expect(local).toMatchObject({ edition: '', auto_update: { tools_version: '' } });
  expect((await call('GET', '/webapi/automaticupgrades/channel/a/b/critical')).text).toBe('no');
  expect((await call('GET', '/webapi/automaticupgrades/channel/version')).status).toBe(400);
  const root = await call('GET', '/');
  expect([root.status, root.headers.location]).toEqual([302, '/web']);
  expect((await call('POST', '/webapi/ping', {})).status).toBe(404);
  expect((await call('GET', '/v2/webapi/ping')).status).toBe(404);
  expect((await call('GET', '/web/config.js')).text).toMatch(/^var GRV_CONFIG = \{.*\};$/);
  expect((await call('GET', '/webapi/connectionupgrade')).status).toBe(404);
});

test('a refused upgrade is answered and ended by the Proxy, whatever was wrong with it', async () => {
  for (const [path, kind] of [
    ['/webapi/connectionupgrade', 'websocket'],
    ['/webapi/connectionupgrade', 'nothing'],
    ['/webapi/elsewhere', 'websocket'],
  ]) {
    const socket = connectTls({ host: '127.0.0.1', port: peer.port, rejectUnauthorized: false });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${kind}\r\n\r\n`);
    let text = '';
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
    await new Promise((resolve) => socket.once('end', resolve));
    expect(text).toMatch(/^HTTP\/1\.1 40[04] /);
    socket.destroy();
  }
});

test('second factors are told as Teleport tells them', async () => {
  for (const [factors, word] of [
    [[], 'off'],
    [[1], 'otp'],
    [[2], 'webauthn'],
    [[1, 2], 'on'],
  ] as const) {
    peer.auth.settings.secondFactors = [...factors];
    expect((await call('GET', '/webapi/ping')).json().auth.second_factor).toBe(word);
  }
  peer.auth.settings.secondFactors = [1];
});

test('a person signs up: the QR code in the JSON holds the secret, errors have their texts', async () => {
  const token = (await call('GET', '/v1/webapi/users/password/token/invite-token')).json();
  expect(token).toMatchObject({ tokenId: 'invite-token', user: 'alice', expiry: '0001-01-01T00:00:00Z' });
  expect(await readQr(token.qrCode)).toMatchObject({
    width: 456,
    height: 456,
    text: expect.stringContaining(`secret=${TOTP_SECRET}`),
  });
  const refused = await call('GET', '/webapi/users/password/token/nope');
  expect([refused.status, refused.json().error.message]).toEqual([403, 'bad or expired token']);
  const challenge = await call('POST', '/webapi/mfa/token/invite-token/registerchallenge', { deviceType: 'totp' });
  expect(challenge.json()).toMatchObject({ webauthn: null, totp: { qrCode: expect.any(String) } });
  const invalid = await call('POST', '/webapi/mfa/token/nope/registerchallenge', { deviceType: 'totp' });
  expect(invalid.json().error.message).toBe('invalid token');
  const put = (password: string) =>
    call('PUT', '/webapi/users/password/token', {
      token: 'invite-token',
      password: Buffer.from(password).toString('base64'),
      second_factor_token: '123456',
    });
  expect((await put('short')).json().error.message).toBe('password is too short, min length is 12');
  expect((await put('long enough password')).json()).toEqual({ recovery: {} });
  expect(peer.auth.calls.at(-1)).toMatchObject({ token: 'invite-token', totpCode: '123456' });
});

test('the sign-up page stands alone: a strict policy, no file from elsewhere, the secret only after a POST', async () => {
  const page = await call('GET', '/web/invite/invite-token');
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(page.headers['content-security-policy']).toMatch(
    /^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-/,
  );
  expect(page.headers['referrer-policy']).toBe('no-referrer');
  expect(page.text).not.toMatch(/https?:\/\/|src="|invite-token/);
  const setup = (await call('POST', '/web/invite/invite-token', {})).json();
  expect(setup).toMatchObject({ user: 'alice', usage: 'invite', secret: TOTP_SECRET });
  expect(setup.qr).toMatch(/^data:image\/svg\+xml;base64,/);
  const home = await call('GET', '/web', undefined, { host: '<script>' });
  expect(home.text).toContain('--proxy=&lt;script&gt;');
  expect(home.text).toContain(CLUSTER);
});

test('a host joins with a token, and Auth hears its address', async () => {
  const key = Buffer.from('public key').toString('base64');
  const ask = (token: string) =>
    call('POST', '/webapi/host/credentials', {
      hostID: 'h',
      node_name: 'n',
      role: 'Db',
      token,
      additional_principals: ['n'],
      public_tls_key: key,
      public_ssh_key: key,
      remote_addr: '203.0.113.1',
    });
  expect((await ask('good')).json()).toEqual({
    ssh: Buffer.from('ssh').toString('base64'),
    tls: Buffer.from('tls').toString('base64'),
    tls_ca_certs: [Buffer.from('ca').toString('base64')],
    ssh_ca_certs: [],
  });
  expect(peer.auth.joins.at(-1)).toMatchObject({ hostId: 'h', role: 'Db', remoteAddr: '127.0.0.1' });
  expect((await ask('bad')).status).toBe(403);
});

test('too many requests from one address are told when to come back', () => {
  let now = 0;
  const take = createLimiter({ perMinute: 20, burst: 2 }, () => now);
  take('a');
  take('a');
  expect(() => take('a')).toThrow('rate limit exceeded, try again in 3s');
  take('b');
  now = 3_000;
  take('a');
  expect(() => take('a')).toThrow(/rate limit/);
});
