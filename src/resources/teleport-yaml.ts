/**
 * What may stand in a `teleport.yaml`, typed once: the grammar, the types of its values, and which of it has no effect here.
 * `teleport` starts what it says; `tctl` finds the
 * Auth Service of its host in it.
 *
 * Source: Teleport 18 configuration reference; database-service.md 11.
 */

import { mistakesText, TeleportError } from '../errors.js';
import { SIGNATURE_SUITES } from '../pki/suites.js';
import { shellWord } from '../shell-word.js';
import {
  any,
  each,
  firstOf,
  flag,
  formality,
  labelSelector,
  labels,
  list,
  map,
  oneOf,
  open,
  type Read,
  Reading,
  text,
  texts,
  unused,
  type Written,
  wholeNumber,
} from './schema.js';
import { TLS_MODES } from './types.js';

export const FILE_VERSIONS = ['v1', 'v2', 'v3'] as const;

/** Which of it has no effect is the same as in a `db` resource: `resources/kept-keys.ts`. */
const awsOfDatabase = map({
  region: text,
  account_id: text,
  assume_role_arn: text,
  external_id: text,
  session_tags: labels,
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
    mode: oneOf(...TLS_MODES),
    server_name: text,
    ca_cert_file: text,
    trust_system_cert_pool: flag,
  }),
  static_labels: labels,
  dynamic_labels: list(map({ name: text, period: text, command: list(text) })),
  aws: awsOfDatabase,
  admin_user: map({ name: text, default_database: text }),
  mysql: unused(any),
  gcp: unused(any),
  azure: unused(any),
  ad: unused(any),
  oracle: unused(any),
  mongo_atlas: unused(any),
});

const awsMatchers = list(
  map({
    types: list(text),
    regions: list(text),
    tags: labelSelector,
    assume_role_arn: text,
    external_id: text,
    integration: text,
    ssm: formality(any),
    install: formality(any),
  }),
);

/** Sections of products that this program does not have; `enabled: yes` in one is said in the log. */
export const OTHER_SERVICES = [
  'ssh_service',
  'app_service',
  'kubernetes_service',
  'windows_desktop_service',
  'okta_service',
  'jamf_service',
  'debug_service',
  'relay_service',
] as const;

export const CONFIG_SCHEMA = map({
  version: formality(oneOf(...FILE_VERSIONS)),
  teleport: map({
    nodename: text,
    data_dir: text,
    pid_file: text,
    auth_token: text,
    join_params: map({ token_name: text, method: oneOf('token', 'iam') }),
    auth_server: text,
    auth_servers: texts,
    proxy_server: text,
    ca_pin: texts,
    advertise_ip: unused(text),
    diag_addr: text,
    log: map({
      output: text,
      severity: text,
      format: map({ output: oneOf('text', 'json'), extra_fields: unused(list(text)) }),
    }),
    connection_limits: map({
      max_connections: wholeNumber,
      // Without effect in Teleport too.
      max_users: unused(wholeNumber),
      rates: list(map({ period: text, average: wholeNumber, burst: wholeNumber })),
    }),
    storage: unused(map({ type: oneOf('sqlite', 'dir'), path: text })),
    cache: unused(any),
  }),
  auth_service: map({
    enabled: flag,
    listen_addr: text,
    public_addr: unused(texts),
    cluster_name: text,
    proxy_listener_mode: oneOf('multiplex', 'separate'),
    tokens: list(text),
    authentication: map({
      type: formality(oneOf('local')),
      second_factor: oneOf('off', 'otp', 'on', 'optional', 'webauthn'),
      second_factors: list(text),
      connector_name: unused(text),
      local_auth: flag,
      default_session_ttl: text,
      require_session_mfa: text,
      locking_mode: oneOf('best_effort', 'strict'),
      signature_algorithm_suite: oneOf(...SIGNATURE_SUITES),
      webauthn: unused(any),
      passwordless: unused(flag),
      headless: unused(flag),
      device_trust: unused(open({ mode: text })),
    }),
    message_of_the_day: text,
    disconnect_expired_cert: flag,
    client_idle_timeout: text,
    audit_signing_key: text,
    audit_retention: text,
    session_recording: unused(text),
    license_file: unused(text),
    keep_alive_interval: unused(text),
    keep_alive_count_max: unused(wholeNumber),
    routing_strategy: unused(text),
    tunnel_strategy: unused(any),
  }),
  proxy_service: map({
    enabled: flag,
    web_listen_addr: text,
    listen_addr: unused(text),
    tunnel_listen_addr: unused(text),
    public_addr: texts,
    ssh_public_addr: unused(texts),
    tunnel_public_addr: unused(texts),
    postgres_listen_addr: text,
    postgres_public_addr: texts,
    mysql_listen_addr: unused(text),
    https_key_file: text,
    https_cert_file: text,
    https_keypairs: firstOf(map({ key_file: text, cert_file: text })),
    https_keypairs_reload_interval: text,
    // The last two are not Teleport's.
    acme: map({
      enabled: flag,
      email: text,
      uri: text,
      ca_file: text,
      eab: map({ key_id: text, hmac_key_file: text }),
    }),
    proxy_protocol: oneOf('on', 'off', 'unspecified'),
    // Not Teleport's: it believes a header from everywhere.
    proxy_protocol_from: texts,
    trust_x_forwarded_for: unused(flag),
    ui: unused(any),
    kubernetes: unused(any),
    kube_listen_addr: unused(text),
    kube_public_addr: unused(texts),
  }),
  db_service: map({
    enabled: flag,
    databases: list(database),
    resources: list(map({ labels: labelSelector, aws: map({ assume_role_arn: text, external_id: text }) })),
    aws: awsMatchers,
    azure: unused(any),
  }),
  discovery_service: map({
    enabled: flag,
    discovery_group: text,
    poll_interval: text,
    aws: awsMatchers,
    azure: unused(any),
    gcp: unused(any),
    kubernetes: unused(any),
    access_graph: unused(any),
  }),
  ...each(OTHER_SERVICES, open({ enabled: text })),
});

