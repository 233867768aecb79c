/** What people and hosts do wrong, and what breaks under them: each time a reason, a status that is not 0, and an end. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { silent } from '../../src/log.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import { runTsh } from '../../src/tsh/main.js';
import { createTestCa } from '../support/ca.js';
import { documents, type Outcome, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { signUp } from '../support/sign-up.js';
import { until } from '../support/until.js';

const ON_DEV = ['--db-user=analyst', '--db-name=dev'];

let cluster: TestCluster;
let taken: Server | undefined;

beforeAll(async () => {
  cluster = await startTestCluster({
    redshift: true,
    secondFactor: 'otp',
    roles: [roleResource('analyst', { db_users: ['analyst', 'reader'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  taken = createServer().listen(0, '127.0.0.1');
  const down = { protocol: 'postgres', uri: 'localhost:1' };
  await cluster.create({ kind: 'db', version: 'v3', metadata: { name: 'down' }, spec: down });
  await cluster.login('alice', 'alice');
  await cluster.untilListed('alice', ['orders', 'sales', 'reports', 'down']);
});
afterAll(async () => {
  await new Promise((resolve) => (taken ? taken.close(resolve) : resolve(undefined)));
  await cluster?.stop();
});

/** Refused: a status, an error line with the reason, no stack. */
function expectRefused({ status, stderr }: Outcome, reason: string | RegExp): void {
  expect(stderr).toMatch(reason);
  expect(stderr).toContain('ERROR: ');
  expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
  expect(status).not.toBe(0);
}

const tsh = (...args: string[]) => cluster.tsh('alice', ...args);
const takenPort = () => (taken!.address() as { port: number }).port;

describe('login', () => {
  const who = () => [`--proxy=${cluster.proxyAddr}`, '--user=alice'];

  test('with a wrong password is refused, and no other words for a user who is not there', async () => {
    const wrong = await cluster.typeLogin('wrong', ['not the password', '000000'], ...who());
    expectRefused(wrong, /invalid credentials|invalid username, password or second factor/);
    const stranger = [`--proxy=${cluster.proxyAddr}`, '--user=stranger'];
    const other = await cluster.typeLogin('wrong', ['not the password', '000000'], ...stranger);
    expect(other.stderr.replaceAll('stranger', 'alice')).toBe(wrong.stderr);
  });

  test('with a wrong code is refused', async () => {
    const { password } = cluster.people.alice!;
    const outcome = await cluster.typeLogin('wrong', [password, '000000'], ...who());
    expectRefused(outcome, /invalid credentials|invalid username, password or second factor|invalid one time token/);
  });

  test('at a proxy that nobody answers for names the address', async () => {
    const outcome = await cluster.typeLogin('wrong', [], '--proxy=localhost:1', '--user=alice');
    expectRefused(outcome, 'Teleport proxy not available at localhost:1');
  });

  test('at a proxy whose certificate nobody vouches for says so and asks for no password', async () => {
    const env = cluster.envOf('wrong', { vars: { SSL_CERT_FILE: undefined }, tty: { stdin: true } });
    const status = await runTsh(['login', ...who()], env);
    expectRefused({ status, stdout: env.out(), stderr: env.err() }, /certificate|x509|self.signed/i);
    expect(env.err()).not.toContain('Enter password');
  });

  test('without a terminal is refused', async () => {
    expectRefused(await cluster.tsh('wrong', 'login', ...who()), 'cannot perform password login without a terminal');
  });
});

