/** `tctl tokens add`: an invitation for an agent. Source: cli.md 6.2. */
import { randomBytes } from 'node:crypto';
import type { AuthClient } from '../../api/client.js';
import { toMessage } from '../../api/convert.js';
import type { Env } from '../../cli/env.js';
import { print, printJson, printLine, yamlText } from '../../cli/output.js';
import { refuseSecrets } from '../../cli/refuse-secrets.js';
import { isTeleportError, TeleportError } from '../../errors.js';
import { spkiPin, splitPem } from '../../pki/x509.js';
import { masked } from '../../redact.js';
import { parseLabelSpec } from '../../resources/labels.js';
import { TRUST_ROLES } from '../../resources/system-role.js';
import type { WrittenFile } from '../../resources/teleport-yaml.js';
import type { ProvisionToken } from '../../resources/types.js';
import { normalRole } from '../../resources/validate.js';
import { shellWord } from '../../shell-word.js';
import { type AdminArgs, connectAdmin } from '../connect.js';

export interface TokensAddArgs extends AdminArgs {
  type: string[];
  value?: string | undefined;
  /** Milliseconds. */
  ttl: number;
  format?: 'text' | 'json' | 'yaml' | undefined;
  labels?: string | undefined;
  databases?: string[] | undefined;
  dbLabels?: string | undefined;
  dbName?: string | undefined;
  dbProtocol?: string | undefined;
  dbUri?: string | undefined;
}

export async function run(env: Env, args: TokensAddArgs): Promise<void> {
  const { dbName, dbProtocol, dbUri, labels: labelText, databases = [], dbLabels } = args;
  refuseSecrets({ dbName, dbProtocol, dbUri, labels: labelText, dbLabels });
  const roles = args.type.map(normalRole);
  if (args.ttl <= 0) throw new TeleportError('BadParameter', '--ttl must be longer than 0: no host could join with it');
  const labels = args.labels ? parseLabelSpec(args.labels) : undefined;
  const binding: Pick<ProvisionToken['spec'], 'databases' | 'db_labels'> = {
    ...(databases.length > 0 ? { databases } : {}),
    ...(dbLabels ? { db_labels: parseLabelSpec(dbLabels) } : {}),
  };
  if (Object.keys(binding).length > 0 && !roles.includes('Db')) {
    throw new TeleportError(
      'BadParameter',
      '--databases and --db-labels are about agents for databases: add --type=db',
    );
  }
  const name = args.value || randomBytes(16).toString('hex');
  const expires = new Date(env.now().getTime() + args.ttl);
  const token: ProvisionToken = {
    kind: 'token',
    version: 'v2',
    metadata: { name, ...(labels ? { labels } : {}), expires: expires.toISOString() },
    spec: { roles, join_method: 'token', ...binding },
  };
  await using client = await connectAdmin(env, args);
  try {
    await client.auth.createTokenV2({ token: { case: 'v2', value: toMessage('token', token) } });
  } catch (error) {
    if (!isTeleportError(error, 'AlreadyExists')) throw error;
    throw new TeleportError(
      'AlreadyExists',
      `failed to create token ("${masked(name)}" already exists), please use another name`,
    );
  }
  const value = { expires: expires.toISOString(), roles, token: name };
  if (args.format === 'text') return printLine(env, name);
  if (args.format === 'json') return printJson(env, value, { indent: 1, newline: false });
  if (args.format === 'yaml') return print(env, tokenYaml(await yamlText(value)));
  await explain(env, client, args, roles, name);
}

/** Teleport prints this one with another YAML writer: lists four columns in, the time without quotes. */
function tokenYaml(text: string): string {
  return text.replace(/^- /gm, '    - ').replace(/^(expires: )"(.*)"$/m, '$1$2');
}

function explainTrust(env: Env, { ttl }: TokensAddArgs, token: string): void {
  printLine(env, `The cluster invite token: ${token}`);
  printLine(env, `This token will expire in ${Math.round(ttl / 60_000)} minutes`);
  printLine(env);
  printLine(env, 'Use this token when defining a trusted cluster resource on a remote cluster.');
}

/** What an agent joins with. */
interface Invitation {
  token: string;
  pins: string[];
  minutes: number;
}

