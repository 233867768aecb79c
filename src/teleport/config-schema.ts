/**
 * What may stand in a `teleport.yaml`, as data, and one strict walk over the parsed file: an unknown key or a wrong value
 * is an error that names the file, the line, the key and what is allowed. Only `config.ts` reads the result.
 *
 * Source: Teleport 18 configuration reference; database-service.md section 11.
 */
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { didYouMean, TeleportError } from '../errors.js';
import { redactValue, yamlReason } from '../redact.js';

export type Schema =
  | { type: 'text'; values?: readonly string[] }
  | { type: 'flag' } // yes, no, true, false, on, off, 1, 0, quoted or not
  | { type: 'number' }
  | { type: 'texts' } // one text or a list of texts
  | { type: 'list'; of: Schema }
  | { type: 'labels'; single?: true } // any key to text or list of text; single: to text
  | { type: 'map'; keys: Record<string, Schema> }
  | { type: 'any' }; // sections of other products: read over, never used

const text: Schema = { type: 'text' };
const texts: Schema = { type: 'texts' };
const flag: Schema = { type: 'flag' };
const labels: Schema = { type: 'labels' };
const singleLabels: Schema = { type: 'labels', single: true };
const any: Schema = { type: 'any' };
const map = (keys: Record<string, Schema>): Schema => ({ type: 'map', keys });
const list = (of: Schema): Schema => ({ type: 'list', of });
const oneOf = (...values: string[]): Schema => ({ type: 'text', values });

const awsOfDatabase = map({
  region: text,
  account_id: text,
  assume_role_arn: text,
  external_id: text,
  session_tags: singleLabels,
  redshift: map({ cluster_id: text }),
  redshift_serverless: map({ workgroup_name: text, endpoint_name: text }),
  rds: map({ instance_id: text, cluster_id: text }),
  elasticache: any,
  elasticache_serverless: any,
  memorydb: any,
  secret_store: any,
});

const database = map({
  name: text,
  description: text,
  protocol: text,
  uri: text,
  ca_cert_file: text,
  tls: map({
    mode: oneOf('verify-full', 'verify-ca', 'insecure'),
    server_name: text,
    ca_cert_file: text,
    trust_system_cert_pool: flag,
  }),
  static_labels: singleLabels,
  dynamic_labels: list(map({ name: text, period: text, command: list(text) })),
  aws: awsOfDatabase,
  admin_user: map({ name: text, default_database: text }),
  mysql: any,
  gcp: any,
  azure: any,
  ad: any,
  oracle: any,
  mongo_atlas: any,
});

/** Sections of products that this program does not have; `enabled: yes` in one is said in the log. */
export const OTHER_SERVICES = [
  'ssh_service',
  'app_service',
  'kubernetes_service',
  'windows_desktop_service',
  'discovery_service',
  'okta_service',
  'jamf_service',
  'debug_service',
  'relay_service',
] as const;

export const CONFIG_SCHEMA: Schema = map({
  version: oneOf('v1', 'v2', 'v3'),
  teleport: map({
    nodename: text,
    data_dir: text,
    pid_file: text,
    auth_token: text,
    join_params: map({ token_name: text, method: oneOf('token') }),
    auth_server: text,
    auth_servers: texts,
    proxy_server: text,
    ca_pin: texts,
    advertise_ip: text,
    diag_addr: text,
    log: map({
      output: text,
      severity: text,
      format: map({ output: oneOf('text', 'json'), extra_fields: list(text) }),
    }),
    connection_limits: any,
    storage: map({ type: oneOf('sqlite', 'dir'), path: text }),
    cache: any,
  }),
  auth_service: map({
    enabled: flag,
    listen_addr: text,
    public_addr: texts,
    cluster_name: text,
    proxy_listener_mode: oneOf('multiplex', 'separate'),
    tokens: list(text),
    authentication: map({
      type: oneOf('local'),
      second_factor: oneOf('off', 'otp', 'on', 'optional', 'webauthn'),
      second_factors: list(text),
      connector_name: text,
      local_auth: flag,
      default_session_ttl: text,
      require_session_mfa: text,
      locking_mode: oneOf('best_effort', 'strict'),
      signature_algorithm_suite: oneOf('legacy', 'balanced-v1', 'fips-v1', 'hsm-v1'),
      webauthn: any,
      passwordless: flag,
      headless: flag,
      device_trust: any,
    }),
    message_of_the_day: text,
    disconnect_expired_cert: flag,
    client_idle_timeout: text,
    session_recording: text,
    license_file: text,
    keep_alive_interval: text,
    keep_alive_count_max: { type: 'number' },
    routing_strategy: text,
    tunnel_strategy: any,
  }),
  proxy_service: map({
    enabled: flag,
    web_listen_addr: text,
    listen_addr: text,
    tunnel_listen_addr: text,
    public_addr: texts,
    ssh_public_addr: texts,
    tunnel_public_addr: texts,
    postgres_listen_addr: text,
    postgres_public_addr: texts,
    mysql_listen_addr: text,
    https_key_file: text,
    https_cert_file: text,
    https_keypairs: list(map({ key_file: text, cert_file: text })),
    https_keypairs_reload_interval: text,
    acme: map({ enabled: flag, email: text, uri: text }),
    proxy_protocol: oneOf('on', 'off', 'unspecified'),
    trust_x_forwarded_for: flag,
    ui: any,
    kubernetes: any,
    kube_listen_addr: text,
    kube_public_addr: texts,
  }),
  db_service: map({
    enabled: flag,
    databases: list(database),
    resources: list(map({ labels, aws: map({ assume_role_arn: text, external_id: text }) })),
    aws: list(
      map({
        types: list(text),
        regions: list(text),
        tags: labels,
        assume_role_arn: text,
        external_id: text,
        integration: text,
        ssm: any,
        install: any,
      }),
    ),
    azure: any,
  }),
  ...Object.fromEntries(OTHER_SERVICES.map((name) => [name, any])),
});

