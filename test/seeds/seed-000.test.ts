/**
 * Seed 000, "Database Access with Redshift on AWS", in its order, on the doubles of AWS and Redshift. The certificate that
 * `teleport configure --acme` leads to is had in `test/acme`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runProgram } from '../../src/cli/program.js';
import { silent } from '../../src/log.js';
import { parseConfigText } from '../../src/resources/teleport-yaml.js';
import { program as teleportProgram } from '../../src/teleport/commands.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import type { AwsDouble } from '../support/aws-double.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { connectAndRun, PSQL } from '../support/psql-through-tsh.js';
import { until } from '../support/until.js';

const DB = 'redshift';
/** The database user of the seed is awsuser; this one is known to the server under the double. */
const DB_USER = 'analyst';

const before = { ...process.env };
let cluster: TestCluster;
let aws: AwsDouble;
let agent: RunningTeleport | undefined;
let host: string;

beforeAll(async () => {
  cluster = await startTestCluster({ redshift: true, agent: false });
  aws = cluster.aws!.aws;
  host = join(cluster.dir, 'db-host');
  mkdirSync(host);
  for (const name of ['sales', 'reports', 'orders']) await cluster.tctlOk('rm', `db/${name}`);
});
afterAll(async () => {
  await agent?.close({ drainMs: 0 });
  await cluster?.stop();
  process.env = before;
});

async function tsh(...args: string[]) {
  return await cluster.tsh('alice', ...args);
}

test('Create IAM policy: the two permissions are what an agent for Redshift is printed', async () => {
  const env = memoryEnv({ home: host });
  const args = ['db', 'configure', 'aws', 'print-iam', '--types=redshift', '--policy'];
  expect(await runProgram(teleportProgram, args, env)).toBe(0);
  const { Statement } = JSON.parse(env.out());
  const actions = Statement.flatMap(({ Action }: { Action: string | string[] }) => Action);
  expect(actions).toEqual(expect.arrayContaining(['redshift:GetClusterCredentials', 'redshift:DescribeClusters']));
  const agentRole = aws.addRole('redshift-agent', {
    policies: [
      {
        Statement: [
          {
            Effect: 'Allow',
            Action: 'redshift:GetClusterCredentials',
            Resource: `arn:aws:redshift:us-east-1:${aws.accountId}:*:sales/*`,
          },
          { Effect: 'Allow', Action: 'redshift:DescribeClusters', Resource: '*' },
        ],
      },
    ],
  });
  process.env = { ...process.env, ...aws.env(agentRole) };
});

describe('Setup Teleport Auth and Proxy services', () => {
  test.each(['--acme-email', '--email'])('teleport configure --acme %s', async (flag) => {
    const env = memoryEnv({ home: host });
    const args = ['configure', '--acme', `${flag}=ops@example.com`, '--cluster-name=teleport.example.com'];
    expect(await runProgram(teleportProgram, [...args, `--data-dir=${host}/none`], env)).toBe(0);
    expect(teleportConfig({}, 'f', parseConfigText(env.out(), 'f')).proxy).toMatchObject({
      listen: { port: 443 },
      acme: { names: ['teleport.example.com'], email: 'ops@example.com' },
    });
  });

  test('tctl tokens add --type=db', async () => {
    const text = await cluster.tctlOk('tokens', 'add', '--type=db');
    const [, token] = /^The invite token: ([0-9a-f]{32})$/m.exec(text)!;
    writeFileSync(join(host, 'token'), `${token}\n`, { mode: 0o600 });
  });

  test('tctl users add --roles=access alice, and her traits by export, edit and tctl create alice.yaml -f', async () => {
    await cluster.addUser({ name: 'alice', roles: ['access'] });
    const exported = await cluster.tctlOk('get', 'users/alice');
    expect(exported).toContain('- access');
    const file = join(host, 'alice.yaml');
    const edited = exported.replace(/^ {2}traits:\n(?: {4}.*\n)*|^ {2}traits: .*\n/m, '');
    const traits = `  traits:\n    db_users:\n    - ${DB_USER}\n    db_names:\n    - dev\n`;
    writeFileSync(file, edited.replace(/^spec:\n/m, `spec:\n${traits}`));
    expect(await cluster.tctlOk('create', file, '-f')).toBe('user "alice" has been updated\n');
    // A second time, as those do whose files are applied again and again.
    expect(await cluster.tctlOk('create', file, '-f')).toBe('user "alice" has been updated\n');
    expect(await cluster.tctlOk('get', 'users/alice')).toContain(`- ${DB_USER}`);
  });
});

