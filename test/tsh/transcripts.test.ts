/**
 * Tests: src/access/cluster/dial.ts, src/access/login/reissue.ts, src/tsh/clusters.ts
 * Tests: src/tsh/env.ts, src/tsh/headless/approve.ts, src/tsh/login.ts, src/tsh/status-block.ts, src/tsh/status.ts
 * Tests: src/tsh/version.ts
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runTsh } from '../../src/tsh/main.js';
import { memoryEnv } from '../support/env.js';
import { type FakeCluster, startFakeCluster } from '../support/fake-cluster/cluster.js';
import { type GoldenResult, runTranscript } from '../support/golden.js';
import { until } from '../support/until.js';

let home: string;
let cluster: FakeCluster;
/** Whole seconds, as certificates have them. */
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
  cluster.logins.length = 0;
  cluster.routes.length = 0;
  cluster.auth = {};
  cluster.isLeafOnline = false;
  cluster.isBalanced = false;
  delete cluster.lifetimeMs;
  delete cluster.headlessState;
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Call {
  vars?: Record<string, string>;
  answers?: string[];
}

/** One command line; answers are typed at a terminal, each when the next question has been asked. */
async function tsh(line: string[], { vars = {}, answers = [] }: Call = {}): Promise<GoldenResult> {
  const env = memoryEnv({
    home,
    cwd: home,
    now: () => now,
    tty: { stdin: answers.length > 0 },
    vars: { SSL_CERT_FILE: cluster.webCaFile, TELEPORT_GLOBAL_TSH_CONFIG: join(home, 'none'), USER: 'osuser', ...vars },
  });
  for (const answer of answers) env.type(`${answer}\n`);
  const status = await runTsh(
    line.map((word) =>
      word.replaceAll('{PORT}', String(cluster.port)).replaceAll('{BALANCER}', String(cluster.balancerPort)),
    ),
    env,
  );
  return { stdout: env.out(), stderr: env.err(), status };
}

const golden = (file: string) =>
  runTranscript(`test/transcripts/${file}.txt`, {
    run: ([, ...words], call) => tsh(words, call),
    replace: () => ({
      HOME: home,
      PORT: String(cluster.port),
      BALANCER: String(cluster.balancerPort),
      RUNTIME: `node${process.versions.node}`,
    }),
  });

test('tsh without a profile', async () => {
  const { expected, actual } = await golden('tsh-not-logged-in');
  expect(actual).toBe(expected);
  expect(readdirSync(home)).toEqual([]);
  expect(cluster.calls).toEqual([]);
});

test('B1 what may not stand behind -- of tsh db connect', async () => {
  const { expected, actual } = await golden('tsh-psql');
  expect(actual).toBe(expected);
  expect(cluster.calls).toEqual([]);
});

test('tsh login, status, clusters, logout', async () => {
  const { expected, actual } = await golden('tsh-login');
  expect(actual).toBe(expected);
  expect(statSync(join(home, 'ci.pem')).mode & 0o777).toBe(0o600);
});

test('tsh with a leaf cluster', async () => {
  cluster.isLeafOnline = true;
  const { expected, actual } = await golden('tsh-leaf');
  expect(actual).toBe(expected);
  // The leaf says whether a second factor is wanted, the root signs.
  expect(cluster.calls).toContain('leaf.local: IsMFARequired');
  expect(cluster.routes).toEqual(['leaf.local']);
  const files = readdirSync(join(home, '.tsh'), { recursive: true }).map(String);
  expect(files).toEqual(
    expect.arrayContaining(['keys/localhost/cas/leaf.local.pem', 'keys/localhost/cas/peer.local.pem']),
  );
});

test('db ls --all names a cluster that gives no answer, lists the others and fails', async () => {
  await login();
  const { stdout, stderr, status } = await tsh(['db', 'ls', '--all', '--format=json']);
  expect(JSON.parse(stdout)).toMatchObject([
    { proxy: `localhost:${cluster.port}`, cluster: 'peer.local', database: { metadata: { name: 'root-db' } } },
  ]);
  expect(stderr).toContain(`failed to connect to cluster leaf.local through localhost:${cluster.port}: `);
  expect(status).toBe(1);
});

