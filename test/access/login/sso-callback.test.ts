/** Tests: src/webapi/login-answer.ts. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { openSsoCallback, type SsoCallback } from '../../../src/access/login/sso-callback.js';
import { sealed } from '../../support/fake-cluster/sso.js';

const ANSWER = {
  username: 'octo',
  cert: Buffer.from('ssh-ed25519-cert-v01@openssh.com AAAA\n').toString('base64'),
  tls_cert: Buffer.from('PEM').toString('base64'),
  host_signers: [{ domain_name: 'root.example.com', checking_keys: [], tls_certs: [] }],
};
const GOOD_PAGE = 'https://proxy.example.com:443/web/msg/info/login_success';
const BAD_PAGE = 'https://proxy.example.com:443/web/msg/error/login';

let callback: SsoCallback;
let base: string;
let key: string;
let strangers: number;
beforeEach(async () => {
  strangers = 0;
  callback = await openSsoCallback({ webProxyAddr: 'proxy.example.com:443', onStranger: () => strangers++ });
  const url = new URL(callback.callbackUrl);
  base = url.origin;
  key = url.searchParams.get('secret_key')!;
});
afterEach(() => callback[Symbol.asyncDispose]());

/** One request; status, headers and body of what came. */
function visit(path: string, { method = 'GET', body = '', headers = {} as Record<string, string> } = {}) {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>((resolve, reject) => {
    const call = request(`${base}${path}`, { method, headers, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text }));
    });
    call.on('error', reject).end(body);
  });
}
const response = (plain: unknown, withKey = key) =>
  `/callback?${new URLSearchParams({ response: sealed(withKey, JSON.stringify(plain)) })}`;

test('it listens on loopback, and the proxy is told where, with a key of its own', () => {
  expect(callback.callbackUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback\?secret_key=[0-9a-f]{64}$/);
});

test('the short link leads to the identity provider, as often as it is opened', async () => {
  const link = callback.linkTo({ redirectUrl: 'https://idp.example.com/start?a=b' });
  expect(link).toMatch(new RegExp(`^${base}/[0-9a-f-]{36}$`));
  for (let i = 0; i < 2; i++) {
    const { status, headers } = await visit(new URL(link).pathname);
    expect([status, headers.location]).toEqual([302, 'https://idp.example.com/start?a=b']);
  }
});

test('a form of the identity provider is shown as a page that may do nothing but submit it', async () => {
  const form = '<form method="post" action="https://idp.example.com/"></form><script>submit()</script>';
  const { status, headers, text } = await visit(new URL(callback.linkTo({ formHtml: form })).pathname);
  expect(status).toBe(200);
  expect(text).toContain(`<body>${form}</body>`);
  expect(headers['content-security-policy']).toContain("default-src 'none'");
});

test('a sealed answer ends the login, and the browser is sent to the page of the proxy', async () => {
  const { status, headers } = await visit(response(ANSWER));
  expect([status, headers.location]).toEqual([302, GOOD_PAGE]);
  expect(headers).toMatchObject({ 'access-control-allow-origin': '*', allow: 'GET, OPTIONS, POST' });
  expect(await callback.answer).toMatchObject({
    username: 'octo',
    tlsCertPem: 'PEM',
    sshCert: 'ssh-ed25519-cert-v01@openssh.com AAAA',
    hostSigners: [{ clusterName: 'root.example.com', sshKeys: [], tlsPems: [] }],
  });
});

test('it may come as a form too; OPTIONS and other methods end nothing', async () => {
  expect((await visit('/callback', { method: 'OPTIONS' })).status).toBe(200);
  expect((await visit('/callback', { method: 'PUT' })).status).toBe(405);
  const [path, body] = response(ANSWER).split('?') as [string, string];
  expect((await visit(path, { method: 'POST', body })).headers.location).toBe(GOOD_PAGE);
  expect((await callback.answer).username).toBe('octo');
});

test('an answer of many roles, longer than what Node takes by default, is taken', async () => {
  const path = response({ ...ANSWER, cert: Buffer.alloc(150_000, 'a').toString('base64') });
  expect(path.length).toBeGreaterThan(200_000);
  expect((await visit(path)).headers.location).toBe(GOOD_PAGE);
  expect((await callback.answer).sshCert).toHaveLength(150_000);
});

