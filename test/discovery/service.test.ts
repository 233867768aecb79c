/** Tests: src/cloud/report.ts, src/auth/searches.ts, src/auth/grpc/discovery.ts, src/api/list-databases.ts */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AuthClient } from '../../src/api/client.js';
import { listDatabases } from '../../src/api/list-databases.js';
import type { AwsMatcher } from '../../src/cloud/matchers.js';
import { DiscoveryService, startDiscoveryService } from '../../src/discovery/service.js';
import { createLogger } from '../../src/log.js';
import type { Database } from '../../src/resources/types.js';
import { TestAuth } from '../auth/test-auth.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';

const region = 'us-east-1';
const GROUP = 'teleport.internal/discovery-group-name';
const before = { ...process.env };
const matcher: AwsMatcher = { types: ['redshift', 'redshift-serverless'], regions: [region], tags: { env: 'prod' } };
let aws: AwsDouble;
let agent: ReturnType<AwsDouble['addUser']>;
let cluster: TestAuth;
let admin: AuthClient;
let logged: string[];
const services: DiscoveryService[] = [];

beforeEach(async () => {
  [aws, cluster] = await Promise.all([startAwsDouble(), TestAuth.start()]);
  admin = await cluster.asHost('Admin');
  logged = [];
  agent = aws.addUser('agent');
  aws.attachPolicy(agent, policy('Allow', ['redshift:*', 'redshift-serverless:*']), 'all');
  process.env = { ...before, ...aws.env(agent), AWS_MAX_ATTEMPTS: '1' };
});
afterEach(async () => {
  await Promise.all(services.splice(0).map((service) => service.close()));
  process.env = { ...before };
  await Promise.all([aws.stop(), cluster.remove()]);
});

const policy = (Effect: 'Allow' | 'Deny', Action: string[]) => ({ Statement: { Effect, Action, Resource: '*' } });

async function optionsOf() {
  return {
    identity: await cluster.identity('Discovery'),
    authRoute: { kind: 'direct' as const, ...cluster.auth.address },
    matchers: [matcher],
    group: 'g',
    intervalMs: 20,
    version: '18.3.0',
    log: createLogger({ component: 'T', level: 'info', write: (line) => logged.push(line) }),
  };
}

async function start(options: { matchers?: AwsMatcher[]; group?: string } = {}): Promise<DiscoveryService> {
  const service = await startDiscoveryService({ ...(await optionsOf()), ...options });
  services.push(service);
  return service;
}

const registered = async () => new Map((await listDatabases(admin)).map((one) => [one.metadata.name, one]));
const untilRegistered = (...names: string[]) =>
  until(`${names} are registered`, async () => {
    const found = await registered();
    return JSON.stringify([...found.keys()]) === JSON.stringify([...names].sort()) ? found : undefined;
  });
/** Resolves when a round that began later than now has been reported, with what went wrong in it. */
async function nextRound(): Promise<string[]> {
  const since = Date.now();
  return await until('a round is over', async () => {
    const { hosts } = await admin.discovery.listSearches({});
    const searches = hosts.flatMap(({ said }) => said?.searches ?? []);
    const isOver =
      searches.length > 0 &&
      searches.every(({ lastRun }) => Number(lastRun!.seconds) * 1000 + lastRun!.nanos / 1e6 > since);
    return isOver ? searches.flatMap(({ failures }) => failures) : undefined;
  });
}

const SUFFIX = `${region}-123456789012`;
const REPORTS = `reports-redshift-serverless-${SUFFIX}`;
const ENDPOINT = `reports-ep-redshift-serverless-${SUFFIX}`;

function fill() {
  const sales = aws.addRedshiftCluster({
    id: 'sales',
    tags: { env: 'prod', 'teleport.dev/database_name': 'sales', 'teleport.dev/db-admin': 'boss' },
  });
  aws.addRedshiftCluster({ id: 'other', tags: { env: 'dev' } });
  const reports = aws.addServerlessWorkgroup({ name: 'reports', tags: { env: 'prod' } });
  const address = `ep-endpoint-0a1b.123456789012.${region}.redshift-serverless.amazonaws.com`;
  aws.addServerlessEndpoint({ name: 'ep', workgroup: 'reports', address, port: 5439 });
  return { sales, reports };
}