test('db ls --all leaves out a login that has run out, and says so', async () => {
  cluster.isLeafOnline = true;
  await login();
  const folder = join(home, '.tsh');
  const profile = readFileSync(join(folder, 'localhost.yaml'), 'utf8');
  cpSync(join(folder, 'keys/localhost'), join(folder, 'keys/127.0.0.1'), { recursive: true });
  writeFileSync(join(folder, '127.0.0.1.yaml'), profile.replaceAll('localhost:', '127.0.0.1:'));
  const both = await tsh(['db', 'ls', '--all', '--format=json']);
  expect(both).toMatchObject({ status: 0, stderr: '' });
  const places = JSON.parse(both.stdout).map((one: Record<string, string>) => `${one.proxy} ${one.cluster}`);
  const { port } = cluster;
  expect(places).toEqual([
    `127.0.0.1:${port} leaf.local`,
    `127.0.0.1:${port} peer.local`,
    `localhost:${port} leaf.local`,
    `localhost:${port} peer.local`,
  ]);
  cluster.lifetimeMs = 120_000;
  now = new Date(now.getTime() + 13 * 3_600_000);
  await login();
  const one = await tsh(['db', 'ls', '--all', '--format=json']);
  expect(JSON.parse(one.stdout)).toHaveLength(2);
  expect(one).toMatchObject({ status: 0, stderr: `Credentials expired for proxy "127.0.0.1:${port}", skipping...\n` });
});

test('authorities of a leaf that joined after the login are fetched and kept', async () => {
  cluster.isLeafOnline = true;
  await login();
  rmSync(join(home, '.tsh/keys/localhost/cas/leaf.local.pem'));
  cluster.calls.length = 0;
  expect((await tsh(['db', 'ls', '--cluster=leaf.local'])).status).toBe(0);
  expect((await tsh(['db', 'ls', '--cluster=leaf.local'])).status).toBe(0);
  expect(cluster.calls.filter((call) => call === 'GetCertAuthorities')).toHaveLength(1);
});

const login = (extra: string[] = [], answers = ['correct', '123456']) =>
  tsh(['login', '--proxy=localhost:{PORT}', '--user=alice', ...extra], { answers });

test('a login asks the proxy what real tsh asks, and nothing more', async () => {
  expect((await login(['--ttl=30'])).status).toBe(0);
  expect(cluster.calls).toEqual([
    'GET /webapi/ping',
    'POST /webapi/mfa/login/begin',
    'POST /webapi/mfa/login/finish',
    'GetCertAuthorities',
    'GetAccessCapabilities',
    'GetClusterAlerts',
  ]);
  expect(cluster.logins[0]).toMatchObject({ user: 'alice', ttl: 30 * 60e9, RouteToCluster: '', KubernetesCluster: '' });
  // What takes too long is left out of a status.
  await until('the alerts come in time for a status', async () => {
    cluster.calls.length = 0;
    await tsh(['status']);
    return cluster.calls.length > 0 || undefined;
  });
  expect(cluster.calls).toEqual(['GetClusterAlerts']);
});

test('an expired login: status says so with exit 1, a command without a terminal gives the reason', async () => {
  cluster.lifetimeMs = 60_000;
  await login();
  now = new Date(now.getTime() + 61_000);
  const status = await tsh(['status', '-f', 'json']);
  expect(status.status).toBe(1);
  expect(JSON.parse(status.stdout).active.username).toBe('alice');
  expect(status.stderr).toContain('Active profile expired.');
  const clusters = await tsh(['clusters']);
  expect(clusters).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'ERROR: ssh: cert has expired\n\n',
  });
  const out = await tsh(['logout']);
  expect(out.stderr).toBe(`Credentials expired for proxy "localhost:${cluster.port}", skipping...\n`);
});

