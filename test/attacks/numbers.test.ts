/** X15: numbers and nesting from outside are bounded, and the refusal names them. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { isTeleportError } from '../../src/errors.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { parseResources } from '../../src/resources/yaml.js';
import { MAX_YAML_DEPTH, parse, parseAllDocuments, parseDocument } from '../../src/yaml.js';
import { TestAuth } from '../auth/test-auth.js';
import { startTestProxy, type TestProxy } from '../proxy/test-proxy.js';

const DEEP: Record<string, string> = {
  'brackets that are closed': `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  'brackets that are not': '['.repeat(1_000_000),
  braces: '{a: '.repeat(5_000),
  dashes: `${'- '.repeat(5_000)}x`,
  'question marks': '? '.repeat(5_000),
  'indented keys': Array.from({ length: 1_500 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'),
  'a mixture': `${Array.from({ length: 60 }, (_, at) => `${'  '.repeat(at)}a:`).join('\n')} ${'['.repeat(60)}`,
  'the second document': `a: 1\n---\n${'['.repeat(5_000)}`,
  'JSON of a token': `{"kind":"token","spec":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
};

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (isTeleportError(error, 'BadParameter')) return error.message;
    throw error;
  }
  return 'taken';
}

describe('X15 YAML that is nested too deeply', () => {
  test.each(Object.keys(DEEP))('%s', (name) => {
    const text = DEEP[name]!;
    const refusal = new RegExp(`the YAML is nested more than ${MAX_YAML_DEPTH} levels deep in line \\d+$`);
    for (const read of [parse, parseDocument, parseAllDocuments, parseResources]) {
      expect(refusalOf(() => read(text))).toMatch(refusal);
    }
    expect(refusalOf(() => parseConfigText(text, '/etc/teleport.yaml'))).toMatch(refusal);
  });

  test.each([
    `${'['.repeat(50)}${']'.repeat(50)}`,
    Array.from({ length: 500 }, (_, at) => `key${at}: {a: [b, {c: d}]}`).join('\n'),
    Array.from({ length: 500 }, () => '- a: b\n  c:\n  - d').join('\n'),
    `text: |\n  ${'[{('.repeat(500)}\nquoted: "${'['.repeat(500)}"\nplain: ${'a - b - c '.repeat(100)}`,
    Array.from({ length: 300 }, (_, at) => `---\na: [b] # ${'['.repeat(at)}`).join('\n'),
  ])('what is only long is read: %.40s', (text) => {
    expect(parseAllDocuments(text)).not.toHaveLength(0);
    for (const { errors } of parseAllDocuments(text) as { errors: unknown[] }[]) expect(errors).toEqual([]);
  });
});

describe('X15 numbers at the web API', () => {
  let proxy: TestProxy;
  beforeAll(async () => {
    proxy = await startTestProxy();
  });
  afterAll(() => proxy.close());

  async function finish(ttl: string): Promise<{ status: number; text: string }> {
    const { request } = await import('node:https');
    const tls = Buffer.from('key').toString('base64');
    const body = `{"user":"alice","password":"right","totp_code":"123456","tls_pub_key":"${tls}","ttl":${ttl}}`;
    const options = { method: 'POST', path: '/webapi/mfa/login/finish', rejectUnauthorized: false, agent: false };
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    return await new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: proxy.port, ...options, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('end', () => resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() }));
      });
      sent.once('error', reject).end(body);
    });
  }

  test.each(['9.3e18', '-9.3e18', '1e308', '9223372036854775807'])('a ttl of %s is out of range', async (ttl) => {
    const { status, text } = await finish(ttl);
    expect(status).toBe(400);
    expect(text).toContain('request: ttl is out of range');
  });

  test.each(['1e400', '0.5', '"12h"'])('a ttl of %s is not an integer', async (ttl) => {
    const { status, text } = await finish(ttl);
    expect(status).toBe(400);
    expect(text).toContain('request: ttl is not an integer');
  });

  test('a ttl of 12 hours is taken', async () => expect((await finish('43200000000000')).status).toBe(200));

  test('a body of 30,000 levels is read without harm', async () =>
    expect((await finish(`${'['.repeat(30_000)}${']'.repeat(30_000)}`)).status).toBe(400));
});

describe('X15 numbers in calls', () => {
  let cluster: TestAuth;
  let admin: AuthClient;
  let proxy: AuthClient;
  beforeAll(async () => {
    cluster = await TestAuth.start();
    [admin, proxy] = await Promise.all([cluster.asHost('Admin'), cluster.asHost('Proxy')]);
    await cluster.invite('alice', ['access']);
  });
  afterAll(() => cluster.remove());

  const MOST = 2n ** 63n - 1n;
  const LEAST = -(2n ** 63n);
  const time = (seconds: bigint) => ({ seconds, nanos: 0 });
  const calls: Record<string, () => Promise<unknown>> = {
    'invite, longest': () => admin.auth.createResetPasswordToken({ name: 'alice', type: 'password', ttl: MOST }),
    'invite, shortest': () => admin.auth.createResetPasswordToken({ name: 'alice', type: 'password', ttl: LEAST }),
    'login, longest': () =>
      proxy.proxyGateway.loginFinish({ user: 'alice', password: 'x', ttl: MOST, tlsPublicKey: Buffer.from('x') }),
    'database certificate, longest': () => admin.auth.generateDatabaseCert({ csr: Buffer.from('x'), ttl: MOST }),
    'user certificates until the end of time': () =>
      admin.auth.generateUserCerts({ username: 'alice', expires: time(MOST) }),
    'user certificates before all time': () =>
      admin.auth.generateUserCerts({ username: 'alice', expires: time(LEAST) }),
    'page size, largest': () => admin.auth.listResources({ resourceType: 'db_server', limit: 0x7fffffff }),
    'page size, smallest': () => admin.auth.listResources({ resourceType: 'db_server', limit: -0x80000000 }),
    'databases, largest': () => admin.auth.listDatabases({ pageSize: 0x7fffffff }),
    'users, largest': () => admin.users.listUsers({ pageSize: 0x7fffffff }),
    'users, smallest': () => admin.users.listUsers({ pageSize: -0x80000000 }),
    'a role for ever': () =>
      admin.auth.upsertRoleV2({
        role: { version: 'v7', metadata: { name: 'r' }, spec: { options: { maxSessionTtl: MOST } } },
      }),
    'a role for less than nothing': () =>
      admin.auth.upsertRoleV2({
        role: { version: 'v7', metadata: { name: 'r' }, spec: { options: { maxSessionTtl: LEAST } } },
      }),
    'a token until the end of time': () =>
      admin.auth.createTokenV2({
        token: {
          case: 'v2',
          value: { metadata: { name: 'endless-token', expires: time(MOST) }, spec: { roles: ['Db'] } },
        },
      }),
    'a lock until the end of time': () =>
      admin.auth.upsertLock({ metadata: { name: 'l' }, spec: { target: { user: 'alice' }, expires: time(MOST) } }),
    'a user before all time': () =>
      admin.users.createUser({ user: { metadata: { name: 'u' }, spec: { roles: ['access'], expires: time(LEAST) } } }),
  };

  test.each(Object.keys(calls))('%s: taken or refused, and nothing breaks inside', async (name) => {
    const message = await calls[name]!().then(
      () => 'taken',
      (error: { message: string }) => error.message,
    );
    expect(message).not.toMatch(/internal error|Invalid time value|serialize|RangeError|stack|undefined/);
  });
});
