/**
 * What a resource has when nobody wrote it: filled in when it is made, so that it reads back complete. Source: Teleport
 * 18.3.0, `CheckAndSetDefaults` of each kind, as seen in `tctl get`.
 */
import { hostOf } from '../host-port.js';
import { withSettingsDefaults } from './cluster-settings.js';
import { isSet } from './database-type.js';
import { readRedshiftHost } from './redshift-host.js';
import type { AnyResource, AwsMetadata, Database, Role, RoleConditions, RoleOptions } from './types.js';

export const DEFAULT_ROLE_VERSION = 'v8';
const SELECTORS_OF_V3 = ['db_labels', 'app_labels', 'kubernetes_labels'] as const;

/** The same resource, complete. Nothing that is there is changed. */
export function withDefaults<R extends AnyResource>(resource: R): R {
  const anyResource: AnyResource = resource;
  switch (anyResource.kind) {
    case 'role':
      return roleWithDefaults(anyResource) as R;
    case 'db':
      return databaseWithDefaults(anyResource) as R;
    case 'user':
      return {
        ...anyResource,
        version: anyResource.version ?? 'v2',
        spec: { ...anyResource.spec, roles: anyResource.spec?.roles ?? [], traits: anyResource.spec?.traits ?? {} },
      } as R;
    case 'token':
      return {
        ...anyResource,
        version: 'v2',
        spec: { ...anyResource.spec, join_method: anyResource.spec.join_method || 'token' },
      } as R;
    case 'trusted_cluster': {
      const { spec } = anyResource;
      const address = spec.web_proxy_addr ?? '';
      return {
        ...anyResource,
        version: anyResource.version ?? 'v2',
        spec: {
          ...spec,
          enabled: spec.enabled ?? false,
          token: spec.token ?? '',
          web_proxy_addr: address,
          tunnel_addr: spec.tunnel_addr || address,
          role_map: spec.role_map ?? [],
        },
      } as R;
    }
    case 'lock':
      return { ...anyResource, version: anyResource.version ?? 'v2' } as R;
    case 'cluster_auth_preference':
    case 'cluster_networking_config':
    case 'session_recording_config':
      return withSettingsDefaults(anyResource) as R;
    default:
      return resource;
  }
}

export function roleWithDefaults(role: Role): Role {
  const version = role.version ?? DEFAULT_ROLE_VERSION;
  const spec = role.spec ?? {};
  const allow: RoleConditions = { ...spec.allow };
  if (version === 'v3') {
    for (const selector of SELECTORS_OF_V3) allow[selector] ??= { '*': '*' };
    if (isSet(allow.logins)) allow.node_labels ??= { '*': '*' };
  }
  return {
    ...role,
    version,
    spec: { options: optionsWithDefaults(spec.options ?? {}), allow, deny: { ...spec.deny } },
  };
}

function optionsWithDefaults(options: RoleOptions): RoleOptions {
  const recording = options.record_session as Record<string, unknown> | undefined;
  return {
    ...options,
    cert_format: options.cert_format || 'standard',
    create_db_user: options.create_db_user ?? false,
    create_desktop_user: options.create_desktop_user ?? false,
    desktop_clipboard: options.desktop_clipboard ?? true,
    desktop_directory_sharing: options.desktop_directory_sharing ?? true,
    enhanced_recording: options.enhanced_recording ?? ['command', 'network'],
    forward_agent: options.forward_agent ?? false,
    idp: options.idp ?? { saml: { enabled: true } },
    max_session_ttl: options.max_session_ttl || '30h0m0s',
    pin_source_ip: options.pin_source_ip ?? false,
    record_session: { ...recording, desktop: recording?.desktop ?? true, default: recording?.default || 'best_effort' },
    ssh_file_copy: options.ssh_file_copy ?? true,
  };
}

/** What the host name of Redshift says fills what is empty. @throws TeleportError as `readRedshiftHost` */
export function databaseWithDefaults(database: Database): Database {
  const version = database.version ?? 'v3';
  const derived = readRedshiftHost(hostOf(database.spec.uri));
  if (derived === undefined) return { ...database, version };
  const given: AwsMetadata = database.spec.aws ?? {};
  const aws: AwsMetadata = {
    ...derived,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => isSet(value))),
  };
  if (derived.redshift) aws.redshift = { ...derived.redshift, ...given.redshift };
  if (derived.redshift_serverless && !isSet(given.redshift_serverless?.workgroup_name)) {
    aws.redshift_serverless = { ...derived.redshift_serverless, ...given.redshift_serverless };
  }
  return { ...database, version, spec: { ...database.spec, aws } };
}
