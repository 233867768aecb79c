/**
 * Seed 001, "Database Access with Redshift Serverless on AWS" (seed 004 is its twin), in its order, on the doubles of AWS and of
 * Redshift Serverless: from the IAM role and the Teleport role over the agent's own file to rows, and through its troubleshooting.
 */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runProgram } from '../../src/cli/program.js';
import { createLogger } from '../../src/log.js';
import type { TeleportFile } from '../../src/resources/teleport-yaml.js';
import { program as teleportProgram } from '../../src/teleport/commands.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import type { Principal } from '../support/aws/world.js';
import type { AwsDouble } from '../support/aws-double.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { memoryEnv } from '../support/env.js';
import { holdTable } from '../support/held-table.js';
import { cancelQuery } from '../support/pg-cancel.js';
import { connectAndRun, PSQL } from '../support/psql-through-tsh.js';
import { until } from '../support/until.js';

const ACCESS = 'teleport-redshift-serverless-access';
const NODE = 'teleport-redshift-serverless-node';
const DB = 'redshift-serverless';

const before = { ...process.env };
let cluster: TestCluster;
let aws: AwsDouble;
let access: Principal;
let node: Principal;
let agent: RunningTeleport | undefined;
/** The host of the Database Service: its files, and what its processes say. */
let host: string;
const file = () => join(host, 'teleport.yaml');
let logged = '';
const log = createLogger({
  level: 'info',
  component: 'PROC',
  write: (line) => {
    logged += line;
  },
});

beforeAll(async () => {
  cluster = await startTestCluster({ redshift: true, agent: false, users: [{ name: 'alice', roles: ['access'] }] });
  aws = cluster.aws!.aws;
  host = join(cluster.dir, 'db-host');
  mkdirSync(host);
  await cluster.tctlOk('rm', 'db/reports'); // the seed's database is in the agent's file
  await cluster.tctlOk('rm', 'db/sales');
  await cluster.tctlOk('rm', 'db/orders');
  await cluster.databases!.postgres.query(
    `
    CREATE TABLE users (name text); INSERT INTO users VALUES ('ada'), ('grace')`,
    { database: 'dev' },
  );
});
afterAll(async () => {
  await agent?.close({ drainMs: 0 });
  await cluster?.stop();
  process.env = before;
});

async function teleport(...args: string[]) {
  const env = memoryEnv({ home: host, vars: { ...process.env } as Record<string, string> });
  const status = await runProgram(teleportProgram, args, env);
  return { status, stdout: env.out(), stderr: env.err() };
}

/** As `teleport start` does; a new start has kept no credentials of the last one. */
async function startAgent(): Promise<void> {
  await agent?.close({ drainMs: 0 });
  const { raw } = readConfigFile(file());
  agent = await startTeleport(teleportConfig({}, file(), raw), { log, vars: { SSL_CERT_FILE: cluster.webCaFile } });
}

/** The policy documents in a text, in their order. */
const documentsIn = (text: string) => [...text.matchAll(/^\{$[\s\S]*?^\}$/gm)].map(([json]) => JSON.parse(json));

describe('Step 1/4. Create an IAM role for user access', () => {
  test('with the trust policy and the permission that the seed shows, which print-iam prints', async () => {
    node = aws.addRole(NODE, {
      policies: [{ Statement: [{ Effect: 'Allow', Action: 'iam:*', Resource: '*' }] }],
    });
    const trust = {
      Statement: [
        {
          Sid: 'Statement1',
          Effect: 'Allow' as const,
          Principal: { AWS: node.arn, Service: 'ec2.amazonaws.com' },
          Action: 'sts:AssumeRole',
        },
      ],
    };
    const printed = await teleport(
      'db',
      'configure',
      'aws',
      'print-iam',
      '--types=redshift-serverless',
      '--user-role',
      '--policy',
    );
    expect(JSON.parse(printed.stdout).Statement).toMatchObject([
      { Effect: 'Allow', Action: 'redshift-serverless:GetCredentials' },
    ]);
    access = aws.addRole(ACCESS, {
      trust: trust as never,
      policies: [{ Statement: [{ Effect: 'Allow', Action: 'redshift-serverless:GetCredentials', Resource: '*' }] }],
    });
  });
});

