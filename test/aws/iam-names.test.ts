import { checkPolicyName, checkRoles, kmsKeyArn, parseBearer } from '../../src/aws/iam-names.js';
import type { TeleportError } from '../../src/errors.js';

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    const { code, message, hint } = error as TeleportError;
    return [code, message, hint].filter(Boolean).join('\n');
  }
  throw new Error('it was taken');
}

test('a role or user by name or ARN, with or without path', () => {
  expect(parseBearer('role', 'a.b+c=d,e@f_-')).toEqual({ kind: 'role', name: 'a.b+c=d,e@f_-' });
  expect(parseBearer('user', 'team/bob')).toEqual({ kind: 'user', name: 'bob' });
  const arn = 'arn:aws-us-gov:iam::123456789012:role/team/x/agent';
  expect(parseBearer('role', arn)).toEqual({
    kind: 'role',
    name: 'agent',
    arn,
    accountId: '123456789012',
    partition: 'aws-us-gov',
  });
});

test.each([
  ['arn:aws:iam::123456789012:user/bob', 'is not the ARN of an IAM role'],
  ['arn:aws:s3:::bucket', 'is not the ARN of an IAM role'],
  ['arn:aws', 'is not the ARN of an IAM role'],
  ['arn:aws:iam::123456789012:role/', 'is not the ARN of an IAM role'],
  ['arn:asw:iam::123456789012:role/r', 'AWS has no partition "asw"'],
  ['arn:*:iam::*:role/r', 'AWS has no partition "*"'],
  ['arn:aws:iam::aws-account-id:role/r', 'an AWS account has 12 digits'],
  ['arn:aws:iam::12345:role/r', 'an AWS account has 12 digits'],
  ['a b', '"a b" cannot be the name of an IAM role'],
  ['', '"" cannot be the name of an IAM role'],
  ['x'.repeat(65), 'cannot be the name of an IAM role'],
  ['arn:aws:iam::123456789012:role/a b', '"a b" cannot be the name of an IAM role'],
  [
    'arn:aws:sts::123456789012:assumed-role/agent/i-0abc',
    'is not the ARN of an IAM role\nIt is a session of a role. Give the role: arn:aws:iam::123456789012:role/agent, with its path if it has one.',
  ],
])('%s is not a role', (text, why) => {
  const said = refusal(() => parseBearer('role', text));
  expect(said).toMatch(/^BadParameter\n/);
  expect(said).toContain(why);
});

test('roles to assume are of the partition of who assumes them; of another account they can be', () => {
  checkRoles(['a', 'role/b', 'team/c', 'arn:aws:iam::210987654321:role/far'], 'aws');
  checkRoles(['arn:aws-cn:iam::210987654321:role/far'], undefined);
  expect(refusal(() => checkRoles(['arn:aws-cn:iam::210987654321:role/far'], 'aws'))).toContain(
    'IAM role arn:aws-cn:iam::210987654321:role/far is in the partition aws-cn, the Database Service in aws',
  );
  expect(refusal(() => checkRoles(['arn:aws:iam::210987654321:user/far'], 'aws'))).toContain('is not the ARN');
});

const ID = '1234abcd-12ab-34cd-56ef-1234567890ab';
const place = { partition: 'aws', accountId: '123456789012' };

test('a KMS key by id or ARN', () => {
  expect(kmsKeyArn(ID, place)).toBe(`arn:aws:kms:*:123456789012:key/${ID}`);
  const multi = `arn:aws:kms:us-east-1:210987654321:key/mrk-${'0'.repeat(32)}`;
  expect(kmsKeyArn(multi, place)).toBe(multi);
  expect(kmsKeyArn('your-kms-id', { ...place, placeholder: 'your-kms-id' })).toBe(
    'arn:aws:kms:*:123456789012:key/your-kms-id',
  );
});

test.each([
  ['your-kms-id', 'is not the id or ARN of a KMS key\nKeys look like'],
  ['alias/mine', 'A policy needs the key itself, not an alias'],
  ['arn:aws:kms:us-east-1:123456789012:alias/mine', 'A policy needs the key itself, not an alias'],
  ['arn:aws:s3:::bucket', 'is not the ARN of a KMS key'],
  [`arn:aws:kms:us-east-1:1:key/${ID}`, 'an AWS account has 12 digits'],
  [`arn:aws-cn:kms:cn-north-1:123456789012:key/${ID}`, 'is in the partition aws-cn, the Database Service in aws'],
])('%s is not a key', (text, why) => {
  expect(refusal(() => kmsKeyArn(text, place))).toContain(why);
});

test('names of policies', () => {
  checkPolicyName('DatabaseAccess-2');
  checkPolicyName('x'.repeat(128));
  expect(refusal(() => checkPolicyName('x'.repeat(129)))).toContain('cannot be the name of an IAM policy');
  expect(refusal(() => checkPolicyName('a/b'))).toContain('IAM takes 1 to 128 letters');
});