test('S8 what is in AWS is registered with its names and labels, updated when it changes and removed when it is gone', async () => {
  const { sales } = fill();
  const service = await start();
  const found = await untilRegistered('sales', REPORTS, ENDPOINT);
  expect(found.get('sales')).toMatchObject({
    metadata: {
      description: `Redshift cluster in ${region}`,
      labels: {
        env: 'prod',
        region,
        'account-id': '123456789012',
        'teleport.dev/cloud': 'AWS',
        'teleport.dev/origin': 'cloud',
        'teleport.dev/discovery-type': 'redshift',
        [GROUP]: 'g',
      },
    },
    spec: {
      protocol: 'postgres',
      uri: `sales.abc123.${region}.redshift.amazonaws.com:5439`,
      admin_user: { name: 'boss' },
      aws: { region, account_id: '123456789012', redshift: { cluster_id: 'sales' } },
    },
  });
  expect(found.get(REPORTS)!.metadata.labels).toMatchObject({
    'endpoint-type': 'workgroup',
    'teleport.internal/discovered-name': 'reports',
  });
  expect(found.get(ENDPOINT)!.spec).toMatchObject({
    tls: { server_name: expect.stringMatching(/^reports\./) },
    aws: { redshift_serverless: { workgroup_name: 'reports', endpoint_name: 'ep' } },
  });

  sales.tags.team = 'a';
  await until('the new tag is a label', async () =>
    (await registered()).get('sales')?.metadata.labels?.team === 'a' ? true : undefined,
  );
  const { certPem } = await cluster.identity('Discovery');
  await service.renewIdentity();
  expect((await cluster.identity('Discovery')).certPem).not.toBe(certPem);
  sales.status = 'deleting';
  await untilRegistered(REPORTS, ENDPOINT);
  expect(await nextRound()).toEqual([]);
  // A round without news changes nothing.
  const events = await cluster.events('db.create', 'db.update', 'db.delete');
  expect(events.slice(-2).map(({ event, name }) => [event, name])).toEqual([
    ['db.update', 'sales'],
    ['db.delete', 'sales'],
  ]);
  expect(events).toHaveLength(5);
});

test('S8 a denied call and an outage remove nothing, also after a restart, and are shown', async () => {
  const { reports } = fill();
  await start();
  const all = await untilRegistered('sales', REPORTS, ENDPOINT);
  const same = async () => expect(facts(await registered())).toEqual(facts(all));

  aws.attachPolicy(agent, policy('Deny', ['redshift:DescribeClusters']), 'deny');
  expect(await nextRound()).toEqual([expect.stringMatching(/not authorized to perform: redshift:DescribeClusters/)]);
  await same();
  aws.attachPolicy(
    agent,
    policy('Deny', ['redshift-serverless:ListEndpointAccess', 'redshift-serverless:ListTagsForResource']),
    'deny',
  );
  expect((await nextRound()).sort()).toEqual([
    expect.stringMatching(/^VPC endpoints: .*not authorized/),
    expect.stringMatching(/^tags of reports: .*not authorized/),
  ]);
  await same();
  await services.splice(0)[0]!.close();
  // What this one finds before it has ever been told the tags.
  const { tags, ...withoutTags } = matcher;
  expect(tags).toBeDefined();
  await start({ matchers: [matcher, { ...withoutTags, types: ['redshift-serverless'], tags: { '*': '*' } }] });
  await nextRound();
  await same();
  await services.splice(0)[0]!.close();

  process.env.AWS_ENDPOINT_URL = `http://127.0.0.1:${await freePort()}`;
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_ENDPOINT_URL_')) delete process.env[name];
  await start();
  expect(await nextRound()).toHaveLength(2);
  await same();
  await services.splice(0)[0]!.close();

  process.env = { ...before, ...aws.env(agent), AWS_MAX_ATTEMPTS: '1' };
  aws.attachPolicy(agent, policy('Allow', ['redshift:*']), 'deny');
  reports.status = 'DELETING';
  await start();
  await untilRegistered('sales');
});

/** Without what a write changes. */
const facts = (databases: Map<string, Database>) =>
  [...databases.values()].map(({ metadata: { name, labels }, spec }) => ({ name, labels, spec }));

test('S8 a name that the cluster has already is left to whom it belongs, and that is said', async () => {
  fill();
  const spec = { protocol: 'postgres', uri: 'db.example.com:5432' };
  await admin.auth.createDatabase({
    kind: 'db',
    version: 'v3',
    metadata: { name: 'sales', labels: { 'teleport.dev/origin': 'dynamic' } },
    spec,
  });
  await start();
  await untilRegistered('sales', REPORTS, ENDPOINT);
  expect(await nextRound()).toEqual([
    'the cluster has a database "sales" already that is not of the cloud: give the one in AWS another name, with the tag teleport.dev/database_name',
  ]);
  expect((await registered()).get('sales')!.spec).toMatchObject(spec);
});

test('a Discovery Service that Auth does not let in is cut off until it is let in again, and changes nothing', async () => {
  const { sales } = fill();
  const service = await start();
  await untilRegistered('sales', REPORTS, ENDPOINT);
  expect(service.isCutOff).toBe(false);
  const { hostId } = await cluster.identity('Discovery');
  await admin.auth.upsertLock({ metadata: { name: 'l1' }, spec: { target: { serverId: hostId } } });
  await until('it is cut off', () => service.isCutOff || undefined);
  sales.status = 'deleting';
  const looks = () => aws.count('redshift:DescribeClusters');
  const before = looks();
  // When the second look begins, what the first one saw has been taken to Auth.
  await until('it has looked again', () => looks() > before + 1 || undefined);
  expect((await registered()).has('sales')).toBe(true);
  await admin.auth.deleteLock({ name: 'l1' });
  await untilRegistered(REPORTS, ENDPOINT);
  await until('it is back', () => !service.isCutOff || undefined);
});

