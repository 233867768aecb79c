/**
 * The section `auth_service`: defaults filled in, and refused what nothing here holds to. Source: Teleport 18 configuration
 * reference.
 */
import { TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { AUTH_PORT } from '../net/ports.js';
import { checkClusterName } from '../resources/cluster-name.js';
import {
  type ConfiguredSettings,
  checkIdleTimeout,
  checkSigning,
  secondFactorOf,
} from '../resources/cluster-settings.js';
import { listenAt, listenHost } from '../resources/config-address.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';
import type { AuthPreference } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';

export interface AuthConfig {
  listen: HostPort;
  clusterName: string;
  settings: ConfiguredSettings;
  /** `role,role:token`, kept as written. */
  staticTokens: string[];
  /** A file. */
  auditSigningKey?: string;
  auditKeepDays?: number;
}

const NAMED_AFTER_HOST = 'teleport.nodename, which is the name of the cluster without auth_service.cluster_name';

type AuthSection = NonNullable<TeleportFile['auth_service']>;

export function authConfig(raw: AuthSection, nodename: string, listenIp: string | undefined): AuthConfig {
  const settings = settingsOf(raw);
  const clusterName = raw.cluster_name ?? nodename;
  checkClusterName(clusterName, raw.cluster_name ? 'auth_service.cluster_name' : NAMED_AFTER_HOST);
  const config: AuthConfig = {
    listen: listenAt(raw.listen_addr ?? listenHost(listenIp) ?? '127.0.0.1', 'auth_service.listen_addr', AUTH_PORT),
    clusterName,
    settings,
    staticTokens: raw.tokens ?? [],
  };
  if (raw.audit_signing_key) config.auditSigningKey = raw.audit_signing_key;
  if (raw.audit_retention) config.auditKeepDays = daysOf(raw.audit_retention);
  return config;
}

function settingsOf(raw: AuthSection): AuthConfig['settings'] {
  const preference = preferenceOf(raw);
  const idle = raw.client_idle_timeout;
  checkIdleTimeout(idle, 'auth_service');
  const { session_recording: mode } = raw;
  return {
    ...(Object.keys(preference).length > 0 ? { cluster_auth_preference: preference } : {}),
    ...(idle ? { cluster_networking_config: idle === 'never' ? {} : { client_idle_timeout: idle } } : {}),
    ...(mode ? { session_recording_config: { mode } } : {}),
    listenerMode: raw.proxy_listener_mode ?? 'multiplex',
  };
}

/** Only what the file says. */
function preferenceOf(raw: AuthSection): Partial<AuthPreference['spec']> {
  const { second_factor, second_factors, require_session_mfa: mfa, ...authentication } = raw.authentication ?? {};
  const { local_auth: local, default_session_ttl, locking_mode, signature_algorithm_suite } = authentication;
  const signing = {
    ...authentication,
    second_factor,
    second_factors,
    require_session_mfa: mfa,
    allow_local_auth: local,
  };
  checkSigning(signing, { path: 'auth_service.authentication', localAuth: 'local_auth' });
  const isFactorSaid = second_factor !== undefined || second_factors !== undefined;
  const said = {
    second_factor: isFactorSaid ? secondFactorOf(signing, 'auth_service.authentication') : undefined,
    default_session_ttl,
    locking_mode,
    signature_algorithm_suite,
    allow_local_auth: local,
    require_session_mfa: mfa && (yesOrNo(mfa) ? mfa : 'no'),
    message_of_the_day: raw.message_of_the_day,
    disconnect_expired_cert: raw.disconnect_expired_cert,
  };
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined && value !== ''));
}

function daysOf(text: string): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  if (Number(days) > 0) return Number(days);
  throw new TeleportError('BadParameter', `auth_service.audit_retention: "${text}" is not a number of days`, {
    hint: 'Write it as 90d. The audit log is deleted in whole days; without the setting it is kept.',
  });
}
