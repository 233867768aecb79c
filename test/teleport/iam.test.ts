/**
 * Tests: src/aws/iam.ts, src/aws/sdk/iam.ts, src/teleport/db/configure/apply.ts
 * Tests: src/teleport/db/configure/create-iam.ts, src/teleport/db/configure/plan.ts
 * Tests: src/teleport/db/configure/print-iam.ts, src/teleport/flags.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { program } from '../../src/teleport/commands.js';
import { NOBODY, planPolicies, type Served } from '../../src/teleport/db/configure/plan.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { memoryEnv } from '../support/env.js';

async function teleport(argv: string[], input?: string) {
  const env = memoryEnv({ vars: process.env, ...(input === undefined ? {} : { input }) });
  const status = await runProgram(program, argv, env);
  return { status, out: env.out(), err: env.err() };
}

const allow = (Sid: string, Action: string | string[], Resource: string | string[] = '*') => ({
  Sid,
  Effect: 'Allow',
  Action,
  Resource,
});

// Documents of the reference page "Database Access AWS IAM".
const REDSHIFT = [
  allow('RedshiftConnectAsDBUser', 'redshift:GetClusterCredentials'),
  allow('RedshiftConnectAsIAMRole', 'sts:AssumeRole', ['arn:aws:iam::123456789012:role/redshift-user-role']),
  allow('RedshiftFetchMetadata', 'redshift:DescribeClusters'),
];
const SERVERLESS = [
  allow('RedshiftServerlessConnectAsIAMRole', 'sts:AssumeRole', [
    'arn:aws:iam::123456789012:role/redshift-serverless-user-role',
  ]),
  allow('RedshiftServerlessFetchMetadata', [
    'redshift-serverless:GetEndpointAccess',
    'redshift-serverless:GetWorkgroup',
  ]),
];
const RDS = [
  allow('RDSAutoEnableIAMAuth', ['rds:ModifyDBCluster', 'rds:ModifyDBInstance']),
  allow('RDSConnect', 'rds-db:connect'),
  allow('RDSFetchMetadata', ['rds:DescribeDBClusters', 'rds:DescribeDBInstances']),
];

test.each([
  ['redshift', REDSHIFT, ['--assumes-roles=arn:aws:iam::123456789012:role/redshift-user-role']],
  ['redshift-serverless', SERVERLESS, ['--assumes-roles=arn:aws:iam::123456789012:role/redshift-serverless-user-role']],
  ['rds', RDS, []],
])('print-iam for %s is the document of the reference page', async (type, statements, more) => {
  const { out, status } = await teleport(['db', 'configure', 'aws', 'print-iam', '--types', type, '--policy', ...more]);
  const { Version, Statement } = JSON.parse(out);
  expect(Version).toBe('2012-10-17');
  // What discovery needs beyond that page follows without Sid.
  expect(Statement.filter((one: { Sid?: string }) => one.Sid)).toEqual(statements);
  expect(status).toBe(0);
});

const R1 = 'arn:aws:iam::123456789012:role/r1';
const R2 = 'arn:aws:iam::123456789012:role/r2';
const DATABASE_ROLE = 'arn:aws:iam::123456789012:role/db';

const two: Served = {
  databases: [{ type: 'rds', roleArn: DATABASE_ROLE }],
  matchers: [
    { types: ['redshift'], roleArn: '' },
    { types: ['redshift-serverless'], roleArn: R1 },
  ],
  resources: [{ roleArn: R2 }],
};

const seen = ({ passes, skipped }: ReturnType<typeof planPolicies>) => ({
  passes: passes.map(({ accountId, target, statements }) => [
    accountId,
    target.name,
    statements.flatMap(({ sid, actions, resources }) => (resources.includes('*') ? (sid ?? actions[0]) : resources)),
  ]),
  skipped,
});

test('matchers with and without role make a pass each; the base identity may assume every role', () => {
  expect(seen(planPolicies(two, { identity: NOBODY, manual: true }))).toEqual({
    passes: [
      ['*', 'username', ['RedshiftConnectAsDBUser', DATABASE_ROLE, R1, R2, 'RedshiftFetchMetadata']],
      ['123456789012', 'r1', ['RedshiftServerlessFetchMetadata', 'redshift-serverless:ListWorkgroups']],
    ],
    skipped: [],
  });
});

test('where every matcher has a role nothing is made for the base identity', () => {
  const served: Served = { ...two, matchers: two.matchers.slice(1) };
  const { passes } = planPolicies(served, { identity: NOBODY, manual: true });
  expect(passes.map(({ target }) => target.name)).toEqual(['r1']);
});

test('a target that is a configured role gets what that role serves, and nothing to assume', () => {
  const manual = planPolicies(two, { identity: NOBODY, target: { kind: 'role', name: R1 }, manual: true });
  expect(seen(manual).passes).toEqual([
    ['123456789012', 'r1', ['RedshiftServerlessFetchMetadata', 'redshift-serverless:ListWorkgroups']],
  ]);
  expect(manual.skipped).toEqual([
    `⚠️ Skipping matchers with identity "username": policy target "${R1}" is unreachable from assumed role "arn:*:iam::*:user/username"`,
  ]);
  const identity = { ...NOBODY, name: 'ops', arn: 'arn:aws:iam::123456789012:user/ops', accountId: '123456789012' };
  const known = planPolicies(two, { identity, target: { kind: 'role', name: 'db' }, manual: false });
  expect(seen(known)).toEqual({
    passes: [['123456789012', 'db', ['RDSAutoEnableIAMAuth', 'RDSConnect', 'RDSFetchMetadata']]],
    skipped: [],
  });
  const base = planPolicies(two, { identity, target: { kind: 'role', name: 'agent' }, manual: false });
  expect(base.passes.map(({ target }) => target.name)).toEqual(['agent']);
  expect(base.passes[0]?.as).toBeUndefined();
});

test('a short role name is not enough in manual mode once roles are configured', () => {
  expect(() => planPolicies(two, { identity: NOBODY, target: { kind: 'role', name: 'base' }, manual: true })).toThrow(
    'unable to determine required permissions for policy attachment target "base" in manual mode, please specify the full role ARN',
  );
  const plain: Served = { databases: [], matchers: [{ types: ['redshift'], roleArn: '' }], resources: [] };
  const { passes } = planPolicies(plain, { identity: NOBODY, target: { kind: 'role', name: 'base' }, manual: true });
  expect(passes.map(({ target }) => target)).toEqual([{ kind: 'role', name: 'base' }]);
});

describe('against IAM', () => {
  const before = { ...process.env };
  let aws: AwsDouble;
  let dir: string;
  beforeEach(async () => {
    aws = await startAwsDouble();
    dir = mkdtempSync(join(tmpdir(), 'teleport-iam-'));
    const everything = { Statement: { Effect: 'Allow' as const, Action: 'iam:*', Resource: '*' } };
    const ops = aws.addUser('ops', { policies: [everything] });
    aws.addRole('teleport-db');
    process.env = { ...before, ...aws.env(ops) };
    writeFileSync(
      join(dir, 't.yaml'),
      `db_service:
  enabled: yes
  databases:
  - name: sales
    protocol: postgres
    uri: c1.abc.us-east-1.redshift.amazonaws.com:5439
`,
    );
  });
  afterEach(async () => {
    process.env = { ...before };
    rmSync(dir, { recursive: true });
    await aws.stop();
  });
  const bootstrap = (...more: string[]) => [
    ...['db', 'configure', 'bootstrap', '-c', join(dir, 't.yaml'), '--attach-to-role', 'teleport-db', ...more],
  ];

  test('bootstrap asks, then makes the policy and attaches it; later runs give it a new version', async () => {
    const refused = await teleport(bootstrap(), 'n\n');
    expect(refused.err).toContain('Confirm? [y/N]: ');
    expect(refused.out).not.toContain('done.');
    const first = await teleport(bootstrap(), 'y\n');
    expect(first.out.split('\n').slice(0, 3)).toEqual([
      `Reading configuration at "${join(dir, 't.yaml')}"...`,
      '',
      'Configure AWS for Database Service for accounts: [123456789012]',
    ]);
    expect(first.out).toContain('✅[AWS] [123456789012] Create IAM Policy "DatabaseAccess"... done.\n');
    expect(first.out).toContain('✅[AWS] [123456789012] Attach IAM policies to "teleport-db"... done.\n');
    for (let i = 0; i < 6; i++) expect((await teleport(bootstrap('--confirm'))).status).toBe(0);
  });

  test('a target that does not exist ends with what AWS said', async () => {
    const argv = ['db', 'configure', 'aws', 'create-iam', '--types=redshift', '--role=nobody', '--confirm'];
    const { out, err, status } = await teleport(argv);
    expect(out).toContain(
      '❌[AWS] [123456789012] Attach IAM policies to "nobody"... failed.\nFailure reason: NoSuchEntity',
    );
    expect(err).toContain('bootstrap failed to execute, check logs above to see the cause');
    expect(status).toBe(1);
  });
});
