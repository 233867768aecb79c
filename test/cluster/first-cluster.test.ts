/**
 * From `teleport configure` to rows, as the first cluster of the documentation; and what is said where no agent is.
 * Tests: src/db/heartbeat.ts
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { silent } from '../../src/log.js';
import { program } from '../../src/teleport/commands.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { startTeleport } from '../../src/teleport/running.js';
import { documents, roleResource, startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { until } from '../support/until.js';

const database = (name: string) => ({
  kind: 'db',
  version: 'v3',
  metadata: { name, labels: { env: 'dev' } },
  spec: { protocol: 'postgres', uri: 'localhost:5432' },
});

interface Offer {
  metadata: { name: string };
  spec: { database: { spec: { uri: string } } };
}

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await startTestCluster({
    postgres: true,
    agent: false,
    roles: [roleResource('analyst', { db_users: ['analyst'], db_names: ['dev'] })],
    users: [{ name: 'alice', roles: ['analyst'] }],
  });
  await cluster.login('alice', 'alice');
});
afterAll(() => cluster?.stop());

describe('W4 where no agent serves a database', () => {
  const NOBODY = /^WARNING: no agent serves databases? .*"lonely".*db_service.*teleport db configure create/m;

  test('tctl create and tctl db ls say so, and name it', async () => {
    const created = await cluster.tctlWith(documents([database('lonely')]), 'create');
    expect(created).toMatchObject({ status: 0, stdout: 'database "lonely" has been created\n' });
    expect(created.stderr).toMatch(NOBODY);
    const listed = await cluster.tctl('db', 'ls');
    expect(listed.status).toBe(0);
    expect(listed.stderr).toMatch(NOBODY);
    for (const args of [['--format=json'], ['--search=x'], ['env=prod']])
      expect((await cluster.tctl('db', 'ls', ...args)).stderr).toBe('');
  });

  test.each([
    ['db ls', ['db', 'ls'], 0],
    ['db connect', ['db', 'connect', 'lonely', '--db-user=analyst', '--db-name=dev'], 1],
    ['db login', ['db', 'login', 'lonely', '--db-user=analyst', '--db-name=dev'], 1],
    ['proxy db', ['proxy', 'db', 'lonely', '--tunnel'], 1],
    ['db exec', ['db', 'exec', 'select 1', '--dbs=lonely', '--db-user=analyst', '--db-name=dev'], 1],
  ])('tsh %s says when a database is listed', async (_, args, status) => {
    const outcome = await cluster.tsh('alice', ...args);
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain('A database is listed once an agent serves it and your roles allow it.');
    expect(outcome.stderr).toContain('tctl db ls');
  });

  test('the configuration that configure prints starts an agent that serves it, and the warnings end', async () => {
    const env = memoryEnv();
    expect(
      await runProgram(program, ['configure', '--roles=db', `--data-dir=${join(cluster.dir, 'agent')}`], env),
    ).toBe(0);
    const file = join(cluster.dir, 'agent.yaml');
    writeFileSync(file, env.out());
    const { raw } = readConfigFile(file);
    const token = (await cluster.tctl('tokens', 'add', '--type=db', '--format=text')).stdout.trim();
    const agent = await startTeleport(teleportConfig({ authServer: [cluster.proxyAddr], token }, file, raw), {
      log: silent,
      vars: { SSL_CERT_FILE: cluster.webCaFile },
    });
    try {
      const created = await cluster.tctlWith(documents([database('served')]), 'create');
      expect(created).toMatchObject({ status: 0, stderr: '' });
      await until('no warning is left', async () => (await cluster.tctl('db', 'ls')).stderr === '' || undefined);
      await cluster.untilListed('alice', ['orders', 'served', 'lonely']);
      const rows = await cluster.tsh(
        'alice',
        'db',
        'exec',
        'select 41 + 1 as n',
        '--dbs=orders',
        '--db-user=analyst',
        '--db-name=dev',
      );
      expect(rows).toMatchObject({ status: 0, stdout: expect.stringContaining('42') });

      // What is changed or removed, the running agent serves otherwise or no more.
      const offers = async () =>
        JSON.parse((await cluster.tctl('get', 'db_server', '--format=json')).stdout) as Offer[];
      const moved = database('served');
      moved.spec.uri = 'localhost:5433';
      expect(await cluster.tctlWith(documents([moved]), 'create', '-f')).toMatchObject({ status: 0 });
      await until('the change is offered', async () =>
        (await offers()).find(({ spec }) => spec.database.spec.uri === 'localhost:5433'),
      );
      expect(await cluster.tctl('rm', 'db/served')).toMatchObject({ status: 0 });
      await until(
        'it is offered no more',
        async () => (await offers()).every(({ metadata }) => metadata.name !== 'served') || undefined,
      );
      await cluster.untilListed('alice', ['orders', 'lonely']);
    } finally {
      await agent.close({ drainMs: 0 });
    }
  });
});

describe('W15 a next step leads somewhere', () => {
  test.each([
    ['request ls', ['request', 'ls']],
    ['request show', ['request', 'show', 'x']],
    ['request create', ['request', 'create', '--roles=x']],
    ['login --request-roles', ['login', '--request-roles=x']],
  ])('%s on a cluster without access requests says how roles are given there', async (_, args) => {
    const { status, stderr } = await cluster.tsh('alice', ...args);
    expect(status).toBe(1);
    expect(stderr).toBe(
      'ERROR: this cluster does not serve access requests\n' +
        'An administrator gives roles directly: tctl users update USER --set-roles=ROLES. They count from the next connection.\n\n',
    );
  });

  test('a connector on a cluster that has none leads to the password', async () => {
    const { status, stderr } = await cluster.tsh('bob', 'login', '--auth=github', `--proxy=${cluster.proxyAddr}`);
    expect(status).toBe(1);
    expect(stderr).toBe(
      `ERROR: Teleport proxy at ${cluster.proxyAddr} answered the ping with an error: invalid connector name: github\n` +
        'This cluster has no single sign-on: log in with a password, --auth=local (the name came from --auth, TELEPORT_AUTH or the last login).\n\n',
    );
  });
});