describe('Step 2/4. Create a Teleport role for Redshift Serverless access', () => {
  const ROLE = `version: v5
kind: role
metadata:
  name: redshift-serverless-access
spec:
  allow:
    db_labels:
      '*': '*'
    db_names:
    - dev
    db_users:
    - '${ACCESS}'
`;

  test('tctl create -f redshift-role.yaml', async () => {
    writeFileSync(join(host, 'redshift-role.yaml'), ROLE);
    expect(await cluster.tctlOk('create', '-f', join(host, 'redshift-role.yaml'))).toBe(
      'role "redshift-serverless-access" has been created\n',
    );
  });

  test('the user gets it beside the roles of now, and has it after a new login', async () => {
    await cluster.login('alice', 'alice');
    const { active } = JSON.parse((await cluster.tsh('alice', 'status', '-f', 'json')).stdout);
    const roles = [...active.roles, 'redshift-serverless-access'].join(',');
    await cluster.tctlOk('users', 'update', active.username, `--set-roles=${roles}`);
    await cluster.tsh('alice', 'logout');
    await cluster.login('alice', 'alice');
    const now = JSON.parse((await cluster.tsh('alice', 'status', '-f', 'json')).stdout);
    expect(now.active.roles).toEqual(['access', 'redshift-serverless-access']);
  });
});

describe('Step 3/4. Install and start the Teleport Database Service', () => {
  test('a token, in a file', async () => {
    writeFileSync(join(host, 'token'), await cluster.tctlOk('tokens', 'add', '--type=db', '--format=text'), {
      mode: 0o600,
    });
    expect(readFileSync(join(host, 'token'), 'utf8')).toMatch(/^[0-9a-f]{32}\n$/);
  });

  test('teleport db configure create: the kind of the database is read from its endpoint', async () => {
    const uri = `reports.${aws.accountId}.us-east-1.redshift-serverless.amazonaws.com:5439`;
    const { status, stdout } = await teleport(
      ...['db', 'configure', 'create', '-o', `file://${file()}`, `--name=${DB}`, `--proxy=${cluster.proxyAddr}`],
      ...['--protocol=postgres', `--uri=${uri}`, `--token=${join(host, 'token')}`],
    );
    expect(status).toBe(0);
    expect(stdout).toContain(`"${file()}"`);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    const { raw } = readConfigFile(file());
    expect(raw.db_service!.databases).toMatchObject([{ name: DB, uri }]);
    expect((await teleport('configure', `--test=${file()}`)).status).toBe(0);
  });

  test('teleport db configure bootstrap: shown first, made and attached, and a second time nothing is changed', async () => {
    process.env = { ...process.env, ...aws.env(node) };
    const args = [
      'db',
      'configure',
      'bootstrap',
      '-c',
      file(),
      `--attach-to-role=${NODE}`,
      `--assumes-roles=${ACCESS}`,
    ];
    const manual = await teleport(...args.with(-2, `--attach-to-role=${node.arn}`), '--manual');
    expect([manual.status, manual.stderr]).toEqual([0, expect.any(String)]);
    const shown = documentsIn(manual.stdout);
    const made = await teleport(...args, '--confirm');
    expect([made.status, made.stderr]).toEqual([0, expect.any(String)]);
    expect(documentsIn(made.stdout).flatMap(({ Statement }) => Statement)).toEqual(
      expect.arrayContaining([expect.objectContaining({ Action: 'sts:AssumeRole' })]),
    );
    expect(shown.length).toBeGreaterThan(0);
    const writes = () => aws.count('iam:CreatePolicy') + aws.count('iam:CreatePolicyVersion');
    const before = writes();
    expect((await teleport(...args, '--confirm')).status).toBe(0);
    expect(writes()).toBe(before);
  });

  test('the service starts: it joins with the token, as the role of its host', async () => {
    // AWS's own names lead nowhere here: the endpoint is that of the double.
    const { redshift, redshiftCa } = cluster.databases!;
    const raw = JSON.parse(JSON.stringify(readConfigFile(file()).raw)) as TeleportFile;
    Object.assign(raw.db_service!.databases![0]!, {
      uri: `localhost:${redshift!.ports.reports}`,
      tls: { ca_cert_file: join(host, 'redshift-ca.pem') },
      aws: { region: aws.region, account_id: aws.accountId, redshift_serverless: { workgroup_name: 'reports' } },
    });
    writeFileSync(join(host, 'redshift-ca.pem'), redshiftCa!);
    Object.assign(raw.teleport!, { data_dir: join(host, 'data') });
    writeFileSync(file(), JSON.stringify(raw));
    process.env = { ...process.env, ...aws.env(node) };
    await startAgent();
    await until('the agent offers it', async () =>
      (await cluster.tctlOk('db', 'ls')).includes(DB) ? true : undefined,
    );
  });
});

