import {
  formatPolicy,
  formatTrustPolicy,
  MAX_POLICY_SIZE,
  type PolicyStatement,
  splitPolicy,
} from '../../src/aws/policy-document.js';

const allow = (sid: string, resources: string[]): PolicyStatement => ({
  sid,
  effect: 'Allow',
  actions: ['sts:AssumeRole'],
  resources,
  keepsList: true,
});
const roles = (count: number) => Array.from({ length: count }, (_, i) => `arn:aws:iam::123456789012:role/r${i}`);
const sizeOf = (statements: PolicyStatement[]) => formatPolicy(statements).replace(/\s/g, '').length;

test('a list of one is a text, unless the statement keeps it', () => {
  const [kept, plain] = [allow('A', ['r']), { ...allow('A', ['r']), keepsList: false }];
  expect(JSON.parse(formatPolicy([kept, plain])).Statement).toEqual([
    { Sid: 'A', Effect: 'Allow', Action: 'sts:AssumeRole', Resource: ['r'] },
    { Sid: 'A', Effect: 'Allow', Action: 'sts:AssumeRole', Resource: 'r' },
  ]);
});

test('a trust policy has service, external id and Sid only where they are', () => {
  const trust = { principal: 'arn:aws:iam::123456789012:root', actions: ['sts:AssumeRole'] };
  expect(JSON.parse(formatTrustPolicy(trust)).Statement).toEqual([
    { Effect: 'Allow', Principal: { AWS: trust.principal }, Action: 'sts:AssumeRole' },
  ]);
  const all = { ...trust, sid: 'S', service: 'ec2.amazonaws.com', externalId: 'e' };
  expect(JSON.parse(formatTrustPolicy(all)).Statement).toEqual([
    {
      Sid: 'S',
      Effect: 'Allow',
      Principal: { AWS: trust.principal, Service: 'ec2.amazonaws.com' },
      Action: 'sts:AssumeRole',
      Condition: { StringEquals: { 'sts:ExternalId': 'e' } },
    },
  ]);
});

test('what fits stays one policy; nothing is none', () => {
  const statements = [allow('A', roles(3)), allow('B', roles(2))];
  expect(splitPolicy(statements)).toEqual([statements]);
  expect(splitPolicy([])).toEqual([]);
});

test('what does not fit is divided: by statements, then by resources, and nothing is lost', () => {
  const statements = [allow('A', roles(60)), allow('B', roles(60)), allow('C', roles(400)), allow('D', ['*'])];
  const parts = splitPolicy(statements);
  expect(parts.length).toBeGreaterThan(3);
  for (const part of parts) {
    expect(sizeOf(part)).toBeLessThanOrEqual(MAX_POLICY_SIZE);
    expect(new Set(part.map(({ sid }) => sid)).size).toBe(part.length);
  }
  const back = statements.map(({ sid }) => ({
    sid,
    resources: parts.flat().flatMap((one) => (one.sid === sid ? one.resources : [])),
  }));
  expect(back).toEqual(statements.map(({ sid, resources }) => ({ sid, resources })));
});

test('the limit is met to the character', () => {
  const statements = [allow('A', roles(3)), allow('B', roles(3))];
  const exact = sizeOf(statements);
  expect(splitPolicy(statements, exact)).toHaveLength(1);
  expect(splitPolicy(statements, exact - 1)).toHaveLength(2);
});
