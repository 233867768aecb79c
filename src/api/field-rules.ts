/**
 * Where a field is written differently in YAML and in protobuf: which numbers stand for which words, which 64-bit
 * numbers count things (all the others are durations in nanoseconds), what is always sent. As data; `api/convert.ts`
 * walks it. Source: Teleport 18.3.0, types.proto and the marshallers beside it.
 */
import { SIGNATURE_SUITES } from '../pki/suites.js';

/** Words of an enumeration by number; '' = nothing is written. Keys: `message.field` with the proto names. */
export const WORDS: Record<string, readonly (string | boolean)[]> = {
  'types.RoleOptions.require_session_mfa': [
    '',
    true,
    'hardware_key',
    'hardware_key_touch',
    'hardware_key_pin',
    'hardware_key_touch_and_pin',
  ],
  'types.RoleOptions.create_db_user_mode': ['', 'off', 'keep', 'best_effort_drop'],
  'types.RoleOptions.create_host_user_mode': ['', 'off', 'drop', 'keep', 'insecure-drop'],
  'types.CertExtension.type': ['ssh'],
  'types.CertExtension.mode': ['extension'],
  'types.DatabaseTLS.mode': ['', 'verify-ca', 'insecure'],
  'types.AWS.iam_policy_status': [
    '',
    'IAM_POLICY_STATUS_PENDING',
    'IAM_POLICY_STATUS_FAILED',
    'IAM_POLICY_STATUS_SUCCESS',
  ],
  'types.AuthPreferenceSpecV2.require_session_mfa': [
    '',
    true,
    'hardware_key',
    'hardware_key_touch',
    'hardware_key_pin',
    'hardware_key_touch_and_pin',
  ],
  'types.AuthPreferenceSpecV2.signature_algorithm_suite': ['', ...SIGNATURE_SUITES],
  'types.AuthPreferenceSpecV2.second_factors': ['', 'otp', 'webauthn', 'sso'],
};

/** Other spellings that people and older files use. */
export const OTHER_WORDS: Record<string, Record<string, number>> = {
  'types.RoleOptions.require_session_mfa': NO_OR_YES(),
  'types.AuthPreferenceSpecV2.require_session_mfa': NO_OR_YES(),
  'types.RoleOptions.create_db_user_mode': { false: 1, '': 0 },
  'types.DatabaseTLS.mode': { 'verify-full': 0 },
  'types.AWS.iam_policy_status': { IAM_POLICY_STATUS_UNSPECIFIED: 0 },
  'types.ClusterNetworkingConfigSpecV2.proxy_listener_mode': { separate: 0, multiplex: 1 },
};

function NO_OR_YES(): Record<string, number> {
  return { false: 0, no: 0, off: 0, true: 1, yes: 1, on: 1 };
}

/** 64-bit fields that are plain numbers. */
export const COUNTS = new Set([
  'types.RoleOptions.max_connections',
  'types.RoleOptions.max_sessions',
  'types.RoleOptions.max_kubernetes_connections',
  'types.ClusterNetworkingConfigSpecV2.keep_alive_count_max',
  'types.ProxyPeering.agent_connection_count',
]);

/** Label maps that are traits: their values are always lists. */
export const TRAITS = new Set(['types.UserSpecV2.traits', 'types.AccessRequestConditions.annotations']);

/** Members that a reader finds even when the message left them out: what `resources/types.ts` promises. */
export const ALWAYS: Record<string, Record<string, () => unknown>> = {
  'types.UserV2': { metadata: emptyMetadata, spec: () => ({ roles: [], traits: {} }) },
  'types.UserSpecV2': { roles: list, traits: record },
  'types.LoginStatus': { is_locked: () => false },
  'types.RoleV6': { metadata: emptyMetadata, spec: () => ({ options: {}, allow: {}, deny: {} }) },
  'types.RoleSpecV6': { options: record, allow: record, deny: record },
  'types.Rule': { resources: list, verbs: list },
  'types.DatabasePermission': { permissions: list, match: record },
  'types.DatabaseV3': { metadata: emptyMetadata, spec: () => ({ protocol: '', uri: '' }) },
  'types.DatabaseSpecV3': { protocol: text, uri: text },
  'types.CommandLabelV2': { period: () => '0s', command: list },
  'types.DatabaseServerV3': { metadata: emptyMetadata },
  'types.DatabaseServerSpecV3': { version: text, hostname: text, host_id: text },
  'types.TargetHealth': { status: () => 'unknown' },
  'types.ProvisionTokenV2': { metadata: emptyMetadata, spec: () => ({ roles: [], join_method: 'token' }) },
  'types.ProvisionTokenSpecV2': { roles: list, join_method: () => 'token' },
  'types.UserTokenSpecV3': { user: text, url: text, created: text },
  'types.LockV2': { metadata: emptyMetadata, spec: () => ({ target: {} }) },
  'types.LockSpecV2': { target: record },
  'types.CertAuthoritySpecV2': { active_keys: record, additional_trusted_keys: record },
  'types.SSHKeyPair': { public_key: text },
  'types.TLSKeyPair': { cert: text },
  'types.JWTKeyPair': { public_key: text },
  'types.AuthPreferenceSpecV2': {
    type: () => 'local',
    second_factors: list,
    signature_algorithm_suite: () => 'legacy',
  },
  'types.ClusterNetworkingConfigV2': { metadata: emptyMetadata, spec: record },
  'types.SessionRecordingConfigV2': { metadata: emptyMetadata, spec: () => ({ mode: '' }) },
  'types.SessionRecordingConfigSpecV2': { mode: text },
  'types.AuthPreferenceV2': {
    metadata: emptyMetadata,
    spec: () => ({ type: 'local', second_factors: [], signature_algorithm_suite: 'legacy' }),
  },
  'types.AccessRequestV3': { metadata: emptyMetadata, spec: () => ({ user: '', roles: [] }) },
  'types.AccessRequestSpecV3': { user: text, roles: list },
  'types.AccessReview': { author: text },
  'types.TrustedClusterV2': { metadata: emptyMetadata },
  'types.TrustedClusterSpecV2': {
    enabled: () => false,
    token: text,
    web_proxy_addr: text,
    tunnel_addr: text,
    role_map: list,
  },
  'types.RoleMapping': { remote: text, local: list },
  'types.RemoteClusterV3': { metadata: emptyMetadata, status: () => ({ connection: 'offline' }) },
  'types.RemoteClusterStatusV3': { connection: () => 'offline' },
  'types.Metadata': { name: text },
};

function text(): string {
  return '';
}
function list(): unknown[] {
  return [];
}
function record(): Record<string, unknown> {
  return {};
}
function emptyMetadata(): { name: string } {
  return { name: '' };
}
