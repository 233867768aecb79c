import { expect, test } from '@jest/globals';
import { type AwsMatcher, checkMatchers, discoveryMatchers } from '../../src/cloud/matchers.js';

const all = { '*': '*' };
const good: AwsMatcher = { types: ['redshift'], regions: ['us-east-1'], tags: all };
const role = 'arn:aws:iam::123456789012:role/finder';

test.each([
  [{ tags: undefined }, 'db_service.aws: missing parameter Labels'],
  [{ types: ['oracle'] }, 'unknown matcher type "oracle". Supported AWS matcher types are [rds '],
  [{ types: [] }, 'db_service.aws requires at least one type'],
  [{ regions: [] }, 'db_service.aws requires at least one region'],
  [{ regions: ['mars'] }, 'db_service.aws does not support region "mars"'],
  [{ assume_role_arn: 'finder' }, 'invalid assume role: "finder" is not the ARN of an IAM role'],
  [{ integration: 'x' }, 'db_service.aws: integration is not supported'],
])('db_service.aws: %j is refused', (more, message) => {
  expect(() => checkMatchers([good, { ...good, ...more } as AwsMatcher])).toThrow(message);
});

test('db_service.aws takes an external id without a role, as in Teleport, and types that are not looked for', () => {
  checkMatchers([
    { ...good, external_id: 'e' },
    { ...good, types: ['rds'] },
    { ...good, assume_role_arn: role },
  ]);
});

test.each([
  [
    { types: ['oracle'] },
    'discovery service type does not support "oracle", supported resource types are: [ec2 eks rds ',
  ],
  [{ types: [] }, 'discovery service requires at least one type'],
  [{ regions: [] }, 'discovery service requires at least one region'],
  [{ regions: ['mars'] }, 'discovery service does not support region "mars"'],
  [{ external_id: 'e' }, 'discovery service AWS matcher assume_role_arn is empty, but has external_id "e"'],
  [{ assume_role_arn: 'finder' }, 'invalid assume role: "finder" is not the ARN of an IAM role'],
  [{ integration: 'x' }, 'discovery_service.aws: integration is not supported'],
])('discovery_service.aws: %j is refused', (more, message) => {
  expect(() => discoveryMatchers([{ ...good, ...more }])).toThrow(message);
});

test('a matcher of a Discovery Service takes every tag when it names none, and an external id for people alone', () => {
  const { tags, ...without } = good;
  expect(discoveryMatchers([without, { ...good, tags: {} }])).toEqual([good, good]);
  expect(tags).toEqual(all);
  const serverless = { ...good, types: ['redshift-serverless'], external_id: 'e' };
  expect(discoveryMatchers([serverless, { ...good, assume_role_arn: role, external_id: 'e' }])).toHaveLength(2);
});
