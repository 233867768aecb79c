/**
 * Tests: src/aws/iam.ts, src/aws/sdk/iam.ts, src/teleport/db/configure/apply.ts, src/teleport/db/configure/bootstrap.ts
 * Tests: src/teleport/db/configure/create-iam.ts, src/teleport/db/configure/iam-args.ts
 * Tests: src/teleport/db/configure/iam-documents.ts, src/teleport/db/configure/plan.ts
 * Tests: src/teleport/db/configure/print-iam.ts, src/teleport/db/configure/target.ts, src/teleport/flags.ts
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from '../../src/cli/program.js';
import { program } from '../../src/teleport/commands.js';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';
import { memoryEnv } from '../support/env.js';

async function teleport(argv: string[], input = '') {
  const env = memoryEnv({ vars: process.env, input });
  const status = await runProgram(program, ['db', 'configure', ...argv], env);
  return { status, out: env.out(), err: env.err() };
}

const ACCOUNT = '123456789012';
const FAR_ACCOUNT = '210987654321';
const roleArn = (name: string, account = ACCOUNT) => `arn:aws:iam::${account}:role/${name}`;
const everyCall: PolicyDocument = { Statement: { Effect: 'Allow', Action: 'iam:*', Resource: '*' } };

const before = { ...process.env };
let aws: AwsDouble;
let dir: string;
beforeEach(async () => {
  aws = await startAwsDouble({ pageSize: 2 });
  dir = mkdtempSync(join(tmpdir(), 'teleport-iam-'));
  be('ops');
});
afterEach(async () => {
  process.env = { ...before };
  rmSync(dir, { recursive: true });
  await aws.stop();
});

/** Call as a new user of this name. */
function be(name: string, policy = everyCall): void {
  process.env = { ...before, ...aws.env(aws.addUser(name, { policies: [policy] })) };
}

const WRITING = /^iam:(Create|Attach|Put|Delete|Detach)/;
const written = () => aws.calls.filter(({ action }) => WRITING.test(action));

/** Sid or first action, and the resources that are not `*`, of each statement. */
function seen(text: string): unknown[] {
  const { Statement } = JSON.parse(text) as {
    Statement: { Sid?: string; Action: string; Resource: string | string[] }[];
  };
  return Statement.map(({ Sid, Action, Resource }) => {
    const what = Sid ?? [Action].flat()[0];
    return Resource === '*' || String(Resource) === '*' ? what : [what, ...[Resource].flat()];
  });
}
/** The documents in what was printed. */
const documents = (out: string) => out.match(/^\{\n[\s\S]*?^\}$/gm) ?? [];

/** A database of the service itself and one with a role; a matcher of the service itself and one with a role; `resources`. */
const CONFIG = `db_service:
  enabled: yes
  databases:
  - {name: sales, protocol: postgres, uri: "c1.abc.us-east-1.redshift.amazonaws.com:5439"}
  - name: reports
    protocol: postgres
    uri: wg.${ACCOUNT}.us-east-1.redshift-serverless.amazonaws.com:5439
    aws: {assume_role_arn: "${roleArn('team/static')}"}
  aws:
  - {types: [rds], regions: [us-east-1]}
  - {types: [opensearch], regions: [us-east-1], assume_role_arn: "${roleArn('matcher')}"}
  resources:
  - {labels: {env: far}, aws: {assume_role_arn: "${roleArn('dynamic', FAR_ACCOUNT)}"}}
`;
const OWN = [
  ...['RDSAutoEnableIAMAuth', 'RDSConnect', 'RDSFetchMetadata', 'RedshiftConnectAsDBUser'],
  ['RedshiftConnectAsIAMRole', roleArn('matcher'), roleArn('team/static'), roleArn('dynamic', FAR_ACCOUNT)],
  'RedshiftFetchMetadata',
];
const STATIC = ['RedshiftServerlessFetchMetadata', 'redshift-serverless:ListWorkgroups'];
const MATCHER = ['OpenSearchCheckDomainURL', 'es:ListDomainNames'];