test('S8 what another service of the group was quicker with is not a failure', async () => {
  const { sales } = fill();
  const client = await cluster.asHost('Discovery');
  await start();
  const all = await untilRegistered('sales', REPORTS, ENDPOINT);
  await services.splice(0)[0]!.close();
  sales.status = 'deleting';
  // It has looked before the other one made and removed anything.
  const page = await client.auth.listDatabases({});
  const behind = page.databases.filter(({ metadata }) => metadata!.name === 'sales');
  await client.auth.deleteDatabase({ name: 'sales' });
  const auth = Object.assign(Object.create(client.auth) as AuthClient['auth'], {
    listDatabases: async () => ({ ...page, databases: behind }),
  });
  const stale = { auth, discovery: client.discovery, databaseAgent: client.databaseAgent, close: async () => {} };
  services.push(new DiscoveryService(await optionsOf(), stale as unknown as AuthClient));
  expect(await nextRound()).toEqual([]);
  expect([...(await registered()).keys()]).toEqual([...all.keys()].filter((name) => name !== 'sales'));
});

test('S8 two groups leave each other alone', async () => {
  fill();
  await start({ group: 'one', matchers: [{ ...matcher, types: ['redshift'] }] });
  await start({ group: 'two', matchers: [{ ...matcher, types: ['redshift-serverless'] }] });
  const all = await untilRegistered('sales', REPORTS, ENDPOINT);
  expect(all.get('sales')!.metadata.labels).toMatchObject({ [GROUP]: 'one' });
  expect(all.get(REPORTS)!.metadata.labels).toMatchObject({ [GROUP]: 'two' });
  await nextRound();
  expect((await registered()).size).toBe(3);
  expect(await cluster.events('db.delete')).toEqual([]);
});

const good = {
  kind: 'db',
  version: 'v3',
  metadata: { name: 'mine', labels: { 'teleport.dev/origin': 'cloud' } },
  spec: { protocol: 'postgres', uri: `mine.abc123.${region}.redshift.amazonaws.com:5439` },
};

test.each([
  ['of another origin', { ...good, metadata: { name: 'mine', labels: { 'teleport.dev/origin': 'dynamic' } } }],
  ['at a server of its own', { ...good, spec: { ...good.spec, uri: 'evil.example.com:5439' } }],
  ['with a certificate of its own', { ...good, spec: { ...good.spec, tls: { mode: 2 } } }],
])('a Discovery Service registers nothing %s', async (_, database) => {
  const client = await cluster.asHost('Discovery');
  await expect(client.auth.createDatabase(database)).rejects.toMatchObject({ code: 'AccessDenied' });
  await client.auth.createDatabase(good);
  await expect(client.auth.updateDatabase(database)).rejects.toMatchObject({ code: 'AccessDenied' });
});

test('a Discovery Service sees and deletes nothing that a person has made', async () => {
  await admin.auth.createDatabase({ ...good, metadata: { name: 'hers', labels: {} } });
  const client = await cluster.asHost('Discovery');
  expect(await listDatabases(client)).toEqual([]);
  await expect(client.auth.getDatabase({ name: 'hers' })).rejects.toMatchObject({ code: 'NotFound' });
  await expect(client.auth.deleteDatabase({ name: 'hers' })).rejects.toMatchObject({ code: 'NotFound' });
});

test('a report that is too large is refused, and one of a service that is gone is forgotten', async () => {
  const client = await cluster.asHost('Discovery');
  const search = { type: 'redshift', region, failures: [] };
  const large = Array.from({ length: 1_001 }, () => search);
  await expect(client.discovery.reportSearches({ searches: large })).rejects.toMatchObject({ code: 'LimitExceeded' });
  const failures = ['x'.repeat(300_000)];
  await expect(client.discovery.reportSearches({ searches: [{ ...search, failures }] })).rejects.toMatchObject({
    code: 'LimitExceeded',
  });
  await client.discovery.reportSearches({ searches: [search], intervalSeconds: 3_600 });
  const hosts = async () => (await admin.discovery.listSearches({})).hosts;
  expect(await hosts()).toMatchObject([{ role: 'Discovery', said: { searches: [search] } }]);
  cluster.ahead = 2 * 3_600_000;
  expect(await hosts()).toHaveLength(1);
  cluster.ahead = 4 * 3_600_000;
  expect(await hosts()).toEqual([]);
});