test('an expired login on a terminal: the command asks, logs in for the same cluster and goes on', async () => {
  cluster.lifetimeMs = 60_000;
  await login();
  now = new Date(now.getTime() + 61_000);
  cluster.calls.length = 0;
  const clusters = await tsh(['clusters', '-q'], { answers: ['correct', '123456'] });
  expect(clusters.status).toBe(0);
  expect(clusters.stdout).toContain('peer.local');
  expect(clusters.stderr).toBe('Enter password for Teleport user alice:\nEnter an OTP code from a device:\n');
  expect(cluster.calls.slice(0, 5)).toEqual([
    'GET /webapi/ping',
    'POST /webapi/mfa/login/begin',
    'POST /webapi/mfa/login/finish',
    'GetCertAuthorities',
    'ListRemoteClusters',
  ]);
  expect(cluster.logins.at(-1)).toMatchObject({ RouteToCluster: 'peer.local' });
});

test('with an identity file nobody is asked for a password', async () => {
  cluster.lifetimeMs = 60_000;
  await login(['--out=ci.pem']);
  expect(readdirSync(home)).toEqual(['ci.pem']);
  const status = await tsh(['status', '-i', 'ci.pem', '--proxy=localhost:{PORT}', '--format=json']);
  expect(JSON.parse(status.stdout).active).toMatchObject({ username: 'alice', kubernetes_enabled: false });
  now = new Date(now.getTime() + 61_000);
  const clusters = await tsh(['clusters', '-i', 'ci.pem', '--proxy=localhost:{PORT}'], { answers: ['correct'] });
  expect(clusters.stderr).toBe('ERROR: cannot relogin in non-interactive session\n\tssh: cert has expired\n\n');
  expect(readdirSync(home)).toEqual(['ci.pem']);
});

test('the suite of the ping decides about keys; the message of the day is shown; openssh files are two', async () => {
  cluster.auth = { signature_algorithm_suite: 'fips-v1', has_motd: true };
  const out = join(home, 'id');
  const made = await login([`--out=${out}`, '--format=openssh'], ['', 'correct', '123456']);
  expect(made.stderr).toMatch(/^Be kind\.\nPress \[ENTER\] to continue\.\nEnter password/);
  expect(made.stdout).toBe(`\nThe certificate has been written to ${out},${out}-cert.pub\n`);
  expect(Buffer.from(String(cluster.logins[0]!.ssh_pub_key), 'base64').toString()).toMatch(/^ecdsa-sha2-nistp256 /);
  cluster.auth = { signature_algorithm_suite: 'post-quantum' };
  expect((await login()).stderr).toContain('unknown signature algorithm suite "post-quantum"');
});

test('a user that nobody named gets a hint when refused, and ssh keys are of the announced proxy', async () => {
  const refused = await tsh(['login', '--proxy=localhost:{PORT}'], { answers: ['nope'] });
  expect(refused.stderr).toContain('Enter password for Teleport user osuser:');
  expect(refused.stderr).toContain('--user');
  await tsh(['login', '--proxy=127.0.0.1:{PORT}', '--user=alice'], { answers: ['correct', '123456'] });
  expect(readdirSync(join(home, '.tsh')).sort()).toEqual(['current-profile', 'keys', 'known_hosts', 'localhost.yaml']);
});

test('who has no device where one is wanted is told how to get one', async () => {
  const line = ['login', '--proxy=localhost:{PORT}', '--user=newcomer'];
  const refused = await tsh(line, { answers: ['correct'] });
  expect(refused.stderr).toMatch(
    /missing second factor\nThe cluster wants a one-time code, .*: tctl users reset newcomer\n/,
  );
  cluster.auth = { second_factor: 'webauthn' };
  const keyWanted = await tsh(line, { answers: ['correct'] });
  expect(keyWanted.stderr).toContain(
    'missing second factor\nThe cluster wants a security key, which is not supported.',
  );
});