/** Target → its name, its ARN, and what it gets. */
const TARGETS = {
  own: { name: 'agent', arn: roleArn('db/agent'), gets: OWN },
  static: { name: 'static', arn: roleArn('team/static'), gets: STATIC },
  matcher: { name: 'matcher', arn: roleArn('matcher'), gets: MATCHER },
  none: { name: '', arn: '', gets: OWN },
};
const COMBINATIONS = (['own', 'static', 'matcher', 'none'] as const).flatMap((target) =>
  (['name', 'arn'] as const).flatMap((form) => [
    { target, form, manual: false },
    { target, form, manual: true },
  ]),
);

function bootstrap(...more: string[]): string[] {
  writeFileSync(join(dir, 't.yaml'), CONFIG);
  return ['bootstrap', '-c', join(dir, 't.yaml'), ...more];
}
function addRoles(): void {
  aws.addRole('agent', { path: '/db/' });
  aws.addRole('static', { path: '/team/' });
  aws.addRole('matcher');
}

describe('bootstrap, who gets what (seed 001)', () => {
  test.each(COMBINATIONS)('target $target by $form, manual: $manual', async ({ target, form, manual }) => {
    addRoles();
    const { gets, name, ...forms } = TARGETS[target];
    const attach = target === 'none' ? [] : ['--attach-to-role', form === 'name' ? name : forms.arn];
    const first = await teleport(bootstrap(...attach, manual ? '--manual' : '--confirm'));
    expect([first.status, first.err]).toEqual([0, '']);
    expect(documents(first.out).map(seen)).toEqual([gets]);
    if (manual) {
      expect(aws.calls).toEqual([]);
      // The account of a name is known when the configuration has it.
      const isKnown = target !== 'none' && (form === 'arn' || target !== 'own');
      expect(first.out).toContain(`2. [${isKnown ? ACCOUNT : '*'}] Attach IAM policies to "${name || 'username'}".\n`);
      return;
    }
    const [created, attached, ...rest] = written();
    expect(seen(String(created?.params.PolicyDocument))).toEqual(gets);
    expect(rest).toEqual([]);
    const arn = `arn:aws:iam::${ACCOUNT}:policy/DatabaseAccess`;
    expect(attached?.params).toMatchObject({
      PolicyArn: arn,
      ...(target === 'none' ? { UserName: 'ops' } : { RoleName: name }),
    });
    const second = await teleport(bootstrap(...attach));
    expect(second.status).toBe(0);
    expect(second.out).toContain(`1. [${ACCOUNT}] IAM Policy "DatabaseAccess" is up to date.\n`);
    expect(second.out).toContain(`\nNothing to change: "${name || 'ops'}" has these permissions.\n`);
    expect(written()).toHaveLength(2);
  });

  test.each(['own', 'static', 'matcher'] as const)(
    'without a target, with credentials of the role that is %s',
    async (target) => {
      addRoles();
      const { name, gets } = TARGETS[target];
      const path = { own: '/db/', static: '/team/', matcher: '/' }[target];
      process.env = { ...before, ...aws.env(aws.addRole(name, { path, policies: [everyCall] })) };
      const { status, out } = await teleport(bootstrap('--confirm'));
      expect([status, documents(out).map(seen)]).toEqual([0, [gets]]);
      expect(written().at(-1)?.params).toMatchObject({ RoleName: name });
    },
  );

  test('it says for which roles to run it too, and which role a name was taken for', async () => {
    const own = await teleport(bootstrap('--manual', '--attach-to-role=agent'));
    for (const arn of [roleArn('team/static'), roleArn('matcher'), roleArn('dynamic', FAR_ACCOUNT)]) {
      expect(own.out).toContain(`NOTE: The configuration assumes ${arn}: run this once for it too.\n`);
    }
    const named = await teleport(bootstrap('--manual', '--attach-to-role=static'));
    expect(named.out).toContain(`NOTE: "static" is the role ${roleArn('team/static')} of the configuration.\n`);
    expect(named.out).toContain(
      'NOTE: No role that people enter as is known, which leaves out RedshiftServerlessConnectAsIAMRole. Name such roles with --assumes-roles.\n',
    );
  });

  test('a Discovery Service may look and not enter; a role of its matchers is for both', async () => {
    const file = join(dir, 'discovery.yaml');
    const matchers = [
      '{types: [redshift, redshift-serverless], regions: [us-east-1]}',
      `{types: [redshift], regions: [eu-west-1], assume_role_arn: "${roleArn('finder')}"}`,
    ];
    writeFileSync(file, `discovery_service: {enabled: yes, aws: [${matchers}]}\n`);
    const own = await teleport(['bootstrap', '-c', file, '--manual', '--attach-to-role', roleArn('agent')]);
    expect(seen(documents(own.out)[0]!)).toEqual([
      ['sts:AssumeRole', roleArn('finder')],
      'RedshiftFetchMetadata',
      'redshift-serverless:ListWorkgroups',
    ]);
    const role = await teleport(['bootstrap', '-c', file, '--manual', '--attach-to-role', roleArn('finder')]);
    expect(seen(documents(role.out)[0]!)).toEqual(['RedshiftConnectAsDBUser', 'RedshiftFetchMetadata']);
  });

  test('what stands for something that only AWS knows is called a placeholder', async () => {
    const { out } = await teleport(bootstrap('--manual', '--assumes-roles=analyst'));
    expect(documents(out)[0]).toContain('arn:aws:iam::aws-account-id:role/analyst');
    expect(out).toContain('NOTE: "aws-account-id" is a placeholder: ');
    expect(out).toContain('NOTE: "username" is a placeholder: ');
    const known = await teleport(
      bootstrap('--manual', '--assumes-roles=analyst', '--attach-to-role', roleArn('agent')),
    );
    expect(known.out).not.toContain('placeholder');
  });

  test('the roles that people enter as are assumed by whoever enters for them', async () => {
    const { out } = await teleport(
      bootstrap('--manual', '--attach-to-role', roleArn('team/static'), '--assumes-roles=analyst'),
    );
    expect(seen(documents(out)[0]!)).toEqual([['RedshiftServerlessConnectAsIAMRole', roleArn('analyst')], ...STATIC]);
  });

  test('a role of resources gets nothing from the file, and that is said', async () => {
    const { out, status } = await teleport(bootstrap('--manual', '--attach-to-role', roleArn('dynamic', FAR_ACCOUNT)));
    expect(status).toBe(0);
    expect(out).toContain("The agent doesn't require any extra configuration.\n");
    expect(out).toContain('NOTE: The databases of "resources" are not in the file');
  });

  test('a name that two configured roles have is refused; in AWS the account tells them apart', async () => {
    addRoles();
    const config = CONFIG.replace(roleArn('matcher'), roleArn('static', FAR_ACCOUNT));
    const argv = bootstrap('--attach-to-role=static');
    writeFileSync(join(dir, 't.yaml'), config);
    const { status, err } = await teleport([...argv, '--manual']);
    expect(status).toBe(1);
    expect(err).toContain(
      `"static" could be any of ${roleArn('static', FAR_ACCOUNT)}, ${roleArn('team/static')}, please specify the full role ARN`,
    );
    const { out } = await teleport([...argv, '--confirm']);
    expect(documents(out).map(seen)).toEqual([STATIC]);
  });

  test('a user gets what the service itself needs', async () => {
    aws.addUser('bob', { path: '/people/' });
    const { out } = await teleport(bootstrap('--confirm', '--attach-to-user=people/bob'));
    expect(documents(out).map(seen)).toEqual([OWN]);
    expect(written().at(-1)?.params).toMatchObject({ UserName: 'bob' });
  });
});

