/**
 * Keys of a resource that are kept and have no effect here, which sort `resources/served.ts` tells from the others. As
 * data, with the values that say nothing: `tctl get` prints them. Pure.
 */
import { type AnySettings, settingsOf } from './cluster-settings.js';
import { isSet } from './database-type.js';
import type { AnyResource, Lock, Role } from './types.js';

type Members = Record<string, unknown>;

/** Paths of what is set in a resource and has no effect here, in alphabetical order. */
export function keptKeys(resource: AnyResource): string[] {
  switch (resource.kind) {
    case 'role':
      return [
        ...keptOptions(resource),
        ...keptConditions(resource, 'allow'),
        ...keptConditions(resource, 'deny'),
      ].sort();
    case 'user':
      return keptMembers('spec', resource.spec as unknown as Members, USER_KEYS);
    case 'db':
      return [
        ...keptMembers('spec', resource.spec as unknown as Members, DATABASE_KEYS),
        ...keptMembers('spec.aws', (resource.spec.aws ?? {}) as Members, AWS_KEYS),
      ].sort();
    case 'token':
      return keptMembers('spec', resource.spec as unknown as Members, TOKEN_KEYS);
    case 'lock':
      return keptMembers('spec.target', resource.spec.target as Members, LOCK_TARGETS_WITHOUT_EFFECT);
    case 'cluster_auth_preference':
      return [...keptMembers('spec', resource.spec, PREFERENCE_KEYS), ...keptIdp(resource.spec.idp, 'spec')].sort();
    case 'cluster_networking_config':
      return keptMembers('spec', withoutDefaults(resource), NETWORKING_KEYS);
    case 'session_recording_config':
      // Not only what is not the default: whoever writes it should know.
      return keptMembers('spec', resource.spec, Object.keys(resource.spec).sort());
    default:
      return [];
  }
}

const UNSET: readonly unknown[] = [undefined, null, '', false, 0];

/** Options without effect here, with the values that say nothing. */
const KEPT_OPTIONS: Record<string, readonly unknown[]> = {
  cert_extensions: UNSET,
  create_desktop_user: UNSET,
  create_host_user: UNSET,
  create_host_user_default_shell: UNSET,
  create_host_user_mode: [...UNSET, 'off', 1],
  desktop_clipboard: [undefined, null, true],
  desktop_directory_sharing: [undefined, null, true],
  max_connections: UNSET,
  max_kubernetes_connections: UNSET,
  max_sessions: UNSET,
  request_access: [...UNSET, 'optional'],
  request_prompt: UNSET,
  ssh_file_copy: [undefined, null, true],
  ssh_port_forwarding: UNSET,
};

/** Conditions that count here; whatever else is set does not. */
const SERVED_CONDITIONS = new Set([
  'namespaces',
  'rules',
  'logins',
  'db_labels',
  'db_labels_expression',
  'db_names',
  'db_users',
  'db_roles',
  'db_permissions',
]);

const USER_KEYS = ['oidc_identities', 'saml_identities', 'github_identities', 'trusted_device_ids'];
const DATABASE_KEYS = ['ad', 'azure', 'gcp', 'mongo_atlas', 'mysql', 'oracle'];
const AWS_KEYS = [
  'docdb',
  'elasticache',
  'elasticache_serverless',
  'memorydb',
  'opensearch',
  'rds',
  'rdsproxy',
  'secret_store',
];
const PREFERENCE_KEYS = [
  'allow_headless',
  'allow_passwordless',
  'connector_name',
  'hardware_key',
  'okta',
  'stable_unix_user_config',
  'u2f',
  'webauthn',
];
const NETWORKING_KEYS = [
  'assist_command_execution_workers',
  'case_insensitive_routing',
  'idle_timeout_message',
  'keep_alive_count_max',
  'keep_alive_interval',
  'proxy_ping_interval',
  'routing_strategy',
  'session_control_timeout',
  'ssh_dial_timeout',
  'tunnel_strategy',
  'web_idle_timeout',
];
const TOKEN_KEYS = ['aws_iid_ttl', 'bot_name', 'suggested_agent_matcher_labels', 'suggested_labels'];
/** No identity of this cluster has one of these, so a lock on it meets nobody. */
const LOCK_TARGETS_WITHOUT_EFFECT: readonly (keyof Lock['spec']['target'] & string)[] = [
  'bot_instance_id',
  'device',
  'join_token',
  'login',
  'windows_desktop',
];

function keptOptions({ spec: { options = {} } }: Role): string[] {
  const recording = (options.record_session ?? {}) as Members;
  const bpf = options.enhanced_recording ?? [];
  return [
    ...Object.entries(KEPT_OPTIONS)
      .filter(([name, unset]) => !unset.includes(options[name]) && !isEmpty(options[name]))
      .map(([name]) => `spec.options.${name}`),
    ...(recording.desktop === false ? ['spec.options.record_session.desktop'] : []),
    ...(isSet(recording.ssh) ? ['spec.options.record_session.ssh'] : []),
    ...keptIdp(options.idp, 'spec.options'),
    ...(bpf.length > 0 && [...bpf].sort().join() !== 'command,network' ? ['spec.options.enhanced_recording'] : []),
  ];
}

function keptIdp(idp: unknown, path: string): string[] {
  const isOff = ((idp as Members | undefined)?.saml as Members | undefined)?.enabled === false;
  return isOff ? [`${path}.idp`] : [];
}

/** Values that are the defaults are not reported. */
function withoutDefaults(settings: AnySettings): Members {
  const defaults: Members = settingsOf(settings.kind, {}, 'defaults').spec;
  return Object.fromEntries(Object.entries(settings.spec).filter(([name, value]) => value !== defaults[name]));
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function keptConditions({ version, spec }: Role, side: 'allow' | 'deny'): string[] {
  return (
    Object.entries(spec[side] ?? {})
      .filter(([name, value]) => !SERVED_CONDITIONS.has(name) && isSet(value))
      // Roles of v3 get these by themselves.
      .filter(([, value]) => !(version === 'v3' && side === 'allow' && (value as Members)['*'] === '*'))
      .map(([name]) => `spec.${side}.${name}`)
  );
}

function keptMembers(path: string, members: Members, names: readonly string[]): string[] {
  return names.filter((name) => isSet(members[name])).map((name) => `${path}.${name}`);
}
