/**
 * Tests: src/proxy/web/answer.ts, src/proxy/web/body.ts, src/proxy/web/html.ts, src/proxy/web/join.ts
 * Tests: src/proxy/web/limits.ts, src/proxy/web/login.ts, src/proxy/web/page-files.ts, src/proxy/web/pages.ts
 * Tests: src/proxy/web/ping.ts, src/proxy/web/request.ts, src/proxy/web/routes.ts, src/proxy/web/signup-pages.ts
 * Tests: src/proxy/web/signup.ts
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
  peer = await startTestProxy({ rateLimits: { normal: { perMinute: 1_000, burst: 1_000 } } });
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

const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };
const INVITE = '/web/invite/invite-token';
const OTPAUTH = `otpauth://totp/x?secret=${TOTP_SECRET}`;
const sendForm = (fields: Record<string, string>, path = INVITE, port = peer.port) =>
  call('POST', path, String(new URLSearchParams(fields)), FORM_TYPE, port);
const GOOD = 'long enough password';
const filled = { password: GOOD, again: GOOD, code: '123 456', otpauth: OTPAUTH };

test('a page for people stands alone: a strict policy, nothing inline, nothing from elsewhere, kept by no cache', async () => {
  const pages = [
    await call('GET', '/web'),
    await call('GET', INVITE),
    await sendForm({}),
    await sendForm({ ...filled, password: 'short' }),
    await sendForm(filled),
    await call('GET', '/web/reset/nope'),
    await call('GET', '/web/msg/info/login_success'),
    await call('GET', '/web/msg/error/login'),
  ];
  expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 400, 200, 404, 200, 200]);
  for (const { headers, text } of pages) {
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy':
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
    });
    expect(text).not.toMatch(/https?:\/\/(?!www\.w3\.org\/2000\/svg")|<style|\sstyle=|\son\w+=|<script>|invite-token/);
    const asked = [...text.matchAll(/\s(?:href|src)="(?!otpauth:)([^"]*)"/g)].map(([, path]) => path!);
    expect(asked).toEqual(['/web/icon.svg', '/web/pages.css', '/web/pages.js']);
  }
  for (const [path, type] of [
    ['/web/icon.svg', 'image/svg+xml'],
    ['/web/pages.css', 'text/css; charset=utf-8'],
    ['/web/pages.js', 'text/javascript; charset=utf-8'],
  ]) {
    const { status, headers } = await call('GET', path!);
    expect([status, headers['content-type'], headers['x-content-type-options']]).toEqual([200, type, 'nosniff']);
  }
  const home = await call('GET', '/web', undefined, { host: '<script>' });
  expect(home.text).toContain('&#39;&lt;script&gt;&#39;');
  expect(home.text).toContain(CLUSTER);
});

test('U2 a link shows no secret until somebody goes on, and the same one again after a mistake', async () => {
  peer.auth.opened.length = 0;
  const first = await call('GET', INVITE);
  expect(first.text).toContain('<strong>alice</strong>');
  expect(first.text).not.toContain('otpauth:');
  expect(peer.auth.opened).toEqual(['looked']);
  const form = await sendForm({});
  expect(form.text).toContain(`<a href="otpauth://totp/${CLUSTER}:alice@localhost?`);
  expect(form.text.match(/<code id="secret"[^>]*>(.*)<\/code>/)![1]!.replace(/<\/?span>/g, '')).toBe(TOTP_SECRET);
  peer.auth.opened.length = 0;
  const [, otpauth] = /name="otpauth" value="([^"]*)"/.exec(form.text)!;
  const again = await sendForm({ ...filled, password: '', otpauth: otpauth!.replaceAll('&amp;', '&') });
  expect(again.text).toContain(`name="otpauth" value="${otpauth}"`);
  expect(peer.auth.opened).toEqual(['looked']);
  // Anything else in its place is not shown, and a new secret is.
  for (const evil of [
    'javascript:alert(1)',
    `${OTPAUTH}"><script>alert(1)</script>`,
    `https://x/?secret=${TOTP_SECRET}`,
  ]) {
    const answer = await sendForm({ ...filled, password: '', otpauth: evil });
    expect(answer.text).not.toMatch(/alert\(1\)|https:\/\/x/);
    expect(answer.text).toContain(`secret=${TOTP_SECRET}`);
  }
});

test.each([
  ['no password', { password: '', again: '' }, 'password', 'Choose a password and type it here.'],
  ['11 bytes', { password: 'x'.repeat(11) }, 'password', 'This password is too short. Use at least 12 characters.'],
  ['129 bytes', { password: 'x'.repeat(129) }, 'password', 'This password is too long. Use at most 128 characters.'],
  ['not typed again', { again: '' }, 'again', 'Type the same password here.'],
  [
    'typed otherwise',
    { again: 'another password' },
    'again',
    'The two passwords are not the same. Type this one again.',
  ],
  ['no code', { code: ' ' }, 'code', 'Type the 6 digits that the app shows.'],
  ['a code of five', { code: '12345' }, 'code', 'A code has 6 digits. Type the one that the app shows now.'],
  ['a wrong code', { code: '000000' }, 'code', 'This code does not fit. Wait until the app shows the next one'],
])('U2 %s: the words stand beside the field, which has the focus', async (_, typed, field, words) => {
  const { status, text } = await sendForm({ ...filled, ...typed });
  expect(status).toBe(400);
  expect(text).toContain('<title>Error: ');
  expect(text).toContain(`id="${field}-error"><span class="unseen">Error: </span>${words}`);
  expect(text).toMatch(
    new RegExp(
      `<input id="${field}"[^>]* aria-describedby="${field}-error ${field}-hint" aria-invalid="true" autofocus>`,
    ),
  );
  expect(text.match(/ autofocus>/g)).toHaveLength(1);
  // What was typed is not sent back.
  expect(text).not.toMatch(/long enough|xxxxx|another password/);
});

test('a person signs up with a form: Auth gets what was typed, and the command is that of this server and person', async () => {
  const { text } = await sendForm({ ...filled, password: ' ü & +%20 long', again: ' ü & +%20 long' });
  expect(text).toContain('Your account is ready');
  expect(text.replace(/<\/?span[^>]*>/g, '')).toContain(`tsh login --proxy=127.0.0.1:${peer.port} --user=alice</pre>`);
  const { password, ...sent } = peer.auth.calls.at(-1)!;
  expect(Buffer.from(password as Uint8Array).toString()).toBe(' ü & +%20 long');
  expect(sent).toMatchObject({ token: 'invite-token', totpCode: '123456', remoteAddr: '127.0.0.1' });
});

test('without a second factor the form comes at once and has no code; an optional one may stay empty', async () => {
  try {
    peer.auth.link.secondFactor = 'off';
    const form = await call('GET', INVITE);
    expect(form.text).toContain('id="password"');
    expect(form.text).not.toMatch(/id="code"|otpauth/);
    expect((await sendForm({ password: GOOD, again: GOOD, code: 'x' })).status).toBe(200);
    expect(peer.auth.calls.at(-1)).toMatchObject({ totpCode: '' });
    peer.auth.link.secondFactor = 'optional';
    expect((await sendForm({})).text).toContain('Code from the app (optional)');
    expect((await sendForm({ ...filled, code: '' })).status).toBe(200);
    expect((await sendForm({ ...filled, code: '1' })).status).toBe(400);
  } finally {
    peer.auth.link.secondFactor = 'otp';
  }
});

test('U2 a link that was used or has expired says what to do, and so does a server that is busy', async () => {
  for (const dead of [await call('GET', '/web/invite/nope'), await sendForm(filled, '/web/reset/nope')]) {
    expect(dead.status).toBe(404);
    expect(dead.text).toContain('This link no longer works');
    expect(dead.text.replace(/<\/?span[^>]*>/g, '')).toMatch(
      /tsh login --proxy=127\.0\.0\.1:\d+ --user=NAME[\s\S]*tctl users reset NAME/,
    );
  }
  expect((await call('POST', INVITE, {})).text).toContain('This request cannot be read');
  const busy = await startTestProxy({ rateLimits: { normal: { perMinute: 1, burst: 1 } } });
  try {
    await sendForm({}, INVITE, busy.port);
    const { status, text, headers } = await sendForm({}, INVITE, busy.port);
    expect([status, headers['content-type']]).toEqual([429, 'text/html; charset=utf-8']);
    expect(text).toMatch(/<main data-trouble>[\s\S]*Wait a minute, and then try again/);
  } finally {
    await busy.close();
  }
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