/** A file as it was read: nothing in it is required, and no default is filled in. */
export type TeleportFile = Read<typeof CONFIG_SCHEMA>;
/** A file as a program writes it: the same keys, with `yes` and `no` for flags and a text for a list of one. */
export type WrittenFile = Written<typeof CONFIG_SCHEMA>;
/** One entry of `db_service.databases`. */
export type DatabaseEntry = Read<typeof database>;

/** @throws BadParameter with every mistake of the file, one a line. @param file  its name, for errors */
export function parseConfigText(source: string, file: string): TeleportFile {
  const reading = new Reading(source);
  const { document, mistakes } = reading;
  const values = mistakes.length > 0 ? undefined : CONFIG_SCHEMA.read(document.contents, '', reading);
  if (mistakes.length === 0) return values ?? {};
  throw new TeleportError(
    'BadParameter',
    `failed parsing the config file: ${file}\n\t${mistakesText(mistakes, '\n\t')}`,
    {
      hint: `Correct the file, then check it with: teleport configure --test=${shellWord(file)}`,
    },
  );
}

/**
 * Read a file to look something up in it: what only `teleport start` needs to refuse is passed over.
 *
 * @throws BadParameter when it is not YAML. @param file  its name, for errors
 */
export function lookIntoConfigText(source: string, file: string): TeleportFile {
  const reading = new Reading(source);
  const [mistake] = reading.mistakes;
  if (mistake === undefined) return CONFIG_SCHEMA.read(reading.document.contents, '', reading) ?? {};
  throw new TeleportError('BadParameter', `failed parsing the config file: ${file} ${mistake}`);
}

/** Paths of what is set in a file and has no effect, but for services that do not run. */
export function settingsWithoutEffect(
  values: TeleportFile,
  enabled: { auth: boolean; proxy: boolean; db: boolean; discovery: boolean },
): string[] {
  const { auth_service: auth, proxy_service: proxy, db_service: db, discovery_service: discovery, ...others } = values;
  return CONFIG_SCHEMA.withoutEffect(
    {
      ...others,
      ...(enabled.auth && { auth_service: auth }),
      ...(enabled.proxy && { proxy_service: proxy }),
      ...(enabled.db && { db_service: db }),
      ...(enabled.discovery && { discovery_service: discovery }),
    },
    '',
  );
}
