import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { importMetadata } from '../../src/db/metadata.js';
import { createRegistry } from '../../src/db/registry.js';
import { createLogger } from '../../src/log.js';
import { awsOf } from '../../src/resources/database-type.js';
import { databaseWithDefaults } from '../../src/resources/defaults.js';
import type { Database } from '../../src/resources/types.js';
import type { Principal } from '../support/aws/world.js';
import { type AwsDouble, type PolicyDocument, startAwsDouble } from '../support/aws-double.js';

const region = 'us-east-1';
const before = { ...process.env };
let aws: AwsDouble;
let agent: Principal;
let stop: AbortController;
let logged: string[];

const may = (...Action: string[]): PolicyDocument => ({ Statement: [{ Effect: 'Allow', Action, Resource: '*' }] });

beforeEach(async () => {
  aws = await startAwsDouble();
  agent = aws.addUser('agent', { policies: [may('redshift:DescribeClusters', 'redshift-serverless:*')] });
  process.env = { ...before, ...aws.env(agent) };
  stop = new AbortController();
  logged = [];
});
afterEach(async () => {
  stop.abort();
  process.env = { ...before };
  await aws.stop();
});

function database(spec: object, labels: Record<string, string> = {}): Database {
  return databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name: 'db', labels },
    spec: { protocol: 'postgres', uri: 'db.example.com:5439', ...spec },
  } as unknown as Database);
}

async function imported(record: Database, retryMs = 1): Promise<Database> {
  const registry = createRegistry([record]);
  const log = createLogger({ component: 'DB', level: 'debug', write: (line) => logged.push(line) });
  const metadata = importMetadata({ registry, log, signal: stop.signal, retryMs });
  const again: Promise<void>[] = [];
  registry.onChange(() => again.push(metadata.complete(registry.get('db')!)));
  await metadata.complete(record);
  await Promise.all(again);
  return registry.get('db')!;
}

test('region, account, ids and tags that the configuration leaves out come from AWS, asked once', async () => {
  aws.addRedshiftCluster({ id: 'c1', tags: { env: 'prod', team: 'data', 'not a label!': 'x' } });
  const found = await imported(
    database({ aws: { redshift: { cluster_id: 'c1' }, session_tags: { a: 'b' } } }, { env: 'mine' }),
  );
  expect(awsOf(found)).toEqual({
    region,
    account_id: aws.accountId,
    redshift: { cluster_id: 'c1' },
    session_tags: { a: 'b' },
  });
  expect(found.metadata.labels).toEqual({
    env: 'mine', // what was written by hand wins
    team: 'data',
    region,
    'account-id': aws.accountId,
    'teleport.dev/cloud': 'AWS',
  });
  expect(aws.calls.map(({ action }) => action)).toEqual(['redshift:DescribeClusters']);
});

test('a VPC endpoint tells its workgroup', async () => {
  const { id } = aws.addServerlessWorkgroup({ name: 'wg1', tags: { team: 'a' } });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'wg1', address: 'ep.local', port: 5439 });
  const uri = `ep-endpoint-0a1b2c.${aws.accountId}.${region}.redshift-serverless.amazonaws.com:5439`;
  const found = await imported(database({ uri }));
  expect(awsOf(found)).toMatchObject({
    region,
    account_id: aws.accountId,
    redshift_serverless: { endpoint_name: 'ep', workgroup_name: 'wg1', workgroup_id: id },
  });
  expect(found.metadata.labels).toMatchObject({ team: 'a', namespace: 'wg1-ns' });
});

test('the role of the database is used, with its external id', async () => {
  const role = aws.addRole('finder', {
    accountId: '222222222222',
    trust: {
      Statement: {
        Effect: 'Allow',
        Principal: { AWS: agent.arn },
        Action: 'sts:AssumeRole',
        Condition: { StringEquals: { 'sts:ExternalId': 'e1' } },
      },
    },
    policies: [may('redshift:DescribeClusters')],
  });
  aws.attachPolicy(agent, may('sts:AssumeRole'), 'assume');
  aws.addRedshiftCluster({ id: 'c1', accountId: '222222222222' });
  const place = { region, redshift: { cluster_id: 'c1' }, assume_role_arn: role.arn, external_id: 'e1' };
  expect(awsOf(await imported(database({ aws: place })))).toMatchObject({ ...place, account_id: '222222222222' });
});

test('a denial is quiet and is not asked again; where AWS was not reached it is asked again', async () => {
  aws.addRedshiftCluster({ id: 'c1' });
  const record = database({ aws: { region, redshift: { cluster_id: 'c1' } } });
  aws.failNext('redshift:DescribeClusters', { code: 'ServiceUnavailable', times: 4 });
  expect(awsOf(await imported(record))).toMatchObject({ account_id: aws.accountId });
  expect(aws.count('redshift:DescribeClusters')).toBe(5);
  expect(logged.join('')).toMatch(/WARN .*Cannot read AWS metadata of a database\. db:db error:.*ServiceUnavailable/);
  logged.length = 0;
  aws.attachPolicy(agent, may('iam:GetRole'), 'policy-1');
  expect(await imported(record)).toBe(record);
  expect(logged.join('')).toMatch(/^\S+ DEBUG .*not authorized to perform: redshift:DescribeClusters/);
  expect(aws.count('redshift:DescribeClusters')).toBe(6);
});

test('what discovery found is not asked about again', async () => {
  const record = database({ aws: { region, redshift: { cluster_id: 'c1' } } }, { 'teleport.dev/origin': 'cloud' });
  expect(await imported(record)).toBe(record);
  expect(aws.calls).toEqual([]);
});