test.each([
  ['not JSON inside', () => `/callback?${new URLSearchParams({ response: sealed(key, 'text') })}`, 'failed to decrypt'],
  ['null inside', () => response(null), 'without a certificate'],
  ['numbers inside', () => response({ ...ANSWER, tls_cert: 1, username: [] }), 'without a certificate'],
  ['no authorities inside', () => response({ ...ANSWER, host_signers: 'x' }), 'without host authorities'],
])('refused: %s', async (_, path, why) => {
  const { status, headers } = await visit(path());
  expect([status, headers.location]).toEqual([302, BAD_PAGE]);
  await expect(callback.answer).rejects.toThrow(why);
});

test('what the identity provider says is passed on, not more than a page of it, and the key is not', async () => {
  const { headers } = await visit(`/callback?err=denied%0A%09by+you${'x'.repeat(5000)}&secret_key=${key}`);
  expect(headers.location).toBe(BAD_PAGE);
  const error: Error = await callback.answer.then(
    () => new Error('answered'),
    (refused) => refused,
  );
  expect(error.message).toMatch(/^identity provider callback failed with error: denied\n\tby youx/);
  expect(error.message.length).toBeLessThan(2100);
  expect(error.message).not.toContain(key);
});

test.each([
  ['sealed with another key', () => response(ANSWER, '00'.repeat(32))],
  ['cut short', () => response(ANSWER).slice(0, -40)],
  ['without an answer', () => '/callback'],
  ['an error without the key', () => '/callback?err=run+this'],
  ['an error with another key', () => `/callback?err=run+this&secret_key=${'00'.repeat(32)}`],
  ['an error with half of the key', () => `/callback?err=run+this&secret_key=${key.slice(0, 32)}`],
])('no callback of the proxy, so that it ends nothing: %s', async (_, path) => {
  for (let i = 0; i < 2; i++) expect((await visit(path())).headers.location).toBe(BAD_PAGE);
  expect(strangers).toBe(1);
  expect((await visit(response(ANSWER))).headers.location).toBe(GOOD_PAGE);
  expect((await callback.answer).username).toBe('octo');
});

test('only the first callback of the proxy counts', async () => {
  const both = await Promise.all([visit(`/callback?err=first&secret_key=${key}`), visit(response(ANSWER))]);
  expect(both.map(({ headers }) => headers.location)).toEqual([BAD_PAGE, BAD_PAGE]);
  await expect(callback.answer).rejects.toThrow('first');
});

test.each(['/', '/callbac', '/callback/', '/00000000-0000-0000-0000-000000000000', '//callback', '/callback%20'])(
  'nothing is at %s',
  async (path) => {
    expect((await visit(path)).status).toBe(404);
    await visit(response(ANSWER));
    expect((await callback.answer).username).toBe('octo');
  },
);

test('too many bytes are refused and end nothing', async () => {
  // Who still sends when the answer comes may find the connection reset in place of it.
  const statusOf = (asked: ReturnType<typeof visit>) =>
    asked.then(
      ({ status }) => status,
      (error: NodeJS.ErrnoException) => error.code,
    );
  const many = 'a'.repeat(1_100_000);
  expect([431, 'ECONNRESET', 'EPIPE']).toContain(await statusOf(visit(`/callback?response=${many}`)));
  expect([413, 'ECONNRESET', 'EPIPE']).toContain(await statusOf(visit('/callback', { method: 'POST', body: many })));
  await visit(response(ANSWER));
  expect((await callback.answer).username).toBe('octo');
});

test('L4 who holds as many connections as there are keeps nobody out: the oldest is cut off', async () => {
  const { port } = new URL(base);
  const held: Socket[] = [];
  for (let n = 0; n < 64; n++) {
    const silent = connect(Number(port), '127.0.0.1');
    silent.on('error', () => {}).resume();
    await once(silent, 'connect');
    held.push(silent);
  }
  const [oldest, ...others] = held;
  const cut = once(oldest!, 'close');
  expect((await visit(response(ANSWER))).headers.location).toBe(GOOD_PAGE);
  await cut;
  expect(others.filter(({ closed }) => closed)).toEqual([]);
  expect((await callback.answer).username).toBe('octo');
});

