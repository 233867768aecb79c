import { partitionOf } from '../../src/aws/partitions.js';
import { checkAccountId, isRoleUser, roleArnOf } from '../../src/resources/database-user.js';

test('a role is an ARN, role/NAME or, for serverless, a name', () => {
  const place = { region: 'us-gov-west-1', accountId: '123456789012' };
  expect(roleArnOf('role/a/b', place)).toBe('arn:aws-us-gov:iam::123456789012:role/a/b');
  expect(roleArnOf('reader', place)).toBe('arn:aws-us-gov:iam::123456789012:role/reader');
  expect(partitionOf('cn-north-1')).toBe('aws-cn');
  expect(isRoleUser('role/x')).toBe(true);
  expect(isRoleUser('arn:aws:iam::123456789012:role/x')).toBe(true);
  expect(isRoleUser('alice')).toBe(false);
  expect(isRoleUser('IAMR:x')).toBe(false);
});

test.each([
  ['arn:aws-cn:iam::123456789012:role/x', 'expected AWS partition "aws" but got "aws-cn"'],
  ['arn:aws:iam::999999999999:role/x', 'expected AWS account ID "123456789012" but got "999999999999"'],
  ['arn:aws:iam::123456789012:user/x', '"arn:aws:iam::123456789012:user/x" is not an AWS IAM role ARN'],
  ['arn:aws:iam::123456789012:role/', '"arn:aws:iam::123456789012:role/" is missing AWS IAM role name'],
  ['IAM:x', 'expecting name or ARN of an AWS IAM role but got IAM:x'],
])('%s is refused', (dbUser, message) => {
  expect(() => roleArnOf(dbUser, { region: 'us-east-1', accountId: '123456789012' })).toThrow(message);
});

test('an account is twelve digits', () => {
  expect(() => checkAccountId('12')).toThrow('must be 12-digit');
});