const FLAGS: Record<string, boolean> = {
  yes: true,
  y: true,
  true: true,
  on: true,
  '1': true,
  no: false,
  n: false,
  false: false,
  off: false,
  '0': false,
};

/**
 * Parse and check a configuration file.
 *
 * @param source  the text
 * @param file  its name, for errors
 * @returns plain values: flags are booleans, `texts` are arrays, labels are texts or arrays of texts
 * @throws BadParameter with every mistake of the file, one a line
 */
export function parseConfigText(source: string, file: string): Record<string, unknown> {
  const lines = new LineCounter();
  const document = parseDocument(source, { lineCounter: lines, schema: 'core', uniqueKeys: true });
  const mistakes = document.errors.map((error) => {
    const line = lines.linePos(error.pos[0]).line;
    return `line ${line}: ${yamlReason(error.message)}`;
  });
  const lineOf = (node: Node | null | undefined) => lines.linePos(node?.range?.[0] ?? 0).line;

  const walk = (node: Node | null | undefined, schema: Schema, path: string): unknown => {
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) return undefined;
    const wrong = (wanted: string) => {
      mistakes.push(`line ${lineOf(node)}: ${path}: expected ${wanted}`);
      return undefined;
    };
    switch (schema.type) {
      case 'any':
        return (node as { toJSON?: () => unknown }).toJSON?.();
      case 'text': {
        if (!isScalar(node)) return wrong('a text');
        const value = String(node.value);
        if (schema.values && !schema.values.includes(value))
          return wrong(`one of ${schema.values.join(', ')}, got "${redactValue(String(value))}"`);
        return value;
      }
      case 'number': {
        const value = isScalar(node) ? Number(node.value) : Number.NaN;
        return Number.isInteger(value) ? value : wrong('a whole number');
      }
      case 'flag': {
        const value = isScalar(node) ? FLAGS[String(node.value).toLowerCase()] : undefined;
        return value ?? wrong('yes or no');
      }
      case 'texts':
        if (isScalar(node)) return String(node.value) === '' ? [] : [String(node.value)];
        if (!isSeq(node)) return wrong('a text or a list of texts');
        return node.items.map((item) => walk(item as Node, text, path));
      case 'list':
        if (!isSeq(node)) return wrong('a list');
        return node.items
          .map((item, index) => walk(item as Node, schema.of, `${path}[${index}]`))
          .filter((item) => item !== undefined);
      case 'labels': {
        if (!isMap(node)) return wrong('a map of labels');
        return Object.fromEntries(
          node.items.map((pair) => {
            const value = pair.value as Node | null;
            const key = String((pair.key as { value?: unknown })?.value ?? pair.key);
            return [
              key,
              isSeq(value) && !schema.single
                ? walk(value, list(text), `${path}.${key}`)
                : (walk(value, text, `${path}.${key}`) ?? ''),
            ];
          }),
        );
      }
      case 'map': {
        if (!isMap(node)) return wrong('a map of keys and values');
        const value: Record<string, unknown> = {};
        for (const pair of node.items) {
          const key = String((pair.key as { value?: unknown })?.value ?? pair.key);
          const below = schema.keys[key];
          if (!below) {
            const where = path === '' ? 'the file' : path;
            mistakes.push(
              `line ${lineOf(pair.key as Node)}: field ${key} not found in ${where}, allowed: ${Object.keys(schema.keys).join(', ')}${didYouMean(key, Object.keys(schema.keys))}`,
            );
            continue;
          }
          const read = walk(pair.value as Node | null, below, path === '' ? key : `${path}.${key}`);
          if (read !== undefined) value[key] = read;
        }
        return value;
      }
    }
  };
  const root = document.errors.length > 0 ? {} : walk(document.contents as Node | null, CONFIG_SCHEMA, '');
  if (mistakes.length > 0) {
    throw new TeleportError('BadParameter', `failed parsing the config file: ${file}\n\t${mistakes.join('\n\t')}`, {
      hint: `Correct the file, then check it with: teleport configure --test=${file}`,
    });
  }
  return (root as Record<string, unknown> | undefined) ?? {};
}
