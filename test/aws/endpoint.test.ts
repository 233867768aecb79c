import { checkAccountId, isRoleUser, parseRedshiftHost, partitionOf, roleArnOf } from '../../src/aws/endpoint.js';

test('an endpoint tells its cluster or workgroup, region and account', () => {
  expect(parseRedshiftHost('c1.abc.us-east-1.redshift.amazonaws.com')).toEqual({
    flavour: 'redshift',
    clusterId: 'c1',
    region: 'us-east-1',
  });
  expect(parseRedshiftHost('c1.abc.redshift.cn-north-1.amazonaws.com.cn')).toMatchObject({ region: 'cn-north-1' });
  expect(parseRedshiftHost('wg.123456789012.us-gov-west-1.redshift-serverless.amazonaws.com')).toEqual({
    flavour: 'redshift-serverless',
    workgroup: 'wg',
    accountId: '123456789012',
    region: 'us-gov-west-1',
  });
  expect(parseRedshiftHost('ep-endpoint-xyz.123456789012.us-east-1.redshift-serverless.amazonaws.com')).toMatchObject({
    flavour: 'redshift-serverless-vpc',
    endpointName: 'ep',
  });
});

test('a cluster host that cannot be read is refused, a serverless one is nothing', () => {
  expect(() => parseRedshiftHost('a.redshift.amazonaws.com')).toThrow(
    'failed to parse a.redshift.amazonaws.com as Redshift endpoint',
  );
  expect(parseRedshiftHost('a.redshift-serverless.amazonaws.com')).toBeUndefined();
  expect(parseRedshiftHost('db.example.com')).toBeUndefined();
});

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
