/** The answers of `/webapi/ping` and its variants. Pure. Shape: login-and-profile.md 1.3, 1.4. */
import type { AuthPreferenceSpecV2 } from '../../api/gen/types_pb.js';
import { TeleportError } from '../../errors.js';
import { announcedSuite } from '../../pki/suites.js';

/** What Auth says of the cluster. */
export interface ClusterSettings {
  preference: AuthPreferenceSpecV2;
  /** One port for everything: clients say by ALPN what they want. */
  tlsRouting: boolean;
}

export interface ProxySettings {
  clusterName: string;
  version: string;
  /** `host:port` of the one port. */
  listenAddr: string;
  /** First public address, if one is configured. */
  publicAddr: string | undefined;
  /** `host:port` for PostgreSQL: a port of its own, or the one for all. */
  postgresAddr: string;
  /** Its first public address, if one is configured. */
  postgresPublicAddr: string | undefined;
}

/** Members of `second_factors`. */
const FACTOR = { otp: 1, webauthn: 2 } as const;
const DIAL_TIMEOUT_NS = 30_000_000_000;
const CONNECTORS = ['local', 'passwordless', 'headless'];
const UPDATE_JITTER_SECONDS = 60;

/** `GET /webapi/ping`. */
export function pingAnswer(settings: ProxySettings, { preference, tlsRouting }: ClusterSettings): object {
  return {
    auth: authSettings(preference, { connector: '', sessionTtl: goDuration(preference.defaultSessionTtl) }),
    ...common(settings, tlsRouting),
  };
}

/** `GET /webapi/ping/{connector}`. @throws TeleportError `BadParameter` for a connector that does not exist */
export function pingConnectorAnswer(
  settings: ProxySettings,
  { preference, tlsRouting }: ClusterSettings,
  connector: string,
): object {
  if (!CONNECTORS.includes(connector)) {
    throw new TeleportError('BadParameter', `invalid connector name: ${connector}; valid options: `);
  }
  return {
    auth: authSettings(preference, { connector, sessionTtl: '0s' }),
    ...common(settings, tlsRouting),
    auto_update: {
      tools_version: '',
      tools_auto_update: false,
      agent_version: '',
      agent_auto_update: false,
      agent_update_jitter_seconds: 0,
    },
    edition: '',
  };
}

/** `GET /webapi/find`. */
export function findAnswer(settings: ProxySettings, { preference, tlsRouting }: ClusterSettings): object {
  return {
    auth: {
      type: '',
      private_key_policy: '',
      piv_slot: '',
      piv_pin_cache_ttl: 0,
      device_trust: {},
      has_motd: false,
      default_session_ttl: '0s',
      ...suiteOf(preference),
    },
    ...common(settings, tlsRouting),
  };
}

function authSettings(
  preference: AuthPreferenceSpecV2,
  { connector, sessionTtl }: Record<'connector' | 'sessionTtl', string>,
) {
  return {
    type: preference.type || 'local',
    ...secondFactor(preference.secondFactors),
    local: { name: connector },
    private_key_policy: 'none',
    piv_slot: '',
    piv_pin_cache_ttl: 0,
    device_trust: { disabled: true },
    has_motd: preference.messageOfTheDay !== '',
    default_session_ttl: sessionTtl,
    ...suiteOf(preference),
  };
}

function secondFactor(factors: readonly number[]) {
  const hasOtp = factors.includes(FACTOR.otp);
  const hasKeys = factors.includes(FACTOR.webauthn);
  if (!hasOtp && !hasKeys) return { second_factor: 'off' };
  return {
    second_factor: hasOtp && hasKeys ? 'on' : hasOtp ? 'otp' : 'webauthn',
    preferred_local_mfa: hasKeys ? 'webauthn' : 'otp',
  };
}

function suiteOf({ signatureAlgorithmSuite }: AuthPreferenceSpecV2) {
  const suite = announcedSuite(signatureAlgorithmSuite);
  return suite === undefined ? {} : { signature_algorithm_suite: suite };
}

/** Every listen address but that of PostgreSQL is the web address. */
function common(
  { clusterName, version, listenAddr, publicAddr, postgresAddr, postgresPublicAddr }: ProxySettings,
  tlsRouting: boolean,
) {
  return {
    proxy: {
      kube: { enabled: true, listen_addr: listenAddr },
      ssh: {
        listen_addr: listenAddr,
        tunnel_listen_addr: listenAddr,
        web_listen_addr: listenAddr,
        ...(publicAddr === undefined ? {} : { public_addr: publicAddr }),
        dial_timeout: DIAL_TIMEOUT_NS,
      },
      db: {
        postgres_listen_addr: postgresAddr,
        ...(postgresPublicAddr === undefined ? {} : { postgres_public_addr: postgresPublicAddr }),
        mysql_listen_addr: listenAddr,
      },
      tls_routing_enabled: tlsRouting,
    },
    server_version: version,
    min_client_version: `${Number(version.split('.')[0]) - 1}.0.0-aa`,
    auto_update: {
      tools_version: version,
      tools_auto_update: false,
      agent_version: version,
      agent_auto_update: false,
      agent_update_jitter_seconds: UPDATE_JITTER_SECONDS,
    },
    cluster_name: clusterName,
    automatic_upgrades: false,
    edition: 'oss',
    fips: false,
  };
}

/** Whole seconds as Go prints them: `12h0m0s`, `90s` as `1m30s`, 0 as `0s`. @param nanoseconds  fractions are cut */
export function goDuration(nanoseconds: bigint): string {
  const total = nanoseconds / 1_000_000_000n;
  const [hours, minutes, seconds] = [total / 3600n, (total / 60n) % 60n, total % 60n];
  if (hours > 0n) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0n ? `${minutes}m${seconds}s` : `${seconds}s`;
}
