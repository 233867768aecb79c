/**
 * A resource with exactly the members that Teleport's commands print, in the order in which its JSON has them (YAML
 * printers sort by themselves). Kinds print members that nobody set: a `db` its empty AWS, GCP and Azure blocks, a user
 * Go's zero time. Recorded from 18.3.0 (cli.md 6.6).
 */
import { roleWithDefaults } from './defaults.js';
import { ordered, sortedMap } from './print-order.js';
import type {
  AnyResource,
  AuthPreference,
  AwsMetadata,
  Database,
  DatabaseServer,
  Lock,
  Metadata,
  Role,
  RoleConditions,
  TrustedCluster,
  User,
} from './types.js';

type Members = Record<string, unknown>;

const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Any resource; give the result to a JSON or YAML printer. */
export function printable(resource: AnyResource): Members {
  switch (resource.kind) {
    case 'user':
      return whole(resource, userSpec(resource), resource.status && { ...resource.status });
    case 'role':
      return whole(resource, roleSpec(resource));
    case 'db':
      return printableDatabase(resource);
    case 'db_server':
      return printableDatabaseServer(resource);
    case 'lock':
      return whole(resource, lockSpec(resource));
    case 'cluster_auth_preference':
      return whole(resource, preferenceSpec(resource));
    case 'trusted_cluster':
      return whole(resource, ordered('trusted_cluster', trustedClusterSpec(resource)));
    case 'remote_cluster': {
      const { connection, last_heartbeat: last = ZERO_TIME } = resource.status;
      const { spec: _, ...members } = whole(resource, {}, { connection, last_heartbeat: last });
      return members;
    }
    case 'token':
      return whole(resource, ordered('token', resource.spec as Members));
    default:
      return whole(resource, { ...(resource.spec as Members) });
  }
}

/** A `db` as `tsh db ls` and `tctl get` print it. */
export function printableDatabase(database: Database): Members {
  const { status = {} } = database;
  return whole(database, databaseSpec(database), {
    ...given({ ca_cert: status.ca_cert }),
    aws: awsMembers(status.aws),
    mysql: {},
    ...given({ managed_users: status.managed_users }),
    azure: azureMembers(undefined),
  });
}

function whole(resource: AnyResource, spec: Members, status?: Members): Members {
  return {
    kind: resource.kind,
    ...given({ sub_kind: resource.sub_kind }),
    version: resource.version,
    metadata: metadataOf(resource.metadata),
    spec,
    ...(status && Object.keys(status).length > 0 ? { status } : {}),
  };
}

function metadataOf({ name, description, labels, expires, revision }: Metadata): Members {
  return given({ name, description: description || undefined, labels: sortedMap(labels), expires, revision });
}

function userSpec({ spec }: User): Members {
  const { status, expires, created_by: createdBy, local_auth: localAuth } = spec;
  const { oidc_identities, saml_identities, github_identities, trusted_device_ids } = spec as unknown as Members;
  return {
    ...given({ oidc_identities, saml_identities, github_identities }),
    ...given({ roles: spec.roles.length > 0 ? spec.roles : undefined }),
    traits: sortedMap(spec.traits) ?? {},
    status: {
      is_locked: status?.is_locked ?? false,
      ...given({ locked_message: status?.locked_message || undefined }),
      locked_time: status?.locked_time ?? ZERO_TIME,
      lock_expires: status?.lock_expires ?? ZERO_TIME,
    },
    expires: expires ?? ZERO_TIME,
    created_by: {
      ...given({ connector: createdBy?.connector }),
      time: createdBy?.time ?? ZERO_TIME,
      user: { name: createdBy?.user?.name ?? '' },
    },
    ...given({ local_auth: localAuth, trusted_device_ids }),
  };
}

function roleSpec(role: Role): Members {
  const { options, allow, deny } = roleWithDefaults(role).spec;
  const recording = options.record_session as Members;
  return {
    options: ordered('options', { ...options, record_session: ordered('record_session', recording) }),
    allow: conditionsOf(allow),
    deny: conditionsOf(deny),
  };
}

