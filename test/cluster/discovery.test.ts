/** Tests: src/tctl/discovery/ls.ts, src/teleport/config-discovery.ts, src/discovery/service.ts */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLogger } from '../../src/log.js';
import { readConfigFile, teleportConfig } from '../../src/teleport/config.js';
import { type RunningTeleport, startTeleport } from '../../src/teleport/running.js';
import { writeAgentConfig } from '../support/agent-config.js';
import { type AwsDouble, startAwsDouble } from '../support/aws-double.js';
import { startTestCluster, type TestCluster } from '../support/cluster.js';
import { until } from '../support/until.js';

const region = 'us-east-1';
const before = { ...process.env };
let aws: AwsDouble;
let cluster: TestCluster;
let host: RunningTeleport | undefined;

beforeAll(async () => {
  aws = await startAwsDouble();
  const Action = ['redshift:DescribeClusters'];
  const finder = aws.addUser('finder', { policies: [{ Statement: { Effect: 'Allow', Action, Resource: '*' } }] });
  aws.addRedshiftCluster({ id: 'sales', tags: { TeleportDatabaseName: 'sales', env: 'prod' } });
  cluster = await startTestCluster({ onStart: () => Object.assign(process.env, aws.env(finder)) });
}, 300_000);
afterAll(async () => {
  await host?.close({ drainMs: 0 });
  await cluster?.stop();
  process.env = { ...before };
  await aws?.stop();
});

const discovery = {
  discovery_service: {
    enabled: 'yes',
    discovery_group: 'main',
    poll_interval: '10s',
    aws: [{ types: ['redshift', 'redshift-serverless'], regions: [region] }],
  },
};

async function start(token?: string, name = 'finder', services: object = discovery): Promise<RunningTeleport> {
  const config = await writeAgentConfig(cluster, token, name, services);
  const { file, raw } = readConfigFile(config);
  return await startTeleport(teleportConfig({ config }, file, raw), {
    log: createLogger({ component: 'T', level: 'error', write: () => {} }),
    vars: { SSL_CERT_FILE: cluster.webCaFile },
  });
}

async function searches(): Promise<{ service: string; last_run: string }[]> {
  return JSON.parse(await cluster.tctlOk('discovery', 'ls', '--format=json'));
}

test('S8, S10 a Discovery Service on a host of its own joins with its token, and agents serve what it registers', async () => {
  expect((await cluster.tctl('discovery', 'ls')).stdout).toBe(
    'No service looks for databases in AWS: none has discovery_service or db_service.aws.\n',
  );
  const token = await cluster.tctlOk('tokens', 'add', '--type=discovery', '--format=text');
  host = await start(token.trim());
  const [server] = await until('an agent serves it', async () => {
    const { stdout } = await cluster.tctl('db', 'ls', 'env=prod', '--format=json');
    const servers = JSON.parse(stdout) as { spec: { database: object } }[];
    return servers.length > 0 ? servers : undefined;
  });
  expect(server!.spec.database).toMatchObject({
    metadata: { name: 'sales', labels: { 'teleport.dev/origin': 'cloud', 'teleport.dev/discovery-type': 'redshift' } },
  });

  // Without a token: the host has joined.
  await host.close({ drainMs: 0 });
  const old = (await searches()).map(({ last_run }) => last_run);
  host = await start();
  const rows = await until('its searches are reported', async () => {
    const all = await searches();
    return all.length === 2 && all.every(({ last_run }) => !old.includes(last_run)) ? all : undefined;
  });
  const common = { host: 'finder', service: 'discovery_service', discovery_group: 'main', region, assume_role_arn: '' };
  expect(rows).toMatchObject([
    { ...common, type: 'redshift', found: 1, failures: [] },
    {
      ...common,
      type: 'redshift-serverless',
      found: 0,
      last_success: '',
      failures: [expect.stringContaining('not authorized to perform: redshift-serverless:ListWorkgroups')],
    },
  ]);
  const { stdout } = await cluster.tctl('discovery', 'ls');
  expect(stdout).toMatch(/^Host +Service +Group +Type +Region +Role +Last Run +Last Success +Found +State *$/m);
  expect(stdout).toMatch(/^finder +discovery_service +main +redshift +us-east-1 +20\S+Z +20\S+Z +1 +ok *$/m);
  expect(stdout).toMatch(/redshift-serverless +us-east-1 +20\S+Z +never +0 +1 failed, see below *$/m);
  expect(stdout).toMatch(/^finder, redshift-serverless in us-east-1: .*not authorized to perform/m);
});

test('an agent that looks for itself reports it too', async () => {
  aws.addRedshiftCluster({ id: 'near' });
  const token = await cluster.tctlOk('tokens', 'add', '--type=db', '--format=text');
  await host?.close({ drainMs: 0 });
  const matcher = { types: ['redshift'], regions: [region], tags: { '*': '*' } };
  host = await start(token.trim(), 'agent', { db_service: { enabled: 'yes', aws: [matcher] } });
  const rows = await until('the search of the agent is reported', async () => {
    const own = (await searches()).filter(({ service }) => service === 'db_service');
    return own.length > 0 ? own : undefined;
  });
  expect(rows).toMatchObject([{ host: 'agent', discovery_group: '', type: 'redshift', found: 2, failures: [] }]);
  expect(await cluster.tctlOk('get', 'db', '--format=json')).not.toContain('near-redshift');
});

test('S10 tctl tokens add prints a configuration that starts', async () => {
  // Without quotes it would be no text at all.
  const value = 'null';
  const added = await cluster.tctlOk('tokens', 'add', '--type=discovery', `--value=${value}`);
  const yaml = /^version: v3\n(?:.+\n)*/m.exec(added)![0];
  const { parseConfigText } = await import('../../src/resources/teleport-yaml.js');
  const config = teleportConfig({}, 'f', parseConfigText(yaml, 'f'));
  expect(config).toMatchObject({
    proxyServer: { port: Number(cluster.proxyAddr.split(':')[1]) },
    token: value,
    discovery: { group: 'main', matchers: [{ types: ['redshift', 'redshift-serverless'], tags: { '*': '*' } }] },
    unused: [],
  });
  expect(config).not.toHaveProperty('auth');
});
