/**
 * The life of a login whose keys are in a real keychain: gnome-keyring on a private D-Bus, a whole cluster, and after each
 * step a look at every file of the home and at every entry. Needs gnome-keyring and dbus; built programs.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPsql } from '../../src/localproxy/psql/run.js';
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { withoutProgress } from '../support/exec.js';
import { type SecretService, startSecretService, withoutService, withService } from '../support/secret-service.js';

const psql = await findPsql(process.env.PATH);
let cluster: TestCluster;
let service: SecretService;

beforeAll(async () => {
  if (withoutService) return;
  service = await startSecretService();
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev', 'postgres'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
    vars: service.vars,
  });
});
afterAll(async () => {
  await cluster?.stop();
  await service?.stop();
});

const base = () => join(cluster.dir, 'alice', '.tsh');
const tsh = (...args: string[]) => cluster.tsh('alice', ...args);
const ROUTE = ['--db-user=analyst', '--db-name=dev'];

/** Names of our entries, without the base folder. */
const entries = async () => (await service.keychain.list()).map((one) => one.slice(base().length + 1)).sort();

/** Files of the person's home that hold a private key, in whatever form. */
/** Files with a key in them; code that knows what one looks like, as the code cache holds, has none behind the words. */
function filesWithKeys(): string[] {
  const home = join(cluster.dir, 'alice');
  const all = existsSync(home) ? readdirSync(home, { recursive: true, withFileTypes: true }) : [];
  return all
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /PRIVATE KEY-----\s+[\w+/]{16}/.test(readFileSync(path, 'latin1')))
    .map((path) => path.slice(home.length + 1))
    .sort();
}

const keys = (...databases: string[]) => [
  'keys/localhost/alice',
  ...databases.map((one) => `keys/localhost/alice-db/test.example.com/${one}.key`),
  'keys/localhost/alice.key',
];

withService('a login puts the keys into the keychain and into no file, and status says so', async () => {
  const { stdout } = await cluster.login('alice', 'alice', '--credential-store=keychain');
  expect(stdout).toMatch(/^ {2}Credential store: {3}keychain$/m);
  expect([filesWithKeys(), await entries()]).toEqual([[], keys()]);
  const { active } = JSON.parse((await tsh('status', '--format=json')).stdout);
  expect(active).toMatchObject({
    username: 'alice',
    credential_store: 'keychain',
    secrets: [
      { name: 'tls', place: join(base(), 'keys/localhost/alice.key') },
      { name: 'ssh', place: join(base(), 'keys/localhost/alice') },
    ],
  });
});

withService('databases are listed, logged in to, queried and tunnelled, and no key comes into a file', async () => {
  await cluster.untilListed('alice', ['orders']);
  const login = await tsh('db', 'login', 'orders', ...ROUTE);
  expect([login.stderr, login.status]).toEqual(['', 0]);
  expect(login.stdout).toContain('tsh proxy db --tunnel orders');
  expect([filesWithKeys(), await entries()]).toEqual([[], keys('orders')]);
  expect((await tsh('db', 'ls')).stdout).toMatch(/^> orders /m);
  expect(existsSync(join(cluster.dir, 'alice/.pg_service.conf'))).toBe(false);
  const exec = await tsh('db', 'exec', 'select 6 * 7 as answer', '--dbs=orders', ...ROUTE);
  expect(exec.stdout).toContain('42\n(1 row)');
  const tunnel = await cluster.tunnel('alice', 'orders');
  const client = await tunnel.connect();
  expect((await client.query('select 6 * 7 as answer')).rows).toEqual([{ answer: 42 }]);
  await client.end();
  await tunnel.started.stop();
  expect([filesWithKeys(), await entries()]).toEqual([[], keys('orders')]);
});

(psql ? withService : test.skip)(`psql is connected${psql ? '' : ' (skipped: this machine has no psql)'}`, async () => {
  const { vars } = cluster.envOf('alice');
  const connect = ['dist/tsh.js', 'db', 'connect', 'orders', '--', '-Atc', 'select current_user'];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, connect, { env: vars as NodeJS.ProcessEnv });
  expect([stderr, stdout]).toEqual(['', 'analyst\n']);
  expect([filesWithKeys(), await entries()]).toEqual([[], keys('orders')]);
});

withService('several at once leave one whole login', async () => {
  const all = await Promise.all([
    ...[1, 2, 3].map(() => tsh('db', 'login', 'orders', ...ROUTE)),
    ...[1, 2, 3].map(() => tsh('db', 'exec', 'select 6 * 7 as answer', '--dbs=orders', ...ROUTE)),
    ...[1, 2].map(() => tsh('db', 'ls')),
  ]);
  expect(all.map(({ status, stderr }) => [status, withoutProgress(stderr)])).toEqual(all.map(() => [0, '']));
  expect([filesWithKeys(), await entries()]).toEqual([[], keys('orders')]);
});