describe('Step 4/4. Connect', () => {
  const ROUTE = [`--db-user=${ACCESS}`, '--db-name=dev'];

  test('tsh login, tsh db ls', async () => {
    await cluster.untilListed('alice', [DB]);
    expect((await cluster.tsh('alice', 'db', 'ls')).stdout).toMatch(new RegExp(`^${DB} `, 'm'));
  });

  test('tsh db connect: the role is a user of the workgroup, whose rights are those that it has there', async () => {
    const select = () => cluster.tsh('alice', 'db', 'exec', '--dbs', DB, ...ROUTE, 'select name from users order by 1');
    const refused = await select();
    expect([refused.status, refused.stderr + refused.stdout]).toEqual([
      1,
      expect.stringContaining('permission denied'),
    ]);
    // "User permission errors": an administrator prepares the user that the role becomes.
    await cluster.databases!.postgres.query(`GRANT SELECT ON TABLE users TO "IAMR:${ACCESS}"`, { database: 'dev' });
    const allowed = await select();
    expect([allowed.status, allowed.stdout]).toEqual([0, expect.stringContaining('grace')]);
    if (!PSQL) return;
    const rows = await connectAndRun(cluster, 'alice', [DB, ...ROUTE], 'select name from users order by 1');
    expect(rows).toBe('ada\ngrace\n');
  });

  test('"Unable to cancel a query": it is cancelled', async () => {
    const tunnel = await cluster.tunnel('alice', DB, { dbUser: ACCESS });
    const client = await tunnel.connect();
    await using held = await holdTable(cluster.databases!.postgres);
    const waiting = client.query(held.sql);
    const ended = expect(waiting).rejects.toMatchObject({ code: '57014' });
    await held.awaited();
    await cancelQuery(client);
    await ended;
    await client.end();
    await tunnel.started.stop();
  });

  test('tsh db logout', async () => {
    expect((await cluster.tsh('alice', 'db', 'login', DB, ...ROUTE)).status).toBe(0);
    expect((await cluster.tsh('alice', 'db', 'logout', DB)).status).toBe(0);
    expect((await cluster.tsh('alice', 'db', 'logout', DB)).status).toBe(1);
  });
});

describe('Troubleshooting', () => {
  const why = async () => {
    await startAgent();
    await until('the agent offers it', async () =>
      (await cluster.tctlOk('db', 'ls')).includes(DB) ? true : undefined,
    );
    const args = ['--dbs', DB, `--db-user=${ACCESS}`, '--db-name=dev', 'select 1'];
    const { status, stdout, stderr } = await cluster.tsh('alice', 'db', 'exec', ...args);
    expect(status).toBe(1);
    return stdout + stderr;
  };

  test('not authorized to perform sts:AssumeRole: who, and on what', async () => {
    aws.setTrust(access, { Statement: [] });
    const text = await why();
    expect(text).toContain('is not authorized to perform: sts:AssumeRole');
    expect(text).toContain(access.arn);
  });

  test('no credential providers: the words to look for in the log', async () => {
    process.env = { ...before, ...aws.env() };
    await why();
    expect(logged).toContain('NoCredentialProviders');
  });
});
