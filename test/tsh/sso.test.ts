/**
 * Single sign-on against a cluster of the tests: a person (`visit`) opens the link that `tsh` prints.
 * Tests: src/access/login/headless.ts, src/tsh/clusters.ts, src/tsh/credential-store.ts, src/tsh/identity-out.ts
 * Tests: src/tsh/login.ts
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTsh } from '../../src/tsh/main.js';
import { type MemoryEnv, memoryEnv } from '../support/env.js';
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster/cluster.js';
import { IDENTITY_PROVIDER, sealed } from '../support/fake-cluster/sso.js';
import { runTranscript } from '../support/golden.js';
import { placeOpener } from '../support/opener.js';

let home: string;
let cluster: FakeCluster;
const wholeSecond = () => new Date(Math.floor(Date.now() / 1000) * 1000);
let now = wholeSecond();

beforeAll(async () => {
  cluster = await startFakeCluster({ now: () => now });
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'tsh-'));
  now = wholeSecond();
  cluster.calls.length = 0;
  cluster.ssoLogins.length = 0;
  cluster.auth = { type: 'github', github: { name: 'acme', display: 'Acme', EndpointURL: 'https://github.com' } };
  delete cluster.lifetimeMs;
  delete cluster.ssoForm;
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Page {
  status: number;
  location: string | undefined;
  text: string;
}

const open = (url: string) =>
  new Promise<Page>((resolve, reject) => {
    const call = get(url, { agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode!, location: response.headers.location, text }));
    });
    call.on('error', reject);
  });

/** Open the link; log in, or not. @returns where the browser ended */
async function visit(link: string, how = 'ok'): Promise<string | undefined> {
  expect((await open(link)).location).toBe(IDENTITY_PROVIDER);
  const callback = new URL(String(cluster.ssoLogins.at(-1)!.redirect_url));
  if (how === 'denied') {
    callback.searchParams.set('err', 'GitHub returned error: denied [access_denied]\n\tOAuth2 error code=invalid');
    return (await open(callback.href)).location;
  }
  if (how === 'foreign') {
    callback.search = new URLSearchParams({ response: sealed('00'.repeat(32), '{}') }).toString();
    await open(callback.href);
  }
  return (await open(cluster.ssoCallback())).location;
}

const LINK = /http:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]{36}/;

function environment({ vars = {}, answers = [] as string[] } = {}): MemoryEnv {
  const env = memoryEnv({
    cwd: home,
    home,
    now: () => now,
    tty: { stdin: answers.length > 0 },
    vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none'), USER: 'osuser', ...vars },
  });
  for (const answer of answers) env.type(`${answer}\n`);
  return env;
}

const words = (line: string[]) => line.map((word) => word.replaceAll('{PORT}', String(cluster.port)));

/** One command line, and what the person does with the link, if there is one. */
async function tsh(line: string[], { vars = {} as Record<string, string>, answers = [] as string[] } = {}) {
  const { VISIT, ...rest } = vars;
  const env = environment({ vars: rest, answers });
  let page: string | undefined;
  const visiting = env.untilErr('\n http://').then(async () => {
    page = await visit(LINK.exec(env.err())![0], VISIT);
  });
  visiting.catch(() => {});
  const status = await runTsh(words(line), env);
  return { stdout: env.out(), stderr: env.err(), status, page };
}