describe('before and after', () => {
  const create = (...more: string[]) => ['aws', 'create-iam', '--types=redshift', '--role=agent', ...more];

  test('bootstrap shows, asks, and does nothing without a yes', async () => {
    addRoles();
    const refused = await teleport(bootstrap('--attach-to-role=agent'), 'n\n');
    expect(refused.out.split('\n').slice(0, 4)).toEqual([
      `Reading configuration at "${join(dir, 't.yaml')}"...`,
      '',
      `Configure AWS for Database Service for accounts: [${ACCOUNT}]`,
      `1. [${ACCOUNT}] Create IAM Policy "DatabaseAccess":`,
    ]);
    expect(refused.err).toContain('Confirm? [y/N]: ');
    expect(refused.out).not.toContain('done.');
    expect(written()).toEqual([]);
    const taken = await teleport(bootstrap('--attach-to-role=agent'), 'y\n');
    expect(taken.out).toContain(`✅[AWS] [${ACCOUNT}] Create IAM Policy "DatabaseAccess"... done.\n`);
    expect(taken.out).toContain(`✅[AWS] [${ACCOUNT}] Attach IAM policies to "agent"... done.\n`);
  });

  test('only what changed is written: a new version, and the oldest of five goes', async () => {
    addRoles();
    const roles = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const role of roles) {
      const { out, status } = await teleport(create('--confirm', `--assumes-roles=${role}`));
      expect(status).toBe(0);
      if (role !== 'a') {
        expect(out).toContain(`1. [${ACCOUNT}] Update IAM Policy "DatabaseAccess":\n`);
        expect(out).toContain(`2. [${ACCOUNT}] IAM policies are attached to "agent".\n`);
      }
    }
    expect([aws.count('iam:CreatePolicyVersion'), aws.count('iam:DeletePolicyVersion')]).toEqual([5, 1]);
    expect(aws.count('iam:AttachRolePolicy')).toBe(1);
    const steps = written().length;
    const { out } = await teleport(create('--assumes-roles=f'));
    expect(out).toContain('Nothing to change: "agent" has these permissions.');
    expect(written()).toHaveLength(steps);
  });

  test('a policy over the limit of size is divided, and parts that are not needed any more are named', async () => {
    addRoles();
    const roles = Array.from({ length: 250 }, (_, i) => `a-rather-long-name-of-a-role-${i}`);
    const { out, status } = await teleport(create('--confirm', `--assumes-roles=${roles.join()}`));
    expect(status).toBe(0);
    const names = ['DatabaseAccess', 'DatabaseAccess-2', 'DatabaseAccess-3', 'DatabaseAccess-4'];
    const made = written().filter(({ action }) => action === 'iam:CreatePolicy');
    expect(made.map(({ params }) => params.PolicyName)).toEqual(names);
    for (const name of names) expect(out).toContain(`Create IAM Policy "${name}"... done.`);
    const assumed = made.flatMap(({ params }) => JSON.parse(String(params.PolicyDocument)).Statement);
    const resources = assumed.flatMap((one) => (one.Action === 'sts:AssumeRole' ? one.Resource : []));
    expect(new Set(resources)).toEqual(new Set(roles.map((role) => roleArn(role))));
    expect(aws.count('iam:AttachRolePolicy')).toBe(4);
    expect((await teleport(create(`--assumes-roles=${roles.join()}`))).out).toContain('Nothing to change');
    const fewer = await teleport(create('--confirm', '--assumes-roles=one'));
    expect(
      fewer.out.match(/^NOTE: .*\/DatabaseAccess-\d is attached too and not needed any more: detach it\.$/gm),
    ).toHaveLength(3);
  });

  test('a policy of somebody else is left alone, and nothing is changed', async () => {
    addRoles();
    const { CreatePolicyCommand, IAMClient } = await import('@aws-sdk/client-iam');
    const theirs = { PolicyName: 'DatabaseAccess', PolicyDocument: JSON.stringify(everyCall) };
    await new IAMClient().send(new CreatePolicyCommand(theirs));
    const { err, status } = await teleport(create('--confirm'));
    expect([status, written().length]).toEqual([1, 1]);
    expect(err).toContain('policy "DatabaseAccess" doesn\'t have the tag teleport=""');
  });
});

