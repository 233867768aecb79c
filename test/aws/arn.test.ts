import {
  accountOf,
  isAccountId,
  isArn,
  parseArn,
  parseRoleArn,
  parseSessionArn,
  readRoleArn,
  roleArnText,
  sessionsArnText,
} from '../../src/aws/arn.js';

const ROLE = 'arn:aws-cn:iam::123456789012:role/team/sub/reader';
const SESSION = 'arn:aws:sts::123456789012:assumed-role/reader/alice@example.com';

test('an ARN has six parts, and the last may have colons', () => {
  expect(parseArn('arn:aws:redshift:eu-central-1:123456789012:cluster:sales')).toEqual({
    partition: 'aws',
    service: 'redshift',
    region: 'eu-central-1',
    accountId: '123456789012',
    resource: 'cluster:sales',
  });
  for (const text of ['', 'arn:', 'arn:aws:iam::1', 'arn:aws:iam::1:', 'x arn:aws:iam::1:role/a']) {
    expect(parseArn(text)).toBeUndefined();
  }
  expect([isArn('arn:x'), isArn('role/arn:x')]).toEqual([true, false]);
  expect([accountOf(ROLE), accountOf('arn:aws:s3:::bucket'), accountOf('reader')]).toEqual([
    '123456789012',
    undefined,
    undefined,
  ]);
});

test('a role and its session are told apart, and are one role to whoever compares them', () => {
  const role = { partition: 'aws-cn', accountId: '123456789012', path: 'team/sub', name: 'reader' };
  expect(parseRoleArn(ROLE)).toEqual(role);
  expect(roleArnText(role)).toBe(ROLE);
  expect(parseSessionArn(ROLE)).toBeUndefined();
  const assumed = { partition: 'aws', accountId: '123456789012', path: '', name: 'reader' };
  expect(parseSessionArn(SESSION)).toEqual(assumed);
  expect(parseRoleArn(SESSION)).toBeUndefined();
  expect(SESSION.startsWith(sessionsArnText(assumed))).toBe(true);
  expect(readRoleArn(ROLE)).toEqual(role);
  expect(readRoleArn(SESSION.replace('sts', 'STS').replace('assumed-role', 'Assumed-Role'))).toEqual(assumed);
  for (const text of ['arn:aws:iam::1:user/alice', 'arn:aws:iam::1:role/', 'role/reader', 'reader']) {
    expect(readRoleArn(text)).toBeUndefined();
  }
  expect(parseRoleArn(ROLE.toUpperCase())).toBeUndefined();
});

test('an account has twelve digits', () => {
  expect(['123456789012', '12345678901', '1234567890123', '12345678901x', ''].map(isAccountId)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});
