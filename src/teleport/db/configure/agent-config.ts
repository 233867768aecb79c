/**
 * The configuration of a host that runs the Database Service only, as text with remarks; what is not used stands there
 * as a commented sample. Pure. Members, their order and quotes are those of Teleport 18, the remarks are ours.
 * Source: cli.md 7.4, database-service.md 12.1.
 */
import { samples } from './agent-config-samples.js';

export interface AgentOptions {
  nodename: string;
  dataDir: string;
  proxy: string;
  /** A token, or the absolute path of a file that holds one. */
  token: string;
  caPins: readonly string[];
  /** One entry of `resources` each. */
  dynamicResources: readonly Record<string, string>[];
  /** Database type to regions, in the order of the file. */
  discovery: readonly { type: string; regions: readonly string[] }[];
  awsTags: Record<string, string>;
  database?: AgentDatabase | undefined;
}

export interface AgentDatabase {
  name: string;
  protocol: string;
  uri: string;
  labels: Record<string, string>;
  caCertFile?: string | undefined;
  trustSystemCertPool?: boolean | undefined;
  aws?: Record<string, AwsValue> | undefined;
}

export type AwsValue = string | { [member: string]: string };

/** The file, with its last line break. */
export function agentConfigText(options: AgentOptions): string {
  const { caPins, dynamicResources, discovery, database } = options;
  return [
    '#',
    '# Configuration of a Teleport Database Service.',
    '# Its members are explained in the configuration reference of Teleport 18.',
    '#',
    'version: v3',
    'teleport:',
    `  nodename: ${quoted(options.nodename)}`,
    `  data_dir: ${quoted(options.dataDir)}`,
    `  proxy_server: ${quoted(options.proxy)}`,
    `  auth_token: ${quoted(options.token)}`,
    ...(caPins.length > 0 ? ['  ca_pin:', ...caPins.map((pin) => `  - ${quoted(pin)}`)] : []),
    '',
    'db_service:',
    '  enabled: true',
    '',
    ...(dynamicResources.length > 0 ? resourceLines(dynamicResources) : samples.resources),
    '',
    ...(discovery.length > 0 ? discoveryLines(options) : samples.aws),
    '',
    ...samples.azure,
    '',
    ...(database ? databaseLines(database) : samples.databases),
    '',
    ...['auth_service', 'ssh_service', 'proxy_service'].flatMap((name) => [`${name}:`, '  enabled: "no"']),
    '',
  ].join('\n');
}

function resourceLines(entries: readonly Record<string, string>[]): string[] {
  return [
    '  # Serve "db" resources that "tctl create" or a discovery service made, by their labels.',
    '  resources:',
    ...entries.flatMap((labels) => ['  - labels:', ...labelLines(labels, 6)]),
  ];
}

function discoveryLines({ discovery, awsTags }: AgentOptions): string[] {
  return [
    '  # Databases that are looked up in AWS.',
    '  aws:',
    ...discovery.flatMap(({ type, regions }) => [
      `  # Type ${type}.`,
      `  - types: [${quoted(type)}]`,
      '    # Where to look.',
      '    regions:',
      ...regions.map((region) => `    - ${quoted(region)}`),
      '    # Tags that a database must have in AWS.',
      '    tags:',
      ...labelLines(awsTags, 6),
    ]),
  ];
}

function databaseLines(database: AgentDatabase): string[] {
  const { name, protocol, uri, labels, aws, caCertFile, trustSystemCertPool } = database;
  return [
    '  # Databases that are always served.',
    '  databases:',
    `  - name: ${quoted(name)}`,
    `    protocol: ${quoted(protocol)}`,
    `    uri: ${quoted(uri)}`,
    ...(caCertFile || trustSystemCertPool ? ['    tls:'] : []),
    ...(caCertFile ? [`      ca_cert_file: ${quoted(caCertFile)}`] : []),
    ...(trustSystemCertPool ? ['      trust_system_cert_pool: true'] : []),
    ...(aws && Object.keys(aws).length > 0 ? ['    aws:', ...awsLines(aws, 6)] : []),
    ...(Object.keys(labels).length > 0 ? ['    static_labels:', ...labelLines(labels, 6)] : []),
  ];
}

function awsLines(members: Record<string, AwsValue>, indent: number): string[] {
  const space = ' '.repeat(indent);
  return Object.entries(members).flatMap(([name, value]) =>
    typeof value === 'string'
      ? [`${space}${name}: ${quoted(value)}`]
      : [`${space}${name}:`, ...awsLines(value, indent + 2)],
  );
}

/** Sorted by key, as Go prints a map. */
function labelLines(labels: Record<string, string>, indent: number): string[] {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted.map(([key, value]) => `${' '.repeat(indent)}${quoted(key)}: ${quoted(value)}`);
}

/** A text in double quotes; JSON's escapes are YAML's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
