/**
 * The section `auth_service`: defaults filled in, and refused what nothing here holds to. Source: Teleport 18 configuration
 * reference.
 */
import { goDurationMs } from '../duration.js';
import { TeleportError } from '../errors.js';
import type { HostPort } from '../host-port.js';
import { AUTH_PORT } from '../net/ports.js';
import { DEFAULT_SUITE, type SignatureSuite } from '../pki/suites.js';
import { checkClusterName } from '../resources/cluster-name.js';
import { listenAt, listenHost } from '../resources/config-address.js';
import type { TeleportFile } from '../resources/teleport-yaml.js';
import type { SecondFactor } from '../resources/types.js';
import { yesOrNo } from '../yes-no.js';

export interface AuthConfig {
  listen: HostPort;
  clusterName: string;
  secondFactor: SecondFactor;
  signatureSuite: SignatureSuite;
  /** Go duration. */
  sessionTtl: string;
  messageOfTheDay?: string;
  disconnectExpiredCert: boolean;
  clientIdleTimeout?: string;
  /** One port of the Proxy for everything, or TLS routing off. */
  listenerMode: 'multiplex' | 'separate';
  requireSessionMfa?: string;
  lockingMode: 'best_effort' | 'strict';
  /** `role,role:token`, kept as written. */
  staticTokens: string[];
  /** A file. */
  auditSigningKey?: string;
  auditKeepDays?: number;
}

const NAMED_AFTER_HOST = 'teleport.nodename, which is the name of the cluster without auth_service.cluster_name';

type AuthSection = NonNullable<TeleportFile['auth_service']>;
type Authentication = NonNullable<AuthSection['authentication']>;

export function authConfig(raw: AuthSection, nodename: string, listenIp: string | undefined): AuthConfig {
  const authentication = raw.authentication ?? {};
  const secondFactor = secondFactorOf(authentication);
  refuseUnheld(authentication);
  const clusterName = raw.cluster_name ?? nodename;
  checkClusterName(clusterName, raw.cluster_name ? 'auth_service.cluster_name' : NAMED_AFTER_HOST);
  const config: AuthConfig = {
    listen: listenAt(raw.listen_addr ?? listenHost(listenIp) ?? '127.0.0.1', 'auth_service.listen_addr', AUTH_PORT),
    clusterName,
    secondFactor,
    signatureSuite: authentication.signature_algorithm_suite ?? DEFAULT_SUITE,
    sessionTtl: authentication.default_session_ttl ?? '12h0m0s',
    disconnectExpiredCert: raw.disconnect_expired_cert ?? false,
    lockingMode: authentication.locking_mode ?? 'best_effort',
    staticTokens: raw.tokens ?? [],
    listenerMode: raw.proxy_listener_mode ?? 'multiplex',
  };
  if (raw.message_of_the_day) config.messageOfTheDay = raw.message_of_the_day;
  const idle = raw.client_idle_timeout;
  if (idle && idle !== 'never') {
    if (goDurationMs(idle) === undefined) {
      throw new TeleportError('BadParameter', `auth_service.client_idle_timeout: "${idle}" is not a duration`, {
        hint: 'Write it as 30m or 1h, or "never".',
      });
    }
    config.clientIdleTimeout = idle;
  }
  if (raw.audit_signing_key) config.auditSigningKey = raw.audit_signing_key;
  if (raw.audit_retention) config.auditKeepDays = daysOf(raw.audit_retention);
  const mfa = authentication.require_session_mfa;
  if (mfa) config.requireSessionMfa = yesOrNo(mfa) ? mfa : 'no';
  return config;
}

function daysOf(text: string): number {
  const [, days] = /^(\d{1,5})d$/.exec(text) ?? [];
  if (Number(days) > 0) return Number(days);
  throw new TeleportError('BadParameter', `auth_service.audit_retention: "${text}" is not a number of days`, {
    hint: 'Write it as 90d. The audit log is deleted in whole days; without the setting it is kept.',
  });
}

function secondFactorOf({ second_factors: factors, second_factor: named = 'otp' }: Authentication): SecondFactor {
  const bad = factors?.find((factor) => factor !== 'otp') ?? (named === 'webauthn' ? named : undefined);
  if (bad === undefined && named !== 'webauthn')
    return factors && !factors.includes('otp') ? 'on' : factors ? 'otp' : named;
  throw new TeleportError('NotImplemented', `second factor "${bad}" is not supported by this Auth Service`, {
    hint: 'Use "second_factor: otp" (or off, on, optional).',
  });
}

/** Settings that would keep people out and that nothing here holds to: said at the start, not found out later. */
function refuseUnheld(authentication: Authentication): void {
  const refuse = (setting: string, hint: string): TeleportError =>
    new TeleportError('NotImplemented', `auth_service.authentication.${setting} is not supported`, { hint });
  const mfa = authentication.require_session_mfa;
  if (mfa?.startsWith('hardware_key')) {
    throw refuse(
      `require_session_mfa: ${mfa}`,
      'Hardware keys are not known here: use "require_session_mfa: yes" or "no".',
    );
  }
  if (mfa !== undefined && yesOrNo(mfa) === undefined) {
    throw new TeleportError(
      'BadParameter',
      `auth_service.authentication.require_session_mfa: expected yes or no, got "${mfa}"`,
    );
  }
  if (authentication.local_auth === false) {
    throw refuse('local_auth: no', 'People sign in to this cluster with a password. Leave the setting out.');
  }
  const mode = authentication.device_trust?.mode;
  if (mode !== undefined && !['off', 'optional', 'false'].includes(mode)) {
    throw refuse(`device_trust.mode: ${mode}`, 'Devices are not known here: use "device_trust: {mode: off}".');
  }
}
