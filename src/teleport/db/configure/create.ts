/** `teleport db configure create`: the configuration of an agent from flags. Source: cli.md 7.4, database-service.md 12.1. */
import { hostname } from 'node:os';
import type { Env } from '../../../cli/env.js';
import { print, printLine } from '../../../cli/output.js';
import { refuseSecrets } from '../../../cli/refuse-secrets.js';
import { DEFAULT_CONFIG_FILE, DEFAULT_DATA_DIR } from '../../../resources/default-paths.js';
import { parseLabelSpec } from '../../../resources/labels.js';
import { parseConfigText } from '../../../resources/teleport-yaml.js';
import { outputPath, writeNewFile } from '../../output-file.js';
import { type AgentDatabase, agentConfigText } from './agent-config.js';
import { type DatabaseFlags, databaseAws } from './database-flags.js';

export interface ConfigureCreateArgs extends DatabaseFlags {
  output: string;
  proxy: string;
  token: string;
  caPin: string[];
  labels?: string | undefined;
  dynamicResourcesLabels: string[];
  awsTags?: string | undefined;
  trustSystemCertPool: boolean;
  caCertFile?: string | undefined;
  [discovery: string]: unknown;
}

/** Flag → type, in the order of the file. */
const DISCOVERY = [
  ['rdsDiscovery', 'rds'],
  ['rdsproxyDiscovery', 'rdsproxy'],
  ['redshiftDiscovery', 'redshift'],
  ['redshiftServerlessDiscovery', 'redshift-serverless'],
  ['elasticacheDiscovery', 'elasticache'],
  ['elasticacheServerlessDiscovery', 'elasticache-serverless'],
  ['memorydbDiscovery', 'memorydb'],
  ['opensearchDiscovery', 'opensearch'],
] as const;

export async function run(env: Env, args: ConfigureCreateArgs): Promise<void> {
  const { token: _, ...open } = args;
  refuseSecrets(open);
  const path = outputPath(args.output, DEFAULT_CONFIG_FILE);
  const text = agentConfigText({
    nodename: hostname(),
    dataDir: DEFAULT_DATA_DIR,
    proxy: args.proxy,
    token: args.token,
    caPins: args.caPin,
    dynamicResources: args.dynamicResourcesLabels.map(parseLabelSpec),
    discovery: DISCOVERY.map(([flag, type]) => ({ type, regions: (args[flag] as string[] | undefined) ?? [] })).filter(
      ({ regions }) => regions.length > 0,
    ),
    awsTags: args.awsTags ? parseLabelSpec(args.awsTags) : { '*': '*' },
    database: database(args),
  });
  parseConfigText(text, path ?? 'the new configuration');
  if (path === undefined) return print(env, `\n${text}`);
  await writeNewFile(path, text, 0o600);
  printLine(env, `Wrote config to file "${path}". Now you can start the server. Happy Teleporting!`);
}

function database(args: ConfigureCreateArgs): AgentDatabase | undefined {
  if (!args.name && !args.protocol && !args.uri) return undefined;
  return {
    name: args.name ?? '',
    protocol: args.protocol ?? '',
    uri: args.uri ?? '',
    labels: args.labels ? parseLabelSpec(args.labels) : {},
    caCertFile: args.caCertFile,
    trustSystemCertPool: args.trustSystemCertPool,
    aws: databaseAws(args),
  };
}