function conditionsOf(conditions: RoleConditions): Members {
  const { namespaces: _namespaces, ...rest } = conditions;
  const members = Object.entries(rest)
    .filter(([, value]) => value !== undefined && value !== null && !isEmpty(value))
    .map(([name, value]) => [name, name.endsWith('_labels') ? sortedMap(value as Members) : value]);
  return ordered('conditions', Object.fromEntries(members));
}

function databaseSpec({ spec }: Database): Members {
  const tls = spec.tls ?? {};
  return {
    protocol: spec.protocol,
    uri: spec.uri,
    ...given({ ca_cert: spec.ca_cert || undefined, dynamic_labels: sortedMap(spec.dynamic_labels) }),
    aws: awsMembers(spec.aws),
    gcp: { ...(spec.gcp as Members), alloydb: (spec.gcp as { alloydb?: Members } | undefined)?.alloydb ?? {} },
    azure: azureMembers(spec.azure as Members | undefined),
    tls: {
      mode: modeNumber(tls.mode),
      ...given({ ca_cert: tls.ca_cert || undefined, server_name: tls.server_name || undefined }),
      ...given({ trust_system_cert_pool: tls.trust_system_cert_pool || undefined }),
    },
    ad: { domain: '', spn: '', ...(spec.ad as Members) },
    mysql: { ...(spec.mysql as Members) },
    ...(spec.admin_user
      ? {
          admin_user: {
            name: spec.admin_user.name ?? '',
            default_database: spec.admin_user.default_database ?? '',
          },
        }
      : {}),
    mongo_atlas: { ...(spec.mongo_atlas as Members) },
    oracle: { ...(spec.oracle as Members) },
  };
}

function modeNumber(mode: unknown): number {
  if (typeof mode === 'number') return mode;
  return mode === 'insecure' ? 2 : mode === 'verify-ca' ? 1 : 0;
}

function awsMembers(aws: AwsMetadata = {}): Members {
  return ordered('aws', {
    redshift: {},
    elasticache: {},
    secret_store: {},
    memorydb: {},
    rdsproxy: {},
    redshift_serverless: {},
    opensearch: {},
    docdb: {},
    elasticache_serverless: {},
    ...given(aws),
    rds: { ...aws.rds, iam_auth: aws.rds?.iam_auth ?? false },
    iam_policy_status: aws.iam_policy_status || 'IAM_POLICY_STATUS_UNSPECIFIED',
  });
}

function azureMembers(azure: Members = {}): Members {
  return { ...azure, redis: azure.redis ?? {} };
}

function printableDatabaseServer(server: DatabaseServer): Members {
  const { version, hostname, host_id, database, proxy_ids: proxyIds } = server.spec;
  const health = server.status?.target_health;
  return whole(
    server,
    {
      version,
      hostname,
      host_id,
      rotation: {
        current_id: '',
        started: ZERO_TIME,
        last_rotated: ZERO_TIME,
        schedule: { update_clients: ZERO_TIME, update_servers: ZERO_TIME, standby: ZERO_TIME },
      },
      database: printableDatabase(database),
      ...given({ proxy_ids: proxyIds }),
    },
    health ? { target_health: ordered('target_health', given(health)) } : undefined,
  );
}

function trustedClusterSpec({ spec: { role_map: map, ...spec } }: TrustedCluster): Members {
  return { ...spec, ...given({ role_map: map.length > 0 ? map : undefined }) };
}

function lockSpec({ spec }: Lock): Members {
  const { target, message, expires, created_at: createdAt, created_by: createdBy } = spec;
  return {
    target: ordered('lock_target', given(target)),
    ...given({ message: message || undefined, expires }),
    created_at: createdAt ?? ZERO_TIME,
    ...given({ created_by: createdBy || undefined }),
  };
}

function preferenceSpec({ spec }: AuthPreference): Members {
  return ordered('preference', { idp: { saml: { enabled: true } }, okta: {}, ...given(spec) });
}

/** Without the members that are not there. */
function given(members: object): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0;
  return value === '';
}