describe('what cannot be', () => {
  const create = (...more: string[]) => ['aws', 'create-iam', '--types=redshift', '--confirm', ...more];
  const except = (...Action: string[]): PolicyDocument => ({
    Statement: [everyCall.Statement as never, { Effect: 'Deny', Action, Resource: '*' }],
  });

  test.each([[[]], [['iam:GetRole']]])(
    'a role that does not exist, found before anything is made (denied: %s)',
    async (denied) => {
      be('careful', except('iam:None', ...denied));
      const { err, status } = await teleport(create('--role=nobody'));
      expect(err).toContain(`IAM role "nobody" does not exist in account ${ACCOUNT}`);
      expect([status, written()]).toEqual([1, []]);
      const user = await teleport(create('--user=nobody'));
      expect(user.err).toContain(`IAM user "nobody" does not exist in account ${ACCOUNT}`);
    },
  );

  test.each([
    [roleArn('agent', FAR_ACCOUNT), `is in account ${FAR_ACCOUNT}, the credentials belong to account ${ACCOUNT}`],
    [`arn:aws-cn:iam::${ACCOUNT}:role/agent`, 'is in the partition aws-cn, the Database Service in aws'],
    [roleArn('agent'), `IAM role ${roleArn('agent')} does not exist; agent is ${roleArn('db/agent')}`],
    [`arn:aws:iam::${ACCOUNT}:user/agent`, 'is not the ARN of an IAM role'],
  ])('the role %s', async (arn, why) => {
    addRoles();
    const { err, status } = await teleport(create('--role', arn));
    expect(err).toContain(why);
    expect([status, written()]).toEqual([1, []]);
  });

  test.each([
    ['iam:CreatePolicy', `arn:aws:iam::${ACCOUNT}:policy/DatabaseAccess`],
    ['iam:AttachRolePolicy', roleArn('db/agent')],
    ['iam:ListPolicyVersions', `arn:aws:iam::${ACCOUNT}:policy/DatabaseAccess`],
  ])('a denied call is named, %s, with the statement that allows it', async (action, resource) => {
    addRoles();
    if (action === 'iam:ListPolicyVersions') await teleport(create('--role=agent', '--assumes-roles=a'));
    be('careful', except(action));
    const { out, err, status } = await teleport(create('--role=agent'));
    expect([status, err]).toEqual([1, expect.stringContaining('bootstrap failed to execute, check logs above')]);
    expect(out).toContain(`Failure reason: The credentials may not call ${action}:\n`);
    const statement = documents(out).at(-1)!;
    expect(JSON.parse(statement).Statement).toEqual([{ Effect: 'Allow', Action: action, Resource: resource }]);
  });

  test('who may only make and attach policies can do so', async () => {
    addRoles();
    be('careful', except('iam:Get*', 'iam:List*'));
    expect((await teleport(create('--role=agent'))).status).toBe(0);
    expect((await teleport(create('--role', roleArn('team/static'), '--name=Other'))).status).toBe(0);
    expect(written().map(({ action }) => action.slice(4))).toEqual([
      'CreatePolicy',
      'AttachRolePolicy',
      'CreatePolicy',
      'AttachRolePolicy',
    ]);
  });

  test('the policy of the documentation is enough for every run', async () => {
    addRoles();
    const page = readFileSync('docs/databases.md', 'utf8');
    const [, policy] = /All of them:\n\n```json\n(.*?)```/s.exec(page) ?? [];
    be('careful', JSON.parse(policy!) as PolicyDocument);
    for (const role of ['a', 'b', 'c', 'd', 'e', 'f']) {
      expect((await teleport(create('--role=agent', `--assumes-roles=${role}`))).status).toBe(0);
    }
    expect(aws.count('iam:DeletePolicyVersion')).toBe(1);
    expect((await teleport(create('--user=careful'))).status).toBe(0);
    expect((await teleport(create('--user=careful'))).out).toContain('Nothing to change');
  });

  test('expired credentials are not taken for a denial', async () => {
    addRoles();
    aws.failNext('iam:GetRole', { code: 'ExpiredToken' });
    const { err, status } = await teleport(create('--role=agent'));
    expect([status, written()]).toEqual([1, []]);
    expect(err).toContain('ExpiredToken');
  });

  test('a region of the environment that cannot be one', async () => {
    process.env.AWS_REGION = 'nowhere';
    expect((await teleport(create('--role=agent'))).err).toContain('"nowhere" is not an AWS region');
  });

  const print = (...more: string[]) => ['aws', 'print-iam', ...more];
  test.each([
    [print('--role=r'), 'at least one of --assumes-roles or --types should be provided. Valid --types: rds,rdsproxy,'],
    [print('--types=redshit'), '--types "redshit" not supported. supported types are: rds, '],
    [print('--types=redshift', '--role=r', '--user=u'), 'only one of --role or --user should be provided'],
    [print('--types=redshift', '--region=nowhere'), '"nowhere" is not an AWS region'],
    [
      print('--types=memorydb', `--role=arn:aws-cn:iam::${ACCOUNT}:role/r`, '--region=us-east-1'),
      'region us-east-1 is in the partition aws, the Database Service in aws-cn',
    ],
    [
      print('--types=redshift', '--role', roleArn('r'), `--assumes-roles=arn:aws-cn:iam::${ACCOUNT}:role/r`),
      `IAM role arn:aws-cn:iam::${ACCOUNT}:role/r is in the partition aws-cn, the Database Service in aws`,
    ],
    [print('--types=redshift', '--kms-key=k'), '--kms-key is for the secrets of elasticache and memorydb'],
    [print('--types=memorydb', '--kms-key=k'), '"k" is not the id or ARN of a KMS key'],
    [print('--types=redshift', '--policy-name=a b'), '"a b" cannot be the name of an IAM policy'],
    [print('--types=redshift', '--trust', '--boundary'), '--trust and --boundary are about different documents'],
    [print('--trust', '--region=nowhere'), '"nowhere" is not an AWS region'],
    [print('--types=rds', '--trust'), '--trust is for types that people enter as an IAM role; rds is not one of them'],
    [print('--types=rds', '--user-role'), '--user-role is for --types redshift, redshift-serverless'],
    [print('--types=keyspaces', '--user-role'), 'What a role may do in keyspaces is yours to choose'],
    [
      ['aws', 'create-iam', '--types=memorydb', '--role=r', '--kms-key=your-kms-id'],
      '"your-kms-id" is not the id or ARN',
    ],
  ])('%j is refused', async (argv, why) => {
    addRoles();
    aws.addRole('r');
    const { err, status } = await teleport(argv);
    expect(err).toContain(why);
    expect([status, written()]).toEqual([1, []]);
  });
});

