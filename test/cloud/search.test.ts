import { distinctNames, holdersOf } from '../../src/cloud/distinct-names.js';
import { runSearches } from '../../src/cloud/search.js';
import { createRegistry } from '../../src/db/registry.js';
import { createLogger } from '../../src/log.js';
import { databaseWithDefaults } from '../../src/resources/defaults.js';
import type { Database } from '../../src/resources/types.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';

const region = 'us-east-1';
let aws: AwsDouble;
const before = { ...process.env };
beforeEach(async () => {
  aws = await startAwsDouble();
});
afterEach(async () => {
  process.env = { ...before };
  await aws.stop();
});

function database(name: string, origin: string): Database {
  return databaseWithDefaults({
    kind: 'db',
    version: 'v3',
    metadata: { name, labels: { origin } },
    spec: { protocol: 'postgres', uri: 'localhost:5432' },
  } as Database);
}

test('what is found in AWS is offered as long as it is there, and wins over other databases of its name', async () => {
  const statement = { Effect: 'Allow' as const, Action: ['redshift:*', 'redshift-serverless:*'], Resource: '*' };
  const role = aws.addRole('finder', {
    trust: {
      Statement: {
        Effect: 'Allow',
        Principal: '*',
        Action: 'sts:AssumeRole',
        Condition: { StringEquals: { 'sts:ExternalId': 'e1' } },
      },
    },
    policies: [{ Statement: statement }],
  });
  const deny = (Action: string) =>
    aws.attachPolicy(role, { Statement: { Effect: 'Deny', Action, Resource: '*' } }, 'denied');
  const agent = aws.addUser('agent', {
    policies: [{ Statement: { Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' } }],
  });
  process.env = { ...before, ...aws.env(agent) };
  aws.addRedshiftCluster({
    id: 'sales',
    tags: { env: 'prod', TeleportDatabaseName: 'sales', 'teleport.dev/db-admin': 'boss' },
  });
  aws.addRedshiftCluster({ id: 'other', tags: { env: 'dev' } });
  aws.addServerlessWorkgroup({ name: 'reports', tags: { env: 'prod' } });
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'reports', address: 'ep.local', port: 5439 });

  const reports = `reports-redshift-serverless-${region}-${aws.accountId}`;
  const endpoint = `reports-ep-redshift-serverless-${region}-${aws.accountId}`;
  const registry = createRegistry([database('sales', 'static'), database('plain', 'static')]);
  registry.setResources([database('sales', 'resource')]);
  const logged: string[] = [];
  const stop = new AbortController();
  let rounds = 0;
  const changes: string[][] = [];
  registry.onChange((names) => changes.push([...names].sort()));
  await runSearches({
    setting: 'db_service.aws',
    now: () => new Date(),
    matchers: [
      {
        types: ['redshift', 'redshift-serverless', 'rds'],
        regions: [region],
        tags: { env: 'prod' },
        assume_role_arn: role.arn,
        external_id: 'e1',
      },
    ],
    onRound: (searches) => {
      const all = searches.flatMap((search) => search.found);
      registry.setCloud(distinctNames(all, holdersOf(registry.all())).found.map(({ database: one }) => one));
      rounds += 1;
      if (rounds === 1) {
        const sales = registry.get('sales')!;
        expect(registry.all().map(({ metadata }) => metadata.name)).toEqual([...['sales', 'plain', reports, endpoint]]);
        expect(sales.metadata.labels).toMatchObject({
          env: 'prod',
          region,
          'teleport.dev/origin': 'cloud',
          'teleport.dev/discovery-type': 'redshift',
        });
        expect(sales.spec).toMatchObject({
          uri: 'sales.abc123.us-east-1.redshift.amazonaws.com:5439',
          aws: { region, redshift: { cluster_id: 'sales' }, assume_role_arn: role.arn, external_id: 'e1' },
          admin_user: { name: 'boss' },
        });
        expect(registry.get(endpoint)!.spec.tls?.server_name).toMatch(/^reports\./);
        // Neither busy nor not allowed is a reason to forget what was found.
        aws.failNext('redshift:DescribeClusters', { code: 'InvalidParameterValue', times: 1 });
        aws.failNext('redshift-serverless:ListWorkgroups', { code: 'AccessDeniedException', times: 1 });
      } else if (rounds === 2) {
        expect(searches.map(({ failures }) => failures)).toEqual([
          [expect.stringContaining('InvalidParameterValue')],
          [expect.stringContaining('AccessDenied')],
        ]);
        deny('redshift-serverless:ListEndpointAccess');
      } else if (rounds === 3) {
        expect(searches[1]!.failures).toEqual([expect.stringMatching(/^VPC endpoints: /)]);
        // Its tags take it, so that without them it would not be there.
        deny('redshift-serverless:ListTagsForResource');
      } else if (rounds === 4 || rounds === 5) {
        expect(searches[1]!.failures).toEqual([expect.stringMatching(/^tags of reports: /)]);
        expect(registry.get(reports)!.metadata.labels).toMatchObject({ env: 'prod' });
        // The next refusal is like this one, of another session.
        if (rounds === 5) deny('redshift:PauseCluster');
      } else {
        expect(searches.map(({ failures }) => failures)).toEqual([[], []]);
        stop.abort();
      }
    },
    signal: stop.signal,
    log: createLogger({ component: 'T', level: 'warn', write: (line) => logged.push(line) }),
    intervalMs: 1,
  });
  expect(changes).toEqual([[endpoint, reports, 'sales']]);
  expect(registry.get('sales')!.metadata.labels).toMatchObject({ 'teleport.dev/origin': 'cloud' });
  registry.setCloud([]);
  expect(registry.get('sales')!.metadata.labels).toEqual({ origin: 'resource' });
  expect(logged.join('')).toMatch(/does not look for databases of this type\. .*type:rds\n/);
  expect(logged.filter((line) => line.includes('Cannot look for databases in AWS.'))).toHaveLength(4);
});

test('a workgroup whose tags cannot be read any more keeps the name and the labels that they gave it', async () => {
  const policies = [{ Statement: { Effect: 'Allow' as const, Action: 'redshift-serverless:*', Resource: '*' } }];
  const agent = aws.addUser('agent', { policies });
  process.env = { ...before, ...aws.env(agent) };
  aws.addServerlessWorkgroup({ name: 'reports', tags: { TeleportDatabaseName: 'nice' } });
  const seen: string[][] = [];
  const stop = new AbortController();
  await runSearches({
    setting: 'discovery_service.aws',
    matchers: [{ types: ['redshift-serverless'], regions: [region], tags: { '*': '*' } }],
    now: () => new Date(),
    log: createLogger({ component: 'T', level: 'error', write: () => {} }),
    signal: stop.signal,
    intervalMs: 1,
    onRound: (searches) => {
      seen.push(searches[0]!.found.map(({ database: { metadata } }) => metadata.name));
      const Action = 'redshift-serverless:ListTagsForResource';
      if (seen.length === 1) aws.attachPolicy(agent, { Statement: { Effect: 'Deny', Action, Resource: '*' } }, 'deny');
      else {
        expect(searches[0]!.failures).toHaveLength(1);
        stop.abort();
      }
    },
  });
  expect(seen).toEqual([['nice'], ['nice']]);
});

test('a database that cannot be one here is said once, and reported as long as it is there', async () => {
  const policies = [{ Statement: { Effect: 'Allow' as const, Action: 'redshift:*', Resource: '*' } }];
  process.env = { ...before, ...aws.env(aws.addUser('agent', { policies })) };
  aws.addRedshiftCluster({ id: 'odd', tags: { TeleportDatabaseName: '-not a name-' } });
  aws.addRedshiftCluster({ id: 'sales' });
  const logged: string[] = [];
  const stop = new AbortController();
  let rounds = 0;
  await runSearches({
    setting: 'discovery_service.aws',
    matchers: [{ types: ['redshift'], regions: [region], tags: { '*': '*' } }],
    now: () => new Date(),
    log: createLogger({ component: 'T', level: 'warn', write: (line) => logged.push(line) }),
    signal: stop.signal,
    intervalMs: 1,
    onRound: ([search]) => {
      // AWS has said everything: a resource that is not found any more must go.
      expect(search).toMatchObject({ failures: [], ignored: [expect.stringMatching(/^-not a name- is ignored: /)] });
      expect(search!.found).toHaveLength(1);
      if (++rounds === 3) stop.abort();
    },
  });
  expect(logged).toEqual([expect.stringContaining('Ignoring a database of AWS.')]);
});
