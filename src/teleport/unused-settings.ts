/** Keys of `teleport.yaml` and flags of `start` that are accepted and have no effect, so that the log can say so. Pure. */
import type { StartFlags } from './config.js';

type Raw = Record<string, unknown>;

/** By section; the three services count only when they run. */
const UNUSED: Record<string, readonly string[]> = {
  teleport: ['advertise_ip', 'connection_limits', 'storage', 'cache', 'log.format.extra_fields'],
  auth_service: [
    'public_addr',
    'authentication.connector_name',
    'authentication.webauthn',
    'authentication.passwordless',
    'authentication.headless',
    'authentication.device_trust',
    'session_recording',
    'license_file',
    'keep_alive_interval',
    'keep_alive_count_max',
    'routing_strategy',
    'tunnel_strategy',
  ],
  proxy_service: [
    'listen_addr',
    'tunnel_listen_addr',
    'ssh_public_addr',
    'tunnel_public_addr',
    'postgres_listen_addr',
    'postgres_public_addr',
    'mysql_listen_addr',
    'trust_x_forwarded_for',
    'ui',
    'kubernetes',
    'kube_listen_addr',
    'kube_public_addr',
  ],
  db_service: ['azure'],
};

/** Keys of an entry of `db_service.databases` that are about other databases and clouds. */
const OF_OTHER_DATABASES = ['mysql', 'gcp', 'azure', 'ad', 'oracle', 'mongo_atlas'];

/** @returns full paths of keys, and flags with their dashes */
export function unusedSettings(
  flags: StartFlags,
  raw: Raw,
  enabled: { auth: boolean; proxy: boolean; db: boolean },
): string[] {
  const isOff: Record<string, boolean> = {
    auth_service: !enabled.auth,
    proxy_service: !enabled.proxy,
    db_service: !enabled.db,
  };
  const found = Object.entries(UNUSED).flatMap(([section, keys]) =>
    isOff[section] ? [] : keys.map((key) => `${section}.${key}`).filter((path) => isGiven(at(raw, path))),
  );
  if (enabled.proxy) {
    // Reached only with a certificate given: without one this is an error.
    if (at(raw, 'proxy_service.acme.enabled') === true) found.push('proxy_service.acme');
    const pairs = at(raw, 'proxy_service.https_keypairs');
    if (Array.isArray(pairs) && pairs.length > 1) found.push('proxy_service.https_keypairs[1] and later');
  }
  if (enabled.db) {
    const databases = at(raw, 'db_service.databases');
    for (const [index, database] of (Array.isArray(databases) ? (databases as Raw[]) : []).entries()) {
      found.push(
        ...OF_OTHER_DATABASES.filter((key) => isGiven(database[key])).map(
          (key) => `db_service.databases[${index}].${key}`,
        ),
      );
    }
  }
  if (flags.fips) found.push('--fips');
  if (flags.permitUserEnv) found.push('--permit-user-env');
  if (flags.advertiseIp) found.push('--advertise-ip');
  return found;
}

function at(raw: Raw, path: string): unknown {
  let value: unknown = raw;
  for (const key of path.split('.')) value = (value as Raw | undefined)?.[key];
  return value;
}

function isGiven(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}