withService('programs that need key files are told what to use instead', async () => {
  for (const command of [
    ['db', 'env'],
    ['db', 'config'],
    ['db', 'config', '--format=cmd'],
    ['proxy', 'db'],
  ]) {
    const { status, stderr } = await tsh(...command, 'orders');
    expect([command, status]).toEqual([command, 1]);
    expect(stderr).toContain('what opens "orders" is in the system keychain, and other programs need it in a file');
    expect(stderr).toContain(' orders"');
  }
  const out = await tsh('login', `--proxy=${cluster.proxyAddr}`, '--user=alice', '--out=alice.pem');
  expect([out.status, existsSync(join(cluster.dir, 'alice.pem'))]).toEqual([1, false]);
  expect(out.stderr).toContain('add --credential-store=file');
});

withService('an entry that is gone asks for a login, and the key of a database is made anew', async () => {
  await service.keychain.delete(join(base(), keys('orders')[1]!));
  const exec = await tsh('db', 'exec', 'select 6 * 7 as answer', '--dbs=orders', ...ROUTE);
  expect(exec.stdout).toContain('42\n(1 row)');
  await service.keychain.delete(join(base(), 'keys/localhost/alice.key'));
  const { status, stderr } = await tsh('db', 'ls', '--search=x');
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('the private key of alice at localhost is not in the system keychain'),
  ]);
  // The next login asks for the password again, and keeps the choice.
  await cluster.login('alice', 'alice');
  expect([filesWithKeys(), await entries()]).toEqual([[], keys()]);
});

withService('a locked keyring refuses before a password is asked for', async () => {
  await service.lock();
  const typed = await cluster.typeLogin('alice', ['not asked'], '--ttl=60', `--proxy=${cluster.proxyAddr}`);
  expect([typed.status, typed.stdout]).toEqual([1, '']);
  expect(typed.stderr).toContain('the system keychain cannot be written: it is locked');
  expect(typed.stderr).not.toContain('Enter password');
  expect((await tsh('status')).stdout).toContain('Logged in as:       alice');
  expect((await tsh('version', '--client')).status).toBe(0);
  expect((await tsh('db', 'ls')).stderr).toContain('it is locked');
  await service.unlock();
  expect((await tsh('db', 'ls')).status).toBe(0);
});

withService('the choice is remembered, goes back to files with the login still good, and forth again', async () => {
  await tsh('db', 'login', 'orders', ...ROUTE);
  expect((await tsh('login')).stdout).toContain('Credential store:   keychain');
  const back = await tsh('login', '--credential-store=file');
  expect([back.stderr, back.status]).toEqual(['', 0]);
  expect(await entries()).toEqual([]);
  expect(filesWithKeys()).toEqual(keys('orders').map((one) => `.tsh/${one}`));
  expect((await tsh('db', 'env', 'orders')).stdout).toContain('PGSSLKEY=');
  await tsh('db', 'login', 'orders', ...ROUTE);
  expect(readFileSync(join(cluster.dir, 'alice/.pg_service.conf'), 'utf8')).toContain('orders.key');
  expect((await tsh('login', '--credential-store=keychain')).status).toBe(0);
  expect([filesWithKeys(), await entries()]).toEqual([[], keys('orders')]);
  expect(existsSync(join(cluster.dir, 'alice/.pg_service.conf'))).toBe(false);
  expect((await tsh('db', 'ls')).stdout).toMatch(/^> orders /m);
});

withService('settings of tsh choose the keychain for whoever says nothing', async () => {
  mkdirSync(join(cluster.dir, 'carol/.tsh/config'), { recursive: true });
  writeFileSync(join(cluster.dir, 'carol/.tsh/config/config.yaml'), 'credential_store: keychain\n');
  const { stdout } = await cluster.login('carol', 'alice');
  expect(stdout).toContain('Credential store:   keychain');
  expect((await cluster.tsh('carol', 'logout')).status).toBe(0);
  writeFileSync(join(cluster.dir, 'carol/.tsh/config/config.yaml'), 'credential_store: vault\n');
  const { status, stderr } = await cluster.typeLogin('carol', [], `--proxy=${cluster.proxyAddr}`);
  expect([status, stderr]).toEqual([1, expect.stringContaining('must be file or keychain')]);
});

withService('db logout removes the entry of the database, logout everything', async () => {
  expect((await tsh('db', 'logout', 'orders')).status).toBe(0);
  expect(await entries()).toEqual(keys());
  expect((await tsh('logout')).status).toBe(0);
  expect([await entries(), filesWithKeys(), readdirSync(base(), { recursive: true })]).toEqual([[], [], ['config']]);
});

withService('logout of one user at one proxy removes the entries of that user', async () => {
  await cluster.login('alice', 'alice', '--credential-store=keychain');
  await tsh('db', 'login', 'orders', ...ROUTE);
  expect((await tsh('logout', `--proxy=${cluster.proxyAddr}`, '--user=alice')).status).toBe(0);
  expect(await entries()).toEqual([]);
  expect((await tsh('logout')).status).toBe(0);
});