test('the policy of the role that people enter as has a name of its own, and goes to that role', async () => {
  const words = ['aws', 'print-iam', '--types=redshift', '--user-role', '--assumes-roles', roleArn('team/analyst')];
  const { out } = await teleport(words);
  expect(out).toContain('1. [*] Create IAM Policy "DatabaseUserAccess":\n');
  expect(out).toContain('2. [*] Attach IAM policies to "analyst".\n');
  expect((await teleport([...words, '--policy-name=P'])).out).toContain('Create IAM Policy "P"');
});

test('a boundary says that it gives no permission', async () => {
  const { out } = await teleport(['aws', 'print-iam', '--boundary', '--role=agent']);
  expect(out).toContain('1. [*] Permissions boundary of "agent", if it has one:\n');
  expect(out).toContain('\nA boundary gives no permission, it limits them: ');
});

test('what is printed for China is of China', async () => {
  const role = `arn:aws-cn:iam::${ACCOUNT}:role/agent`;
  const { out } = await teleport([
    'aws',
    'print-iam',
    '--types=memorydb,redshift',
    '--role',
    role,
    '--policy',
    '--region=cn-north-1',
  ]);
  const arns = out.match(/arn:[^"]+/g) ?? [];
  expect(arns).toContain(`arn:aws-cn:memorydb:cn-north-1:${ACCOUNT}:user:*`);
  expect(arns.filter((arn) => !arn.startsWith('arn:aws-cn:'))).toEqual([]);
  expect(aws.calls).toEqual([]);
});