test('tsh headless approve: what waits is shown and can be refused; letting it in is for the browser', async () => {
  await login();
  const approve = (answers: string[], ...flags: string[]) =>
    tsh(['headless', 'approve', 'id-1', ...flags], { answers });
  const nobody = await approve([]);
  expect(nobody).toMatchObject({ status: 1, stderr: expect.stringContaining('no headless login "id-1" is waiting') });
  cluster.headlessState = 1;
  const refused = await approve(['n']);
  expect(refused).toEqual({
    status: 0,
    stdout:
      'Headless login attempt from IP address "192.0.2.1:4" requires approval.\nContact your administrator if you didn\'t initiate this login attempt.\n',
    stderr: 'Approve? [y/N]: ',
  });
  expect(cluster.headlessState).toBe(2);
  expect((await approve(['n'])).stderr).toContain('from a non-pending state: denied\n');
  cluster.headlessState = 1;
  for (const call of [approve(['y']), approve([], '--skip-confirm')]) {
    expect((await call).stderr).toContain(
      `with a security key, which is not supported\nApprove it in a browser: https://localhost:${cluster.port}/web/headless/id-1\n`,
    );
  }
  expect(cluster.headlessState).toBe(1);
});

test('who has only security keys is told so in a sentence, once the password was right', async () => {
  const refused = await tsh(['login', '--proxy=localhost:{PORT}', '--user=keyholder'], { answers: ['correct'] });
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toBe(
    'Enter password for Teleport user keyholder:\nERROR: this user logs in with a security key, which is not supported\nWhat works: a one-time code (add such a device to the user), single sign-on, or an identity file (-i FILE).\n\n',
  );
  expect(cluster.calls).toEqual(['GET /webapi/ping', 'POST /webapi/mfa/login/begin']);
  cluster.auth = { second_factor: 'webauthn' };
  const nothingElse = await tsh(['login', '--proxy=localhost:{PORT}', '--user=keyholder'], { answers: ['correct'] });
  expect(nothingElse.stderr).toContain(
    'The cluster accepts nothing else for passwords. What works: single sign-on, or',
  );
});

test('nobody at the address: what was asked and why', async () => {
  const gone = await tsh(['login', '--proxy=localhost:1', '--user=alice'], { answers: ['x'] });
  expect(gone.stderr).toMatch(
    /Teleport proxy not available at localhost:1\.\n\tGet "https:\/\/localhost:1\/webapi\/ping": dial tcp .*refused/,
  );
});

test('an untrusted certificate says how to trust it; --insecure goes on and says so', async () => {
  const refused = await tsh(['login', '--proxy=localhost:{PORT}'], { vars: { SSL_CERT_FILE: '' }, answers: ['x'] });
  expect(refused.stderr).toContain('SSL_CERT_FILE');
  const taken = await tsh(['login', '--proxy=localhost:{PORT}', '--user=alice', '--insecure'], {
    vars: { SSL_CERT_FILE: '' },
    answers: ['correct', '123456'],
  });
  expect(taken.status).toBe(0);
  expect(taken.stderr).toContain(
    `WARNING: You are using insecure connection to Teleport proxy https://localhost:${cluster.port}\n`,
  );
});

test('tsh behind a load balancer that ends TLS, which is noticed', async () => {
  cluster.isBalanced = true;
  const { expected, actual } = await golden('tsh-load-balancer');
  expect(actual).toBe(expected);
  expect(readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8')).toContain(
    'tls_routing_conn_upgrade_required: true\n',
  );
  expect(cluster.calls).toContain('UPGRADE alpn-ping');
});

test('when the environment says so everything for the cluster goes through the connection upgrade', async () => {
  const vars = { TELEPORT_TLS_ROUTING_CONN_UPGRADE: `localhost:${cluster.port}=yes` };
  const line = ['login', '--proxy=localhost:{PORT}', '--user=alice'];
  expect((await tsh(line, { vars, answers: ['correct', '123456'] })).stderr).not.toContain('ERROR');
  expect(cluster.calls).toContain('UPGRADE alpn-ping');
  expect(readFileSync(join(home, '.tsh/localhost.yaml'), 'utf8')).toContain(
    'tls_routing_conn_upgrade_required: true\n',
  );
  cluster.calls.length = 0;
  expect((await tsh(['clusters'])).status).toBe(0);
  expect(cluster.calls).toEqual(['UPGRADE alpn-ping', 'ListRemoteClusters', 'ListRemoteClusters']);
});
