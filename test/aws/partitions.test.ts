/**
 * Every region that botocore knows, through everything that reads a Redshift host name or writes an ARN.
 * Tests: src/aws/arn.ts, src/resources/redshift-host.ts, src/resources/validate-database.ts
 */
import { describe, expect, test } from '@jest/globals';
import { isEndpoint, parseEndpoint } from '../../src/access/endpoint.js';
import { fromAws } from '../../src/aws/errors.js';
import { isRegion, partitionOf, splitAwsHost } from '../../src/aws/partitions.js';
import { resourceArn } from '../../src/aws/refusal.js';
import { isUser, roleArnOf } from '../../src/resources/database-user.js';
import { databaseWithDefaults } from '../../src/resources/defaults.js';
import { readRedshiftHost } from '../../src/resources/redshift-host.js';
import type { Database } from '../../src/resources/types.js';
import { checkDatabase } from '../../src/resources/validate-database.js';
import { BOTOCORE } from '../support/aws/botocore.js';

const ACCOUNT = '123456789012';
const database = (uri: string, more: object = {}): Database => ({
  kind: 'db',
  version: 'v3',
  metadata: { name: 'd' },
  spec: { protocol: 'postgres', uri, ...more },
});

const clusters = BOTOCORE.flatMap(({ id, dnsSuffix, redshift }) =>
  redshift.map((region) => ({ partition: id, region, host: `c1.abc123.${region}.redshift.${dnsSuffix}` })),
);
const workgroups = BOTOCORE.flatMap((one) =>
  one['redshift-serverless'].map((region) => ({
    partition: one.id,
    region,
    host: `wg.${ACCOUNT}.${region}.redshift-serverless.${one.dnsSuffix}`,
  })),
);

test('B3 the table knows every partition and region of botocore', () => {
  expect(BOTOCORE.length).toBeGreaterThanOrEqual(8);
  for (const { id, regions, dnsSuffix, dualStackDnsSuffix } of BOTOCORE) {
    for (const region of regions.filter((one) => !one.endsWith('-global'))) {
      expect([region, isRegion(region), partitionOf(region)]).toEqual([region, true, id]);
      for (const host of [`redshift.${region}.${dnsSuffix}`, `redshift-fips.${region}.${dualStackDnsSuffix}`]) {
        expect([host, splitAwsHost(host)?.labels.at(-1)]).toEqual([host, region]);
      }
    }
  }
});

describe.each(clusters)('B3 a cluster in $region', ({ partition, region, host }) => {
  const aws = { region, redshift: { cluster_id: 'c1' } };
  const role = `arn:${partition}:iam::${ACCOUNT}:role/reader`;

  test.each([host, `${host}.`, host.toUpperCase()])('is read from %s, pasted or in a resource', (name) => {
    expect(readRedshiftHost(name)).toEqual(aws);
    for (const text of [
      name,
      `${name}:5439`,
      `${name}/dev`,
      `jdbc:redshift:iam://${name}:5439/dev`,
      `redshift://u@${name}`,
    ]) {
      expect(isEndpoint(text)).toBe(true);
      expect(parseEndpoint(text)).toMatchObject({ aws, host: name.replace(/\.$/, ''), port: 5439 });
    }
    const made = database(`${name}:5439`);
    checkDatabase(made);
    expect(databaseWithDefaults(made).spec.aws).toEqual(aws);
  });

  test('and is meant by CLUSTER:REGION', () => {
    expect(parseEndpoint(`jdbc:redshift:iam://c1:${region}/dev`)).toMatchObject({ aws, dbName: 'dev' });
  });

  test(`and its ARNs are of ${partition}`, () => {
    const place = { region, accountId: ACCOUNT };
    expect(roleArnOf('role/reader', place)).toBe(role);
    expect(roleArnOf(role, place)).toBe(role);
    expect(() => roleArnOf(role.replace(`arn:${partition}:`, 'arn:aws-other:'), place)).toThrow(
      `expected AWS partition "${partition}" but got "aws-other"`,
    );
    expect(resourceArn({ ...place, chain: [] }, 'redshift', 'dbuser:c1/u')).toBe(
      `arn:${partition}:redshift:${region}:${ACCOUNT}:dbuser:c1/u`,
    );
    const known = database(`${host}:5439`, { aws: { ...aws, account_id: ACCOUNT } });
    expect(isUser(role, known)('role/reader')).toBe(true);
    checkDatabase(database(`${host}:5439`, { aws: { account_id: ACCOUNT, assume_role_arn: role } }));
    const foreign = role.replace(`arn:${partition}:`, 'arn:aws-iso-z:');
    expect(() =>
      checkDatabase(database(`${host}:5439`, { aws: { account_id: ACCOUNT, assume_role_arn: foreign } })),
    ).toThrow(`expected partition "${partition}", got "aws-iso-z"`);
  });
});

