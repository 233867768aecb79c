/**
 * X2: an administrator takes trust back by giving the authority of users new keys, with `tctl auth rotate`: Auth, Proxy and agents
 * follow each phase without a restart.
 * Tests: src/access/login/accepted.ts, src/api/authority-watch.ts, src/tctl/auth/rotate.ts
 */
import { roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [
      { name: 'alice', roles: ['analyst'] },
      { name: 'bob', roles: ['analyst'] },
    ],
  });
}, 40_000);
afterAll(() => cluster?.stop());

const select = (who: string) =>
  cluster.tsh(who, 'db', 'exec', 'select 40 + 2', '--dbs=orders', '--db-user=analyst', '--db-name=dev');
const isServed = async (who: string) => (await select(who)).stdout.includes('42');
const rotate = (...words: string[]) => cluster.tctl('auth', 'rotate', '--type=user', ...words);
const rotationOf = async (type: string) =>
  new RegExp(`^${type} +(.*?) +(?:SSH|TLS)`, 'm').exec((await cluster.tctl('status')).stdout)?.[1];

test('X2 from one phase to the next, and whose login counts', async () => {
  await cluster.login('alice', 'alice');
  expect(await isServed('alice')).toBe(true);
  expect(await rotationOf('user')).toBe('standby (never rotated)');

  expect(await rotate('--manual', '--phase=init')).toMatchObject({
    status: 0,
    stdout: `Updated rotation phase to "init". To check status use 'tctl status'\n`,
  });
  expect(await rotationOf('user')).toBe('in progress (mode: manual, phase: init)');
  expect((await cluster.tctl('status')).stdout).toMatch(/^ +TLS +trusted +ECDSA P-256 +software/m);
  await rotate('--manual', '--phase=update_clients');
  await cluster.login('bob', 'bob');
  expect(await Promise.all(['alice', 'bob'].map(isServed))).toEqual([true, true]);
  await rotate('--manual', '--phase=update_servers');
  expect((await rotate('--manual', '--phase=standby')).status).toBe(0);
  expect(await rotationOf('user')).toMatch(/^standby \(last rotated: \w{3} \d+ \d{4} [\d:]{8} UTC\)$/);

  // Every service has heard of it.
  const refused = await until('the old login is refused', async () => {
    const outcome = await select('alice');
    return outcome.status === 0 ? undefined : outcome;
  });
  expect(refused.stderr).toMatch(/log in again|tsh login/i);
  expect(await isServed('bob')).toBe(true);
  await cluster.login('alice', 'alice');
  expect(await isServed('alice')).toBe(true);
}, 60_000);

test('refusals, word for word', async () => {
  const { stdout: before } = await cluster.tctl('status');
  expect(await rotate('--manual', '--phase=standby')).toMatchObject({
    status: 1,
    stderr: 'ERROR: can not transition to phase "standby" from "standby" phase.\n\n',
  });
  const none = await cluster.tctl('auth', 'rotate');
  expect(none.status).toBe(1);
  expect(none.stderr).toContain(
    'ERROR: required flag --type not provided, not starting interactive mode because stdin does not appear to be a terminal',
  );
  expect((await cluster.tctl('auth', 'rotate', '--type=nothing')).stderr).toContain(
    'enum value must be one of host,user,db,db_client,openssh,jwt',
  );
  expect((await cluster.tctl('auth', 'rotate', '--type=host')).stderr).toContain(
    'the authority of hosts cannot be rotated',
  );
  expect((await cluster.tctl('status')).stdout).toBe(before);
});

test('with a grace period it goes on by itself', async () => {
  const began = await cluster.tctl('auth', 'rotate', '--type=db_client', '--grace-period=10m');
  expect(began.stdout).toBe("Initiated certificate authority rotation. To check status use 'tctl status'\n");
  expect(await rotationOf('db_client')).toMatch(
    /^in progress \(mode: automatic, phase: init, started: .* UTC, ending: .* UTC\)$/,
  );
});