describe('databases', () => {
  test('one that is not there is named, with the command that lists them', async () => {
    expectRefused(await tsh('db', 'login', 'nope', ...ON_DEV), /database "nope" not found, use 'tsh db ls'/);
  });

  test('labels that fit two databases show both', async () => {
    const outcome = await tsh('db', 'login', '--labels=env=prod', ...ON_DEV);
    expectRefused(outcome, /matches multiple databases:[\s\S]*reports[\s\S]*sales/);
  });

  test('a database name that the role does not allow is refused', async () => {
    const tunnel = await cluster.tunnel('alice', 'orders', { dbName: 'secret' });
    await expect(tunnel.connect()).rejects.toThrow(/access to db denied/);
  });

  test('one that is down says so, with its address', async () => {
    const tunnel = await cluster.tunnel('alice', 'down');
    await expect(tunnel.connect()).rejects.toThrow(/localhost:1|ECONNREFUSED|refused/);
  });

  test('one with a certificate of somebody else is not entered', async () => {
    const tls = createTestCa('Other').issue('localhost');
    cluster.databases!.redshift!.failNext({ kind: 'certificate', tls });
    const logins = cluster.databases!.redshift!.logins.length;
    const tunnel = await cluster.tunnel('alice', 'sales');
    await expect(tunnel.connect()).rejects.toThrow(/cannot validate database's certificate/);
    expect(cluster.databases!.redshift!.logins.length).toBe(logins);
  });

  test('a refusal of AWS comes with the policy that is missing', async () => {
    cluster.aws!.aws.failNext('redshift:GetClusterCredentials', { code: 'AccessDenied' });
    const tunnel = await cluster.tunnel('alice', 'sales', { dbUser: 'reader' });
    await expect(tunnel.connect()).rejects.toThrow(/Could not generate Redshift IAM auth token[\s\S]*"Action"/);
  });

  test('a refusal of the database itself is passed on', async () => {
    cluster.databases!.redshift!.failNext({ kind: 'error', sqlState: '53300', message: 'too many connections' });
    const tunnel = await cluster.tunnel('alice', 'sales');
    await expect(tunnel.connect()).rejects.toMatchObject({ code: '53300', message: 'too many connections' });
  });

  test('a local port that is taken is named', async () => {
    const outcome = await tsh('proxy', 'db', 'orders', '--tunnel', ...ON_DEV, `--port=${takenPort()}`);
    expectRefused(outcome, new RegExp(`${takenPort()}.*in use`));
  });
});

describe('the folder of the login', () => {
  test('that cannot be written is named', async () => {
    const home = join(cluster.dir, 'blocked');
    await mkdir(home);
    await writeFile(join(home, '.tsh'), 'a file where a folder should be');
    const alice = cluster.people.alice!;
    const answers = [alice.password, await alice.freshCode()];
    const outcome = await cluster.typeLogin('blocked', answers, `--proxy=${cluster.proxyAddr}`, '--user=alice');
    expectRefused(outcome, '.tsh');
  });

  test('with a profile that is no YAML is named, line and all', async () => {
    const folder = join(cluster.dir, 'broken', '.tsh');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'current-profile'), 'localhost\n');
    await writeFile(join(folder, 'localhost.yaml'), 'web_proxy_addr: [\n');
    expectRefused(await cluster.tsh('broken', 'status'), 'localhost.yaml');
  });

  test('is shared by commands that run at once', async () => {
    const logins = Array.from({ length: 20 }, (_, n) => tsh('db', 'login', n % 2 ? 'orders' : 'sales', ...ON_DEV));
    expect((await Promise.all(logins)).map(({ status, stderr }) => `${status} ${stderr}`)).toEqual(
      Array(20).fill('0 '),
    );
    const { stdout } = await tsh('db', 'ls');
    expect(stdout).toMatch(/^> orders /m);
    expect(stdout).toMatch(/^> sales /m);
  });
});

