/**
 * An AWS login whose temporary passwords are in a real keychain. Needs gnome-keyring and dbus; built programs.
 * Tests: src/profile/aws-identity.ts, src/tsh/login-aws.ts
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTsh } from '../../src/tsh/main.js';
import { type AwsDirect, startAwsDirect } from '../support/aws-direct.js';
import { withoutProgress } from '../support/exec.js';
import { type SecretService, startSecretService, withoutService, withService } from '../support/secret-service.js';

let world: AwsDirect;
let service: SecretService;
beforeAll(async () => {
  if (withoutService) return;
  service = await startSecretService();
  world = await startAwsDirect();
});
afterAll(async () => {
  await world?.stop();
  await service?.stop();
});

async function tsh(...args: string[]) {
  const env = world.envOf({ input: '', vars: service.vars });
  const status = await runTsh(args, env);
  return { status, stdout: env.out(), stderr: env.err() };
}

/** Everything in files of the home. */
const allFiles = () =>
  readdirSync(world.dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');

withService('passwords are in the keychain and in no file, one serves many commands, logout removes all', async () => {
  const login = await tsh(
    'login',
    '--aws',
    '--region=us-east-1',
    `--ca-file=${world.caFile}`,
    '--credential-store=keychain',
  );
  expect([login.stderr, login.status]).toEqual(['', 0]);
  expect(login.stdout).toContain('Credential store:   keychain');
  const dbLogin = await tsh('db', 'login', 'sales', '--db-user=analyst', '--db-name=dev');
  expect([dbLogin.stderr, dbLogin.status]).toEqual(['', 0]);
  expect(dbLogin.stdout).toContain('tsh proxy db --tunnel');
  for (let i = 0; i < 2; i++) {
    const exec = await tsh('db', 'exec', 'select 6 * 7 as answer', '--dbs=sales', '--db-user=analyst', '--db-name=dev');
    expect([withoutProgress(exec.stderr), exec.stdout]).toEqual(['', expect.stringContaining('42')]);
  }
  expect(world.aws.count('redshift:GetClusterCredentials')).toBe(1);
  const accounts = await service.keychain.list();
  expect(accounts.filter((one) => one.startsWith(join(world.dir, '.tsh/aws/')))).toHaveLength(1);
  const { password } = JSON.parse((await service.keychain.get(accounts[0]!))!) as { password: string };
  expect(password.length).toBeGreaterThan(10);
  expect(allFiles()).not.toContain(password);
  expect((await tsh('db', 'env', 'sales')).stderr).toContain('is in the system keychain');
  expect(existsSync(join(world.dir, '.pg_service.conf'))).toBe(false);

  expect((await tsh('logout', '--aws')).status).toBe(0);
  expect(await service.keychain.list()).toEqual([]);
});

withService('a locked keyring refuses before AWS is asked', async () => {
  await service.keychain.set('other', 'x');
  await service.lock();
  world.aws.calls.length = 0;
  const { status, stderr } = await tsh('login', '--aws', '--region=us-east-1', '--credential-store=keychain');
  expect([status, stderr]).toEqual([1, expect.stringContaining('the system keychain cannot be written: it is locked')]);
  expect(world.aws.calls).toEqual([]);
});

withService('a locked keyring keeps nobody from going back to files or from logging out', async () => {
  await service.unlock();
  const login = ['login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`];
  const exec = ['db', 'exec', 'select 1', '--dbs=sales', '--db-user=analyst'];
  const entries = async () => (await service.keychain.list()).filter((one) => one.startsWith(world.dir));
  for (const args of [[...login, '--credential-store=keychain'], exec]) expect((await tsh(...args)).status).toBe(0);
  await service.lock();
  const back = await tsh(...login, '--credential-store=file');
  expect([back.stderr, back.status]).toEqual([expect.stringContaining('WARNING: keys are left in the keychain'), 0]);

  await service.unlock();
  for (const args of [[...login, '--credential-store=keychain'], exec]) expect((await tsh(...args)).status).toBe(0);
  await service.lock();
  const out = await tsh('logout');
  expect([out.stderr, out.status]).toEqual([expect.stringContaining('keys are left in the system keychain'), 1]);
  expect(readdirSync(join(world.dir, '.tsh'))).toEqual(['config']);
  await service.unlock();
  expect(await entries()).not.toEqual([]);
  expect((await tsh('logout')).status).toBe(0);
  expect(await entries()).toEqual([]);
});