test.each<Record<string, string>>([
  { host: 'rebound.example.com' },
  { host: 'rebound.example.com', origin: 'https://rebound.example.com' },
  { origin: 'https://evil.example.com', 'sec-fetch-site': 'cross-site' },
  { origin: 'null', referer: 'https://evil.example.com/' },
])(
  'X13 a page of another origin ends nothing, and reads neither the key nor where the login is: %j',
  async (headers) => {
    const link = callback.linkTo({ redirectUrl: 'https://idp.example.com/start' });
    const id = new URL(link).pathname.slice(1);
    for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD', 'PUT']) {
      for (const path of [
        '/',
        '/callback',
        '/callback?err=x',
        `/callback?secret_key=${'0'.repeat(64)}&err=x`,
        '/favicon.ico',
      ]) {
        const said = await visit(path, { method, headers });
        const all = JSON.stringify([said.headers, said.text]);
        for (const secret of [key, id, 'idp.example.com', 'evil', 'rebound']) expect(all).not.toContain(secret);
        expect(said.headers).not.toHaveProperty('access-control-allow-credentials');
        expect(said.headers).not.toHaveProperty('access-control-allow-private-network');
      }
    }
    expect((await visit(response(ANSWER))).headers.location).toBe(GOOD_PAGE);
    expect((await callback.answer).username).toBe('octo');
  },
);

test('X13 an answer that was seen once counts no second time, here or at another login', async () => {
  const path = response(ANSWER);
  expect((await visit(path)).headers.location).toBe(GOOD_PAGE);
  expect((await visit(path)).headers.location).toBe(BAD_PAGE);
  let others = 0;
  await using next = await openSsoCallback({ webProxyAddr: 'proxy.example.com:443', onStranger: () => others++ });
  base = new URL(next.callbackUrl).origin;
  expect((await visit(path)).headers.location).toBe(BAD_PAGE);
  expect(others).toBe(1);
});

test('closing it ends connections that say nothing', async () => {
  const { port } = new URL(base);
  const silent = connect(Number(port), '127.0.0.1');
  await new Promise((done) => silent.once('connect', done));
  const ended = new Promise((done) => silent.once('close', done));
  silent.on('error', () => {});
  await callback[Symbol.asyncDispose]();
  await ended;
  await expect(visit('/')).rejects.toThrow('ECONNREFUSED');
});

test('an address of ones own: bound as typed, shown so that a browser can open it', async () => {
  await using own = await openSsoCallback({ webProxyAddr: 'p:443', bindAddr: '0.0.0.0:0' });
  expect(own.linkTo({ redirectUrl: 'https://x' })).toMatch(/^http:\/\/127\.0\.0\.1:\d+\//);
  await using other = await openSsoCallback({ webProxyAddr: 'p:443', bindAddr: '127.0.0.1:0', baseUrl: 'https://me' });
  expect(other.callbackUrl).toMatch(/^https:\/\/me\/callback\?secret_key=/);
  expect(other.linkTo({ redirectUrl: 'https://x' })).toMatch(/^https:\/\/me\/[0-9a-f-]{36}$/);
});

test.each(['8080', 'localhost', '127.0.0.1:99999', '::1:80', '127.0.0.1:x'])(
  'refused to listen at %s',
  async (typed) => {
    await expect(openSsoCallback({ webProxyAddr: 'p:443', bindAddr: typed })).rejects.toThrow(
      `could not bind to ${typed}, make sure the address is host:port format`,
    );
  },
);

test('an address that is taken says so', async () => {
  const { host } = new URL(base);
  const error: Error & { cause?: Error } = await openSsoCallback({ webProxyAddr: 'p:443', bindAddr: host }).then(
    () => new Error('bound'),
    (refused) => refused,
  );
  expect(error.message).toContain(`could not bind to ${host}`);
  expect(error.cause?.message).toContain('address already in use');
});