test('what a person sees', async () => {
  const { expected, actual } = await runTranscript('test/transcripts/tsh-sso.txt', {
    run: ([, ...line], call) => tsh(line, call),
    replace: () => ({ HOME: home, PORT: String(cluster.port), CALLBACK: /(?<=127\.0\.0\.1:)\d+(?=\/[{0-9a-f])/g }),
  });
  expect(actual).toBe(expected);
  expect(statSync(join(home, 'ci.pem')).mode & 0o777).toBe(0o600);
});

test('the login is asked for as real tsh does, and kept with its connector', async () => {
  const done = await tsh(['login', '--proxy=localhost:{PORT}', '--auth=acme', '--ttl=30', '--browser=none']);
  expect(done).toMatchObject({
    status: 0,
    page: `https://localhost:${cluster.port}/web/msg/info/login_success`,
  });
  expect(cluster.calls.slice(0, 3)).toEqual([
    'GET /webapi/ping/acme',
    'POST /webapi/github/login/console',
    'GetCertAuthorities',
  ]);
  const recorded = JSON.parse(readFileSync('test/fixtures/rest/sso-console.json', 'utf8')).request.body;
  const [ours] = cluster.ssoLogins;
  expect(Object.keys(ours!)).toEqual(Object.keys(recorded));
  expect(ours).toMatchObject({ cert_ttl: 30 * 60e9, connector_id: 'acme', client_version: '18.3.0' });
  const shape = (text: unknown) => String(text).replace(/\d+\/|[0-9a-f]{64}/g, '#');
  expect(shape(ours!.redirect_url)).toBe(shape(recorded.redirect_url));
  expect(String(ours!.PKCEVerifier)).toHaveLength(recorded.PKCEVerifier.length);
  const profile = readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8');
  expect(profile).toContain('user: octo\n');
  expect(profile).toContain('auth_connector: acme\nmfa_mode: auto\n');
  expect(profile).toContain('ssh_dial_timeout: 30s\nsso_host: github.com\n');
});

test('an expired login is renewed in the browser, without a terminal, for the same cluster and connector', async () => {
  cluster.lifetimeMs = 60_000;
  await tsh(['login', '--proxy=localhost:{PORT}', '--auth=acme']);
  now = new Date(now.getTime() + 61_000);
  cluster.calls.length = 0;
  const clusters = await tsh(['clusters', '-q'], { vars: { TELEPORT_LOGIN_BROWSER: 'none' } });
  expect(clusters).toMatchObject({ status: 0, page: expect.stringContaining('login_success') });
  expect(clusters.stderr).toMatch(/^Use the following URL to authenticate:\n http:\/\/127[^\n]*\n$/);
  expect(cluster.calls.slice(0, 4)).toEqual([
    'GET /webapi/ping/acme',
    'POST /webapi/github/login/console',
    'GetCertAuthorities',
    'ListRemoteClusters',
  ]);
  expect(cluster.ssoLogins.at(-1)).toMatchObject({ RouteToCluster: 'peer.local' });
  expect(readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8')).toContain('auth_connector: acme\n');
  now = new Date(now.getTime() + 61_000);
  expect((await tsh(['login'])).status).toBe(0);
  expect(readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8')).toContain('auth_connector: acme\n');
});

test('a cluster that went back to passwords: without a terminal the reason is given', async () => {
  cluster.lifetimeMs = 60_000;
  await tsh(['login', '--proxy=localhost:{PORT}']);
  now = new Date(now.getTime() + 61_000);
  cluster.auth = {};
  const clusters = await tsh(['clusters']);
  expect(clusters).toMatchObject({ status: 1, stderr: 'ERROR: ssh: cert has expired\n\n' });
});

test('SAML with a form: the link shows it', async () => {
  cluster.auth = {
    type: 'saml',
    saml: { name: 'acme', SSO: 'https://idp.example.com:8443/sso', singleLogoutEnabled: true },
  };
  cluster.ssoForm = '<form action="https://idp.example.com:8443/sso" method="post"></form>';
  const env = environment({ vars: { TELEPORT_LOGIN_BROWSER: 'none' } });
  const running = runTsh(words(['login', '--proxy=localhost:{PORT}']), env);
  await env.untilErr('authenticate:\n http://127');
  expect((await open(LINK.exec(env.err())![0])).text).toContain(cluster.ssoForm);
  await open(cluster.ssoCallback());
  expect(await running).toBe(0);
  expect(cluster.calls).toContain('POST /webapi/saml/login/console');
  const profile = readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8');
  expect(profile).toContain('saml_slo_enabled: true\n');
  expect(profile).toContain('sso_host: idp.example.com:8443\n');
});

test.each(['oidc', 'saml', 'github'])('the default connector of a cluster may be %s', async (type) => {
  cluster.auth = { type, [type]: { name: 'acme' } };
  expect((await tsh(['login', '--proxy=localhost:{PORT}'])).status).toBe(0);
  expect(cluster.calls).toContain(`POST /webapi/${type}/login/console`);
  expect(readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8')).not.toContain('auth_connector');
});

test.each([
  [{ type: 'github' }, 'announces github without the name of a connector'],
  [{ type: 'kerberos' }, 'unsupported authentication type: "kerberos"'],
  [{ local: { name: 'passwordless' } }, 'login with passwordless is not supported'],
])('a cluster that announces %j is refused before anything is asked', async (auth, why) => {
  cluster.auth = auth;
  const refused = await tsh(['login', '--proxy=localhost:{PORT}']);
  expect(refused).toMatchObject({ status: 1, page: undefined });
  expect(refused.stderr).toContain(why);
});

test('Ctrl-C ends the wait and the listener, and leaves nothing', async () => {
  const env = environment({ vars: { TELEPORT_LOGIN_BROWSER: 'none' } });
  const running = runTsh(words(['login', '--proxy=localhost:{PORT}']), env);
  await env.untilErr('authenticate:\n http://127');
  env.interrupt();
  expect(await running).toBe(130);
  await expect(open(LINK.exec(env.err())![0])).rejects.toThrow('ECONNREFUSED');
  expect(() => statSync(join(home, '.tsh/localhost.yaml'))).toThrow('ENOENT');
});

test('certificates for other keys than ours are refused, whoever sealed them', async () => {
  const env = environment({ vars: { TELEPORT_LOGIN_BROWSER: 'none' } });
  await tsh(['login', '--proxy=localhost:{PORT}']);
  const earlier = cluster.ssoLogins.at(-1)!;
  rmSync(join(home, '.tsh'), { recursive: true });
  const running = runTsh(words(['login', '--proxy=localhost:{PORT}']), env);
  await env.untilErr('authenticate:\n http://127');
  const { redirect_url } = cluster.ssoLogins.at(-1)!;
  cluster.ssoLogins.push({ ...earlier, redirect_url });
  await open(cluster.ssoCallback());
  expect(await running).toBe(1);
  expect(env.err()).toContain('certificates for other keys than ours');
  expect(() => statSync(join(home, '.tsh'))).toThrow('ENOENT');
});

test('the browser of the desktop gets the link; the key of the answer is neither shown nor passed on', async () => {
  const opened = placeOpener(home, 'xdg-open');
  const done = await tsh(['login', '--proxy=localhost:{PORT}', '--debug'], { vars: { PATH: `${home}:/usr/bin:/bin` } });
  expect(done.status).toBe(0);
  const { args, env } = await opened;
  expect(args).toBe(LINK.exec(done.stderr)![0]);
  const key = new URL(String(cluster.ssoLogins[0]!.redirect_url)).searchParams.get('secret_key')!;
  expect(`${env}${done.stderr}${done.stdout}`).not.toContain(key);
});