describe.each(workgroups)('B3 a workgroup in $region', ({ region, host }) => {
  test.each([host, `${host}.`, host.toUpperCase()])('is read from %s, pasted or in a resource', (name) => {
    const aws = { region, account_id: ACCOUNT, redshift_serverless: { workgroup_name: 'wg' } };
    expect(readRedshiftHost(name)).toEqual(aws);
    expect(parseEndpoint(`${name}:5439/dev`)).toMatchObject({ aws, dbName: 'dev' });
    const made = database(`${name}:5439`);
    checkDatabase(made);
    expect(databaseWithDefaults(made).spec.aws).toEqual(aws);
  });

  test('and so is a VPC endpoint of it', () => {
    expect(readRedshiftHost(host.replace('wg.', 'my-vpc-endpoint-k7rfausgmlzieup51zgg.'))).toEqual({
      region,
      account_id: ACCOUNT,
      redshift_serverless: { endpoint_name: 'my-vpc' },
    });
  });
});

test('B3 the order of words that Teleport reads for China is still read', () => {
  expect(readRedshiftHost('c1.abc.redshift.cn-north-1.amazonaws.com.cn')).toEqual({
    region: 'cn-north-1',
    redshift: { cluster_id: 'c1' },
  });
});

test.each([
  'c1.abc.us-east-1.redshift.amazonaws.com.cn',
  'c1.abc.cn-north-1.redshift.amazonaws.com',
  'c1.abc.redshift.us-east-1.amazonaws.com',
  'c1.us-east-1.redshift.amazonaws.com',
  'c1.abc.us-east-1.redshift.amazonaws.eu',
  'c1.abc.nowhere.redshift.amazonaws.com',
  '.abc.us-east-1.redshift.amazonaws.com',
])('B3 %s is refused, not guessed at', (host) => {
  expect(() => readRedshiftHost(host)).toThrow(`failed to parse ${host} as Redshift endpoint`);
  expect(() => parseEndpoint(`${host}:5439`)).toThrow(/^endpoint .*: host /);
});

test.each([
  'redshift.us-east-1.amazonaws.com',
  'redshift-fips.us-gov-west-1.amazonaws.com',
  'redshift-serverless.cn-north-1.api.amazonwebservices.com.cn',
  'redshift.eusc-de-east-1.api.amazonwebservices.eu',
  'vpce-0a1b-2c3d.vpce-svc-4e5f.us-west-2.vpce.amazonaws.com',
  'db.abc.rds.cn-north-1.amazonaws.com.cn',
])('B3 %s is of AWS, but of no cluster or workgroup: a paste says so, a resource takes it as it is', (host) => {
  expect(readRedshiftHost(host)).toBeUndefined();
  expect(() => parseEndpoint(`${host}:5439`)).toThrow("is AWS's, but not of a Redshift cluster or workgroup");
});

test.each(['analytics.example.com', 'amazonaws.com.example.org', 'redshift.example.com'])(
  'B3 %s may be a custom domain name',
  (host) => {
    expect(readRedshiftHost(host)).toBeUndefined();
    expect(parseEndpoint(`${host}:5439`)).toMatchObject({ host, port: 5439 });
    expect(parseEndpoint(`${host}:5439`).aws).toBeUndefined();
  },
);

test.each(BOTOCORE)('B3 an API of $id that the name service does not know: its region is named', (one) => {
  const [region] = one.redshift;
  const host = `redshift.${region}.${one.dnsSuffix}`;
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
  expect(fromAws(error).message).toContain(`AWS region "${region}" is not known here`);
});