describe('Setup Teleport Database service', () => {
  test('teleport start --config=… --token=/tmp/token, with the file that the seed shows', async () => {
    const { redshift, redshiftCa } = cluster.databases!;
    writeFileSync(join(host, 'ca.pem'), redshiftCa!);
    const file = join(host, 'teleport-db.yaml');
    writeFileSync(
      file,
      `teleport:
  data_dir: ${join(host, 'data')}
  nodename: test
  auth_servers:
  - ${cluster.proxyAddr}
db_service:
  enabled: "yes"
  databases:
  - name: "${DB}"
    description: "AWS Redshift PostgreSQL"
    protocol: "postgres"
    uri: "localhost:${redshift!.ports.sales}"
    tls:
      ca_cert_file: ${join(host, 'ca.pem')}
    aws:
      region: "us-east-1"
      account_id: "${aws.accountId}"
      redshift:
        cluster_id: "sales"
    static_labels:
      env: dev
auth_service:
  enabled: "no"
ssh_service:
  enabled: "no"
proxy_service:
  enabled: "no"
`,
    );
    const { raw } = readConfigFile(file);
    const config = teleportConfig({ token: join(host, 'token') }, file, raw);
    agent = await startTeleport(config, { log: silent, vars: { SSL_CERT_FILE: cluster.webCaFile } });
    await until('the agent offers it', async () =>
      (await cluster.tctlOk('db', 'ls')).includes(DB) ? true : undefined,
    );
  });
});

describe('Connect', () => {
  test('tsh login --user=alice, tsh db ls', async () => {
    await cluster.login('alice', 'alice');
    await cluster.untilListed('alice', [DB]);
    expect((await tsh('db', 'ls')).stdout).toMatch(/^redshift +AWS Redshift PostgreSQL .*env=dev/m);
  });

  test('tsh db login, without and with the user and the name, and rows', async () => {
    expect((await tsh('db', 'login', DB)).status).toBe(0);
    expect((await tsh('db', 'login', `--db-user=${DB_USER}`, '--db-name=dev', DB)).status).toBe(0);
    const { status, stdout } = await tsh(
      'db',
      'exec',
      '--dbs',
      DB,
      `--db-user=${DB_USER}`,
      '--db-name=dev',
      'select 40 + 2 as n',
    );
    expect([status, stdout]).toEqual([0, expect.stringContaining('42')]);
    if (PSQL) expect(await connectAndRun(cluster, 'alice', [DB], 'select 40 + 2')).toBe('42\n');
  });

  test('what is not in her traits, or not in the policy of the agent, is refused with the reason', async () => {
    const other = await tsh('db', 'exec', '--dbs', DB, '--db-user=reader', '--db-name=dev', 'select 1');
    expect([other.status, other.stdout + other.stderr]).toEqual([1, expect.stringContaining('access to db denied')]);
  });

  test('tsh db logout of one, and of all', async () => {
    expect((await tsh('db', 'logout', DB)).status).toBe(0);
    expect((await tsh('db', 'login', `--db-user=${DB_USER}`, '--db-name=dev', DB)).status).toBe(0);
    expect((await tsh('db', 'logout')).status).toBe(0);
    expect((await tsh('db', 'ls', '-v')).stdout).not.toContain('>');
  });
});
