/**
 * `tsh` without a cluster: a person's own IAM identity, against doubles of AWS and Redshift with PostgreSQL underneath.
 * Tests: src/access/aws/access.ts, src/access/aws/connector.ts, src/access/aws/context.ts, src/access/aws/database.ts
 * Tests: src/access/aws/files.ts, src/access/aws/open.ts, src/aws/vpc-endpoint.ts, src/localproxy/cancel-keys.ts
 * Tests: src/tsh/login-aws.ts, src/tsh/status-aws.ts
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runTsh } from '../../src/tsh/main.js';
import {
  type AwsDirect,
  CHINA_HOST,
  SALES_HOST,
  SOVEREIGN_HOST,
  startAwsDirect,
  VPC_HOST,
} from '../support/aws-direct.js';
import { createTestCa } from '../support/ca.js';
import { withoutProgress } from '../support/exec.js';
import { holdTable } from '../support/held-table.js';
import { until } from '../support/until.js';

let world: AwsDirect;
beforeAll(async () => {
  world = await startAwsDirect();
});
afterAll(() => world?.stop());
beforeEach(async () => {
  world.aws.calls.length = 0;
  world.redshift.logins.length = 0;
});
afterEach(() => world.tsh('logout'));

const login = async (...more: string[]) => {
  const result = await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${world.caFile}`, ...more);
  expect(result).toMatchObject({ status: 0, stderr: '' });
  return result.stdout;
};
async function exec(sql: string, db: string, ...more: string[]) {
  const said = await world.tsh('db', 'exec', sql, `--dbs=${db}`, ...more);
  return { ...said, stderr: withoutProgress(said.stderr) };
}
const passwords = () => world.aws.calls.filter(({ action }) => /Get(Cluster)?Credentials/.test(action));

describe('S16 --ca-file', () => {
  test.each([
    ['a key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', 'it holds a private key (PRIVATE KEY)'],
    ['an empty file', '', 'it is empty'],
    ['a broken certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'certificate 1 of 1'],
  ])(
    'is refused at login when it names %s, before AWS is asked, and nothing is remembered',
    async (_what, text, found) => {
      const file = join(world.dir, 'wrong.pem');
      writeFileSync(file, text);
      const { status, stderr } = await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${file}`);
      expect(status).toBe(1);
      expect(stderr).toContain('--ca-file: ');
      expect(stderr).toContain(file);
      expect(stderr).toContain(found);
      expect(world.aws.calls).toEqual([]);
      expect((await world.tsh('status')).stderr).toContain('Not logged in');
    },
  );

  test('that a login remembers and that is gone is named with the way to change it', async () => {
    const file = join(world.dir, 'gone.pem');
    writeFileSync(file, readFileSync(world.caFile));
    await world.tsh('login', '--aws', '--region=us-east-1', `--ca-file=${file}`);
    writeFileSync(file, '');
    const { status, stderr } = await world.tsh('db', 'ls');
    expect(status).toBe(1);
    expect(stderr).toContain(`--ca-file: there is no certificate in ${file}: it is empty`);
    expect(stderr).toContain('tsh login --aws --ca-file=FILE');
  });
});

describe('login', () => {
  test('says who one is and remembers it', async () => {
    expect(await login()).toBe(
      [
        '> AWS profile:        default',
        '  Logged in as:       arn:aws:iam::123456789012:user/alice',
        '  Account:            123456789012',
        '  Regions:            us-east-1',
        '  Valid until:        as long as the AWS credentials',
        '',
        '',
      ].join('\n'),
    );
    const status = await world.tsh('status', '--format=json');
    expect(JSON.parse(status.stdout)).toEqual({
      active: null,
      profiles: [],
      aws: [
        {
          profile: 'default',
          active: true,
          arn: 'arn:aws:iam::123456789012:user/alice',
          account_id: '123456789012',
          regions: ['us-east-1'],
          credential_store: 'file',
        },
      ],
    });
  });

  test('assumes a role, with its external id, and says when it may not', async () => {
    const trust = {
      Statement: [
        {
          Effect: 'Allow' as const,
          Principal: { AWS: world.person.arn },
          Action: 'sts:AssumeRole',
          Condition: { StringEquals: { 'sts:ExternalId': 'x1' } },
        },
      ],
    };
    const role = world.aws.addRole('analytics', {
      trust,
      policies: [{ Statement: [{ Effect: 'Allow', Action: ['redshift:*'], Resource: '*' }] }],
    });
    expect(await login(`--assume-role=${role.arn}`, '--external-id=x1')).toContain(
      'Logged in as:       arn:aws:sts::123456789012:assumed-role/analytics/',
    );
    await world.tsh('db', 'login', 'sales');
    await login(`--assume-role=${role.arn}`, '--external-id=x1');
    expect((await world.tsh('status')).stdout).toContain('Databases:          sales');
    const { status, stdout } = await exec('select current_user', 'sales');
    expect(stdout).toContain('IAMR:analytics');
    expect(status).toBe(0);
    const refused = await world.tsh('login', '--aws', `--assume-role=${role.arn}`, '--external-id=wrong');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('is not authorized to perform: sts:AssumeRole');
  });

  test('refuses a region that is none, and credentials that are not there', async () => {
    const { status, stderr } = await world.tsh('login', '--aws', '--region=us-east-1,Virginia');
    expect(status).toBe(1);
    expect(stderr).toContain('"Virginia" is not an AWS region');
    const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'];
    const kept = names.map((name) => process.env[name]);
    try {
      for (const name of names) delete process.env[name];
      const none = await world.tsh('login', '--aws', '--region=us-east-1');
      expect(none.status).toBe(1);
      expect(none.stderr).toContain('Looked at: environment variables (AWS_ACCESS_KEY_ID), shared files');
    } finally {
      names.forEach((name, i) => {
        process.env[name] = kept[i];
      });
    }
  });

  test('logout leaves nothing', async () => {
    await login();
    await exec('select 1', 'sales', '--db-user=analyst');
    await world.tsh('db', 'login', 'sales', '--db-user=analyst');
    const out = await world.tsh('logout');
    expect(out).toMatchObject({ status: 0, stdout: 'Logged out AWS profile default.\n' });
    expect(readdirSync(join(world.dir, '.tsh'))).toEqual([]);
    expect(existsSync(join(world.dir, '.pg_service.conf'))).toBe(false);
  });
});

test('a clock that is wrong is told, with the minutes, and stops nobody', async () => {
  world.aws.setClockSkewMs(20 * 60_000);
  try {
    await login();
    const { status, stdout, stderr } = await exec('select current_user', 'sales', '--db-user=analyst');
    expect(stdout).toContain('analyst');
    expect(status).toBe(0);
    expect(stderr).toContain(
      "WARNING: The clock of this machine is 20 minutes behind AWS's. Set it right, for example with:",
    );
  } finally {
    world.aws.setClockSkewMs(0);
  }
});

describe('db ls', () => {
  test('finds clusters and workgroups with tags, status and endpoint', async () => {
    await login();
    const { stdout, stderr } = await world.tsh('db', 'ls', '-v');
    expect(stderr).toBe('');
    expect(stdout).toMatch(/archive .*paused/);
    expect(stdout).toMatch(/reports .*redshift-serverless +reports\S+:\d+ .*team=finance/);
    expect(stdout).toMatch(/sales .* redshift +sales\S+:\d+ .*env=prod,.*team=sales/);
    const found = JSON.parse((await world.tsh('db', 'ls', 'team=sales', '-f', 'json')).stdout);
    expect(found.map((one: { metadata: { name: string } }) => one.metadata.name)).toEqual(['sales']);
    expect(found[0].metadata.labels).toMatchObject({ env: 'prod', 'teleport.dev/status': 'available' });
  });

  test('without a login the default chain is used', async () => {
    const { status, stdout } = await world.tsh('db', 'ls', '--aws', '--search=finance');
    expect(status).toBe(0);
    expect(stdout).toContain('reports');
    expect(stdout).not.toContain('sales');
  });

  test('a region that denies is named, the others still show', async () => {
    world.aws.failNext('redshift:DescribeClusters', { code: 'AccessDenied', message: 'not you' });
    const { status, stdout, stderr } = await world.tsh('db', 'ls', '--region=us-east-1,eu-west-1');
    expect(status).toBe(0);
    expect(stdout).toContain('reports');
    expect(stderr).toMatch(/^WARNING: Redshift in (us-east|eu-west)-1 was not looked at: AccessDenied: not you\n$/);
  });

  test('what AWS lists in part is said, and an endpoint that may be in the rest is not called unknown', async () => {
    const Action = 'redshift-serverless:ListEndpointAccess';
    world.aws.attachPolicy(world.person, { Statement: [{ Effect: 'Deny', Action, Resource: '*' }] }, 'half');
    const { status, stdout, stderr } = await world.tsh('db', 'ls', '--region=us-east-1');
    const endpoint = `vpc1-endpoint-xyz.${world.aws.accountId}.us-east-1.redshift-serverless.amazonaws.com:5439`;
    const pasted = await exec('select 1', endpoint, '--ca-file', world.caFile);
    world.aws.attachPolicy(world.person, { Statement: [] }, 'half');
    expect(status).toBe(0);
    expect(stdout).toContain('reports');
    expect(stderr).toMatch(
      /^WARNING: Redshift Serverless in us-east-1 is not listed in full: VPC endpoints: .*redshift-serverless:ListEndpointAccess/,
    );
    expect(pasted.status).toBe(1);
    expect(pasted.stderr).toMatch(/did not list all of Redshift Serverless in us-east-1: VPC endpoints: /);
    expect(pasted.stderr).not.toContain('has no such');
  });

  test('where everything is denied each question is named', async () => {
    const Action = ['redshift:DescribeClusters', 'redshift-serverless:ListWorkgroups'];
    world.aws.attachPolicy(world.person, { Statement: [{ Effect: 'Deny', Action, Resource: '*' }] }, 'blind');
    const { status, stdout, stderr } = await world.tsh('db', 'ls', '--region=us-east-1');
    world.aws.attachPolicy(world.person, { Statement: [] }, 'blind');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/Redshift in us-east-1: .*redshift:DescribeClusters/);
    expect(stderr).toMatch(/Redshift Serverless in us-east-1: .*redshift-serverless:ListWorkgroups/);
  });
});

describe('connections', () => {
  test('as oneself, as a plain user, as a role, and on Serverless', async () => {
    await login();
    const trust = {
      Statement: [{ Effect: 'Allow' as const, Principal: { AWS: world.person.arn }, Action: 'sts:AssumeRole' }],
    };
    const may = [{ Statement: [{ Effect: 'Allow' as const, Action: '*', Resource: '*' }] }];
    world.aws.addRole('dba', { trust, policies: may });
    await world.postgres.query('create role readers');
    const who = async (db: string, ...more: string[]) => {
      const { stdout, stderr } = await exec('select current_user as u', db, ...more);
      return stdout + stderr;
    };
    expect(await who('sales')).toContain('IAM:alice');
    expect(await who('sales', '--db-user=analyst')).toContain('analyst');
    expect(await who('sales', '--db-user=role/dba')).toContain('IAMR:dba');
    expect(await who('reports')).toContain('IAM:alice');
    expect(await who('reports', '--db-user=dba')).toContain('IAMR:dba');
    expect(await who('sales', '--db-user=newbie', '--auto-create', '--db-groups=readers')).toContain('newbie');
    const created = world.aws.calls.filter(({ action }) => action === 'redshift:GetClusterCredentials').at(-1);
    expect(created?.params).toMatchObject({ AutoCreate: 'true' });
  });

  test('one call to AWS however many connections and commands', async () => {
    await login();
    await exec('select 1', 'sales', '--db-user=analyst');
    await exec('select 2', 'sales', '--db-user=analyst');
    expect(passwords()).toHaveLength(1);
    const folder = join(world.dir, '.tsh', 'aws', 'default');
    for (const file of readdirSync(folder)) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600);
  });

  test('a password that died before its use: once more with a fresh one', async () => {
    await login();
    await exec('select 1', 'sales', '--db-user=analyst');
    world.aws.setClockSkewMs(3_600_000);
    const { status } = await exec('select 1', 'sales', '--db-user=analyst');
    world.aws.setClockSkewMs(0);
    expect(status).toBe(0);
    expect(passwords().filter(({ status }) => status === 200)).toHaveLength(2);
  });

  test('psql gets nothing secret', async () => {
    await login();
    const env = world.envOf({ vars: { PATH: `${world.dir}/bin:${process.env.PATH}` } });
    const { mkdirSync, writeFileSync } = await import('node:fs');
    mkdirSync(join(world.dir, 'bin'), { recursive: true });
    const script = `#!/bin/sh\n{ env; echo "ARGS $@"; exec psql-real -X -A -t -c 'select current_user' "$1"; } > ${world.dir}/seen 2>&1`;
    writeFileSync(join(world.dir, 'bin', 'psql'), script.replace('psql-real', '/usr/bin/psql'), { mode: 0o755 });
    if (!existsSync('/usr/bin/psql')) return;
    expect(await runTsh(['db', 'connect', 'sales', '--db-user=analyst'], env)).toBe(0);
    const seen = readFileSync(join(world.dir, 'seen'), 'utf8');
    expect(seen).toContain('\nanalyst\n');
    expect(seen).toMatch(/^ARGS postgres:\/\/analyst@\/dev\?host=\S+&port=6[1-5]\d{3}$/m);
    expect(seen).not.toContain('PGPASS');
  });

  test('B6 a signal cancels the statement that psql was running', async () => {
    if (!existsSync('/usr/bin/psql')) return;
    await login();
    const env = world.envOf({ vars: { PATH: process.env.PATH } });
    await using held = await holdTable(world.postgres);
    const args = ['sales', '--db-user=analyst', '--', '-X', '-o', '/dev/null', '-c', held.sql];
    const running = runTsh(['db', 'connect', ...args], env);
    await held.awaited();
    env.interrupt('SIGHUP');
    expect(await running).toBe(129);
    await until('it is cancelled', async () => (await held.waiting()) === 0 || undefined);
  });

  test('db login, env and config for other programs, db logout', async () => {
    await login();
    expect((await world.tsh('db', 'login', 'sales', '--db-user=analyst')).status).toBe(0);
    expect((await world.tsh('db', 'login', 'reports')).stdout).toContain('tsh db connect reports\n');
    const listed = (await world.tsh('db', 'ls')).stdout;
    expect(listed).toMatch(/> sales \(user: analyst, db: dev\)/);
    expect(listed).toMatch(/tsh db connect reports/);
    const env = JSON.parse((await world.tsh('db', 'env', 'sales', '-f', 'json')).stdout);
    expect(env).toMatchObject({ PGHOST: SALES_HOST, PGUSER: 'IAM:analyst', PGSSLMODE: 'verify-full' });
    const hosts = readFileSync(env.PGPASSFILE, 'utf8').match(/^.+(?=:\*:\*:IAM\\:analyst:.+$)/gm);
    expect(hosts).toEqual([SALES_HOST, 'localhost', '127.0.0.1', '\\:\\:1']);
    expect(statSync(env.PGPASSFILE).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(world.dir, '.pg_service.conf'), 'utf8')).toContain('[default-sales]');
    expect((await world.tsh('db', 'config', 'sales')).stdout).toContain('Passfile:');
    expect((await world.tsh('db', 'logout', 'sales')).stdout).toBe('Logged out of database sales\n');
    expect(existsSync(env.PGPASSFILE)).toBe(false);
  });
});

describe('W2 China and the sovereign cloud, as aws.md says', () => {
  const places = [
    ['cn-north-1', 'china', CHINA_HOST],
    ['eusc-de-east-1', 'souverain', SOVEREIGN_HOST],
  ] as const;
  test.each(places)('in %s: listed, entered by name, by endpoint and by URL', async (region, name, host) => {
    const listed = await world.tsh('db', 'ls', `--region=${region}`, '--format=json');
    expect(listed).toMatchObject({ status: 0, stderr: '' });
    const uri = `${host}:${world.redshift.ports[name]}`;
    expect(JSON.parse(listed.stdout)).toMatchObject([{ metadata: { name }, spec: { uri, aws: { region } } }]);
    for (const flags of [[name, `--region=${region}`], [uri], [`jdbc:redshift:iam://${uri}/dev`]] as [
      string,
      ...string[],
    ][]) {
      const { status, stdout, stderr } = await exec('select current_user', ...flags, '--ca-file', world.caFile);
      expect([status, stderr]).toEqual([0, '']);
      expect(stdout).toContain('IAM:alice');
    }
    expect(new Set(passwords().map((call) => call.region))).toEqual(new Set([region]));
  });

  test('a role of another partition is written with its ARN', async () => {
    const refused = await exec('select 1', `${CHINA_HOST}:5439`, '--db-user=arn:aws:iam::123456789012:role/dba');
    expect(refused.stderr + refused.stdout).toContain('expected AWS partition "aws-cn" but got "aws"');
  });
});

describe('a pasted endpoint, with no login at all', () => {
  test.each([
    ['the endpoint', () => `${SALES_HOST}:${world.redshift.ports.sales}`],
    ['a JDBC URL', () => `jdbc:redshift:iam://${SALES_HOST}:${world.redshift.ports.sales}/dev`],
    ['a JDBC URL of cluster and region', () => 'jdbc:redshift:iam://sales:us-east-1/dev'],
    ['a PostgreSQL URL', () => `postgresql://analyst@${SALES_HOST}:${world.redshift.ports.sales}/dev`],
  ])('%s', async (_, endpoint) => {
    const { status, stdout, stderr } = await exec('select current_user', endpoint(), '--ca-file', world.caFile);
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toMatch(/IAM:alice|analyst/);
    expect(existsSync(join(world.dir, '.tsh', 'aws'))).toBe(false);
  });

  test('B3 a VPC endpoint of a cluster: AWS says which cluster it is', async () => {
    const endpoint = `${VPC_HOST}:${world.redshift.ports.sales}`;
    const { status, stdout, stderr } = await exec('select current_user', endpoint, '--ca-file', world.caFile);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('IAM:alice');
    expect(passwords().at(-1)).toMatchObject({ params: { ClusterIdentifier: 'sales' } });
  });

  test('B3 a cluster that is called like an endpoint is still a cluster', async () => {
    const other = VPC_HOST.replace('office', 'nobodys');
    const { stderr } = await exec('select 1', `${other}:5439`, '--ca-file', world.caFile);
    expect(stderr).toContain('Redshift cluster "nobodys-endpoint-k7rfausgmlzieup51zgg" was not found');
  });

  test('a password in the URL is neither used nor shown', async () => {
    const url = `postgresql://analyst:geheim@${SALES_HOST}:${world.redshift.ports.sales}/dev`;
    const { status, stdout, stderr } = await exec('select 1', url, '--ca-file', world.caFile);
    expect(status).toBe(0);
    expect(stderr).toContain('WARNING: the password in the URL is not used');
    expect(stdout + stderr).not.toContain('geheim');
  });

  test('a server with the certificate of another name is refused', async () => {
    const tls = createTestCa('Other').issue('other.example.com');
    world.redshift.failNext({ kind: 'certificate', tls });
    const { stderr } = await exec('select 1', `${SALES_HOST}:${world.redshift.ports.sales}`, '--ca-file', world.caFile);
    expect(stderr).toContain("tsh cannot validate database's certificate");
  });
});

describe('bad input', () => {
  const cases: [string, string[], RegExp][] = [
    ['unknown database', ['nope'], /database "nope" not found/],
    [
      'paused',
      ['archive'],
      /Redshift cluster "archive" in us-east-1 is paused[\s\S]*aws redshift resume-cluster --cluster-identifier archive --region us-east-1/,
    ],
    ['bad port', [`${SALES_HOST}:99999`], /port "99999" is not a number from 1 to 65535/],
    [
      'not Redshift',
      ['db.abc.us-east-1.rds.amazonaws.com:5432'],
      /is AWS's, but not of a Redshift cluster or workgroup/,
    ],
    ['unknown scheme', ['mysql://a.example.com/x'], /scheme "mysql" is not one of/],
    [
      'unknown custom domain',
      ['redshift.example.com:5439'],
      /no cluster or workgroup in us-east-1 has this custom domain name/,
    ],
  ];
  test.each(cases)('%s', async (_, args, text) => {
    await login();
    const { status, stderr } = await world.tsh('db', 'login', ...args);
    expect(status).toBe(1);
    expect(stderr).toMatch(text);
  });

  test('a user that IAM denies gets the statement that is missing', async () => {
    await login();
    world.aws.attachPolicy(
      world.person,
      { Statement: [{ Effect: 'Deny', Action: 'redshift:GetClusterCredentials', Resource: '*' }] },
      'no',
    );
    const { status, stderr } = await world.tsh('db', 'login', 'sales', '--db-user=nobody');
    world.aws.attachPolicy(world.person, { Statement: [] }, 'no');
    expect(status).toBe(1);
    expect(stderr).toContain('Make sure that your IAM identity has permissions');
    expect(stderr).toContain('"Action": "redshift:GetClusterCredentials"');
  });

  test('an error in the middle of the login is the server’s own', async () => {
    await login();
    world.redshift.failNext({ kind: 'error', sqlState: '57P03', message: 'the database system is starting up' });
    const { stderr } = await exec('select 1', 'sales', '--db-user=analyst');
    expect(stderr).toContain('the database system is starting up');
  });
});