describe('administrators', () => {
  test('an invitation counts once', async () => {
    const { stdout } = await cluster.tctl('users', 'add', 'bob', '--roles=analyst', '--format=json');
    const { url } = JSON.parse(stdout).spec as { url: string };
    const webCa = await readFile(cluster.webCaFile, 'utf8');
    await signUp(url, webCa, { password: 'correct horse battery' });
    await expect(signUp(url, webCa, { password: 'somebody else knows' })).rejects.toThrow('bad or expired token');
  });

  test('a file that is no YAML is refused with its line, one with a bad resource with its mistake', async () => {
    expectRefused(await cluster.tctlWith('kind: role\nmetadata: {name: x\n', 'create'), /yaml: line \d/);
    const nameless = documents([{ kind: 'role', version: 'v7', metadata: {}, spec: {} }]);
    expectRefused(await cluster.tctlWith(nameless, 'create'), /name/i);
    expectRefused(await cluster.tctl('create', 'not-there.yaml'), 'no such file or directory');
    expectRefused(await cluster.tctl('users', 'add', 'carl', '--roles=nope'), 'role nope is not found');
  });
});

describe('teleport start', () => {
  let runs = 0;
  /** An agent, or what is said in its place. */
  async function start(teleport: object, sections: object = {}): Promise<void> {
    const dir = join(cluster.dir, `host-${++runs}`);
    await mkdir(dir);
    const config = {
      version: 'v3',
      teleport: { nodename: 'host', data_dir: join(dir, 'data'), ...teleport },
      auth_service: { enabled: 'no' },
      proxy_service: { enabled: 'no' },
      db_service: { enabled: 'yes', resources: [{ labels: { '*': '*' } }] },
      ...sections,
    };
    await writeFile(join(dir, 'teleport.yaml'), JSON.stringify(config));
    const { file, raw } = readConfigFile(join(dir, 'teleport.yaml'));
    const running = await startTeleport(teleportConfig({}, file, raw), {
      log: silent,
      vars: { SSL_CERT_FILE: cluster.webCaFile },
    });
    await running.close({ drainMs: 0 });
  }
  const joinWith = (token: string) => ({
    proxy_server: cluster.proxyAddr,
    join_params: { method: 'token', token_name: token },
  });

  test('with a configuration that nobody understands names line, key and what is allowed', async () => {
    const file = join(cluster.dir, 'bad.yaml');
    await writeFile(file, 'version: v3\nauth_service:\n  enabeld: yes\n');
    expect(() => readConfigFile(file)).toThrow(
      /bad\.yaml[\s\S]*line 3: field enabeld not found in auth_service, allowed/,
    );
  });

  test('with a wrong CA pin does not join', async () => {
    const { stdout: token } = await cluster.tctl('tokens', 'add', '--type=db', '--format=text');
    const wrong = `sha256:${'0'.repeat(64)}`;
    await expect(start({ ...joinWith(token.trim()), ca_pin: wrong })).rejects.toThrow(/pin/i);
  });

  test('with an unknown, an expired or a foreign token does not join', async () => {
    await expect(start(joinWith('no-such-token'))).rejects.toThrow(/joining the cluster failed/);
    const { stdout: brief } = await cluster.tctl('tokens', 'add', '--type=db', '--ttl=1s', '--format=text');
    await until('the token has expired', async () =>
      (await cluster.tctl('tokens', 'ls', '--format=json')).stdout.includes(brief.trim()) ? undefined : true,
    );
    await expect(start(joinWith(brief.trim()))).rejects.toThrow(/joining the cluster failed/);
    const { stdout: foreign } = await cluster.tctl('tokens', 'add', '--type=proxy', '--format=text');
    await expect(start(joinWith(foreign.trim()))).rejects.toThrow(/joining the cluster failed/);
  });

  test('without a token says how to get one', async () => {
    await expect(start({ proxy_server: cluster.proxyAddr })).rejects.toMatchObject({
      hint: expect.stringContaining('tctl tokens add --type=db'),
    });
  });

  test('on a port that is taken names it', async () => {
    const auth_service = { enabled: 'yes', listen_addr: `127.0.0.1:${takenPort()}`, cluster_name: 'other' };
    await expect(start({}, { auth_service, db_service: { enabled: 'no' } })).rejects.toThrow(
      new RegExp(`${takenPort()}`),
    );
  });
});
