/** Statement by statement it is compared in `test/seeds/seed-003.test.ts`. */
import {
  agentStatements,
  boundaryStatements,
  exampleRole,
  type IamPlace,
  leftOut,
  ROLE_TYPES,
  roleResources,
  trusts,
  userRoleStatements,
} from '../../src/aws/iam-policy.js';
import { IAM_TYPES } from '../../src/aws/iam-types.js';

const place: IamPlace = {
  partition: 'aws-cn',
  accountId: '123456789012',
  region: 'cn-north-1',
  replicationGroup: '*',
  workgroupId: 'w1',
};
const sidsOf = (statements: readonly { sid?: string }[]) => statements.map(({ sid }) => sid);

test('every ARN is of the place', () => {
  const all = agentStatements({ types: IAM_TYPES, place, assumesRoles: ['team/b', 'role/a'], hasExamples: true });
  const arns = all.flatMap(({ resources }) => resources).filter((one) => one !== '*');
  expect(new Set(arns)).toEqual(
    new Set([
      'arn:aws-cn:iam::123456789012:role/a',
      'arn:aws-cn:iam::123456789012:role/team/b',
      'arn:aws-cn:elasticache:cn-north-1:123456789012:replicationgroup:*',
      'arn:aws-cn:elasticache:cn-north-1:123456789012:user:*',
      'arn:aws-cn:memorydb:cn-north-1:123456789012:replicationgroup:*',
      'arn:aws-cn:memorydb:cn-north-1:123456789012:user:*',
      'arn:aws-cn:secretsmanager:*:123456789012:secret:teleport/*',
    ]),
  );
  expect(userRoleStatements(['redshift-serverless'], place)[0]?.resources).toEqual([
    'arn:aws-cn:redshift-serverless:cn-north-1:123456789012:workgroup/w1',
  ]);
});

test('no Sid stands twice, with all types and all that can be asked for', () => {
  const kmsKey = 'arn:aws-cn:kms:*:123456789012:key/k';
  const all = agentStatements({ types: IAM_TYPES, place, hasExamples: true, discovers: true, kmsKey });
  const sids = sidsOf(all).filter((sid) => sid !== undefined);
  expect(new Set(sids).size).toBe(sids.length);
  expect(all.at(-1)).toEqual({
    effect: 'Allow',
    actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
    resources: [kmsKey],
    keepsList: true,
  });
});

test('without a role to assume its statements stand with an example, or not at all', () => {
  for (const type of IAM_TYPES) {
    const shown = agentStatements({ types: [type], place, hasExamples: true });
    const made = agentStatements({ types: [type], place });
    const missing = sidsOf(shown).filter((sid) => !sidsOf(made).includes(sid));
    expect(missing).toEqual(leftOut([type]));
    expect(missing.length > 0).toBe(ROLE_TYPES.includes(type));
    const roles = shown.filter(({ actions }) => actions.includes('sts:AssumeRole')).flatMap((one) => one.resources);
    expect(roles).toEqual(missing.map(() => `arn:aws-cn:iam::123456789012:role/${exampleRole(type)}`));
  }
});

test('roles alone, or with a type that has no place for them, get their statement too', () => {
  const role = 'arn:aws-cn:iam::210987654321:role/r';
  const own = { effect: 'Allow', actions: ['sts:AssumeRole'], resources: [role] };
  expect(agentStatements({ types: [], place, assumesRoles: [role] })).toEqual([own]);
  expect(agentStatements({ types: ['rds'], place, assumesRoles: [role] }).at(-1)).toEqual(own);
  expect(boundaryStatements()).toEqual([{ ...own, resources: ['*'] }]);
});

test('looking for databases needs more, where a type has it', () => {
  const more = agentStatements({ types: ['redshift', 'redshift-serverless'], place, discovers: true });
  expect(more.at(-1)?.actions[0]).toBe('redshift-serverless:ListWorkgroups');
  expect(more).toHaveLength(agentStatements({ types: ['redshift', 'redshift-serverless'], place }).length + 1);
});

test('roles are sorted, each once, and an ARN stays', () => {
  const far = 'arn:aws-cn:iam::210987654321:role/far';
  expect(roleResources(['b', far, 'a', 'b'], place)).toEqual([
    'arn:aws-cn:iam::123456789012:role/a',
    'arn:aws-cn:iam::123456789012:role/b',
    far,
  ]);
});

test('who may become the role that people enter as', () => {
  const principal = 'arn:aws-cn:iam::123456789012:role/agent';
  const actions = ['sts:AssumeRole'];
  const external = { principal: 'arn:aws-cn:iam::210987654321:role/agent', externalId: 'e' };
  expect(trusts(principal, place, external)).toEqual({
    role: { principal, actions },
    account: { principal: 'arn:aws-cn:iam::123456789012:root', actions },
    'external-account': { ...external, actions },
    ec2: { sid: 'Statement1', principal, service: 'ec2.amazonaws.com', actions },
  });
});