async function explainDiscovery(env: Env, { token, pins, minutes }: Invitation, proxy: string): Promise<void> {
  const file: WrittenFile = {
    version: 'v3',
    teleport: { proxy_server: proxy, join_params: { method: 'token', token_name: token }, ca_pin: pins },
    auth_service: { enabled: 'no' },
    proxy_service: { enabled: 'no' },
    discovery_service: {
      enabled: 'yes',
      discovery_group: 'main',
      aws: [{ types: ['redshift', 'redshift-serverless'], regions: ['us-east-1'] }],
    },
  };
  printLine(env, 'Write this to /etc/teleport.yaml on the new host, with the regions in which to look:');
  printLine(env);
  print(env, await yamlText(file, { sort: false }));
  printLine(env);
  printLine(env, '> teleport start -c /etc/teleport.yaml');
  printNotes(env, minutes, [
    'Services with one discovery_group must look for the same: each removes what it does not find.',
    'It needs AWS credentials that may call redshift:DescribeClusters and, of redshift-serverless,\n    ListWorkgroups, ListEndpointAccess and ListTagsForResource.',
  ]);
}

function explainDatabase(env: Env, { token, pins, minutes }: Invitation, proxy: string, args: TokensAddArgs): void {
  const { dbName = '', dbProtocol = '', dbUri = '' } = args;
  printLine(env, 'Write a configuration for the Database Service with it and start the service:');
  printLine(env);
  printCommand(
    env,
    'teleport db configure create',
    [
      ['token', token],
      ...pins.map((pin): Flag => ['ca-pin', pin]),
      ['proxy', proxy],
      ['name', dbName],
      ['protocol', dbProtocol],
      ['uri', dbUri],
    ],
    '   --output file:///etc/teleport.yaml',
  );
  printLine(env);
  printLine(env, '> teleport start -c /etc/teleport.yaml');
  printNotes(env, minutes, [
    'The database must be reachable from the host of the new service.',
    'A self-hosted database needs the certificates of "tctl auth sign --format=db".',
    'Amazon Redshift needs AWS credentials: "teleport db configure aws print-iam" prints the policy.',
  ]);
}

function explainStart(env: Env, { token, pins, minutes }: Invitation, address: string, types: string[]): void {
  printLine(env, 'Run this on the new host to join it to the cluster:');
  printLine(env);
  printCommand(env, 'teleport start', [
    ['roles', types.join(',')],
    ['token', token],
    ...pins.map((pin): Flag => ['ca-pin', pin]),
    ['auth-server', address],
  ]);
  printNotes(env, minutes, ['The address above must be reachable from the new host.']);
}

type Flag = [name: string, value: string];

/** To copy: values are what somebody typed. */
function printCommand(env: Env, command: string, flags: Flag[], ...last: string[]): void {
  const words = flags.map(([name, value]) => `   --${name}=${value && shellWord(value)}`);
  printLine(env, [`> ${command}`, ...words, ...last].join(' \\\n'));
}

function printNotes(env: Env, minutes: number, notes: string[]): void {
  printLine(env);
  printLine(env, 'Please note:');
  printLine(env);
  for (const note of [`This invitation token will expire in ${minutes} minutes.`, ...notes]) {
    printLine(env, `  - ${note}`);
  }
}

async function explain(
  env: Env,
  client: AuthClient,
  args: TokensAddArgs,
  roles: string[],
  token: string,
): Promise<void> {
  if (roles.includes(TRUST_ROLES.token)) return explainTrust(env, args, token);
  const [{ tlsCa }, ping] = await Promise.all([client.auth.getClusterCACert({}), client.auth.ping({})]);
  const minutes = Math.round(args.ttl / 60_000);
  const invitation = { token, pins: splitPem(Buffer.from(tlsCa).toString()).map(spkiPin), minutes };
  const proxy = ping.proxyPublicAddr;
  printLine(env, `The invite token: ${token}`);
  printLine(env, `This token will expire in ${minutes} minutes.`);
  printLine(env);
  const isOf = (role: string) => roles.includes(role);
  if (!isOf('Db') && !isOf('Discovery')) {
    return explainStart(env, invitation, proxy || ping.remoteAddr || '127.0.0.1:3025', args.type);
  }
  if (!proxy) {
    throw new TeleportError('NotFound', 'cluster has no proxies', { hint: 'Start a Proxy Service first.' });
  }
  if (isOf('Db')) return explainDatabase(env, invitation, proxy, args);
  await explainDiscovery(env, invitation, proxy);
}
