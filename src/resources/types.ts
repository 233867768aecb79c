/**
 * Teleport's resources in the shape in which people write them: snake_case, in memory as on disk, so that one search
 * finds the documentation, the test and the code. `api/convert.ts` turns them into protocol messages and back.
 *
 * Source: Teleport 18 resource reference; version numbers of 18.3.0.
 */
import type { SignatureSuite } from '../pki/suites.js';

export interface Metadata {
  name: string;
  description?: string;
  /** Plain `key: value` pairs. */
  labels?: Record<string, string>;
  /** RFC 3339, UTC. */
  expires?: string;
  /** UUID, changes at each write. */
  revision?: string;
}

export interface Resource<Kind extends string, Version extends string, Spec> {
  kind: Kind;
  sub_kind?: string;
  version: Version;
  metadata: Metadata;
  spec: Spec;
}

/** Trait name to values; `null` is a trait that exists and has none. */
export type Traits = Record<string, string[] | null>;
/** Label selector of a role: a key to one value or several; globs and `^regex$` in values. */
export type LabelSelector = Record<string, string | string[]>;

// Users

export interface LoginStatus {
  is_locked: boolean;
  locked_message?: string;
  locked_time?: string;
  lock_expires?: string;
}

/** Secrets of a local user. Only ever inside the Auth Service and `tctl get --with-secrets`. */
export interface LocalAuth {
  /** Encoded by the password hash library, algorithm and parameters inside. */
  password_hash?: string;
  mfa?: TotpDevice[];
}

export interface TotpDevice {
  id: string;
  name: string;
  added_at: string;
  /** Base32 without padding. */
  totp_key: string;
  /** Last accepted 30 s period, so that a code counts once. */
  last_period?: number;
}

export interface UserSpec {
  roles: string[];
  traits: Traits;
  created_by?: {
    connector?: { type?: string; id?: string; identity?: string };
    time?: string;
    user?: { name: string };
  };
  expires?: string;
  status?: LoginStatus;
  local_auth?: LocalAuth;
}

export interface User extends Resource<'user', 'v2', UserSpec> {
  /** password_state 1 unset, 2 set; mfa_weakest_device 1 unset, 2 TOTP. */
  status?: { password_state?: number; mfa_weakest_device?: number };
}

// Roles

export type CreateDbUserMode = 'off' | 'keep' | 'best_effort_drop';

export interface Rule {
  resources: string[];
  verbs: string[];
  where?: string;
  actions?: string[];
}

export interface RoleConditions {
  namespaces?: string[];
  logins?: string[];
  rules?: Rule[];
  db_labels?: LabelSelector;
  db_labels_expression?: string;
  db_names?: string[];
  db_users?: string[];
  db_roles?: string[];
  db_service_labels?: LabelSelector;
  db_service_labels_expression?: string;
  db_permissions?: { permissions: string[]; match: LabelSelector }[];
  request?: { roles?: string[]; search_as_roles?: string[]; suggested_reviewers?: string[]; max_duration?: string };
  review_requests?: { roles?: string[]; preview_as_roles?: string[]; where?: string };
  impersonate?: { users?: string[]; roles?: string[]; where?: string };
  /** Conditions about other products, kept as written so that nothing is lost on the way through. */
  [other: string]: unknown;
}

export interface RoleOptions {
  /** Go duration, `30h0m0s`. */
  max_session_ttl?: string;
  client_idle_timeout?: string;
  disconnect_expired_cert?: boolean;
  lock?: 'strict' | 'best_effort' | '';
  require_session_mfa?: boolean | string;
  create_db_user?: boolean;
  create_db_user_mode?: CreateDbUserMode;
  pin_source_ip?: boolean;
  cert_format?: string;
  forward_agent?: boolean;
  permit_x11_forwarding?: boolean;
  enhanced_recording?: string[];
  [other: string]: unknown;
}

export interface RoleSpec {
  options: RoleOptions;
  allow: RoleConditions;
  deny: RoleConditions;
}

export type RoleVersion = 'v3' | 'v4' | 'v5' | 'v6' | 'v7' | 'v8';
export type Role = Resource<'role', RoleVersion, RoleSpec>;

// Databases

export interface AwsMetadata {
  region?: string;
  account_id?: string;
  assume_role_arn?: string;
  external_id?: string;
  session_tags?: Record<string, string>;
  redshift?: { cluster_id?: string };
  redshift_serverless?: { workgroup_name?: string; endpoint_name?: string; workgroup_id?: string };
  rds?: { instance_id?: string; cluster_id?: string; resource_id?: string; iam_auth?: boolean };
  iam_policy_status?: string;
  [other: string]: unknown;
}

export const TLS_MODES = ['verify-full', 'verify-ca', 'insecure'] as const;
export type TlsMode = (typeof TLS_MODES)[number];

export interface DatabaseSpec {
  protocol: string;
  /** `host:port` of the real database. */
  uri: string;
  ca_cert?: string;
  tls?: { mode?: TlsMode; ca_cert?: string; server_name?: string; trust_system_cert_pool?: boolean };
  dynamic_labels?: Record<string, { period: string; command: string[]; result?: string }>;
  aws?: AwsMetadata;
  admin_user?: { name?: string; default_database?: string };
  [other: string]: unknown;
}

export interface DatabaseStatus {
  ca_cert?: string;
  aws?: AwsMetadata;
  managed_users?: string[];
}

export interface Database extends Resource<'db', 'v3', DatabaseSpec> {
  status?: DatabaseStatus;
}

export type HealthStatus = 'healthy' | 'unhealthy' | 'unknown';

export interface TargetHealth {
  address?: string;
  protocol?: string;
  status: HealthStatus;
  transition_timestamp?: string;
  transition_reason?: string;
  transition_error?: string;
  message?: string;
}

/** One agent's offer of one database. `metadata.name` is the database's name. */
export interface DatabaseServer
  extends Resource<
    'db_server',
    'v3',
    { version: string; hostname: string; host_id: string; database: Database; proxy_ids?: string[] }
  > {
  status?: { target_health?: TargetHealth };
}

// Tokens, locks, authorities, settings

export type ProvisionToken = Resource<
  'token',
  'v2',
  {
    roles: string[];
    /** `token`: whoever knows its name may join; `iam`: whoever shows an AWS identity that one of `allow` is about. */
    join_method: string;
    allow?: { aws_account?: string; aws_arn?: string }[];
    /** Names of databases, as globs or `^…$`, that an agent who joins with it may offer. */
    databases?: string[];
    /** Labels that they must have, as in a role. */
    db_labels?: LabelSelector;
  }
>;

/** Invite (`sub_kind: invite`) and password reset (`sub_kind: password`) links. */
export type UserToken = Resource<'user_token', 'v3', { user: string; url: string; created: string }>;

export interface LockTarget {
  user?: string;
  role?: string;
  login?: string;
  mfa_device?: string;
  access_request?: string;
  server_id?: string;
  [other: string]: string | undefined;
}
export type Lock = Resource<
  'lock',
  'v2',
  { target: LockTarget; message?: string; expires?: string; created_at?: string; created_by?: string }
>;

/** Roles of another cluster's user, and what they are in this one. */
export interface RoleMapping {
  /** A name, a glob or `^…$`. */
  remote: string;
  /** Names; `$1` is what the first group has matched. */
  local: string[];
}

/** At a leaf: the root whose users may come, named as that cluster is. */
export type TrustedCluster = Resource<
  'trusted_cluster',
  'v2',
  {
    enabled: boolean;
    /** Of an older form. Not taken. */
    roles?: string[];
    token: string;
    web_proxy_addr: string;
    tunnel_addr: string;
    role_map: RoleMapping[];
  }
>;

/** At a root: a leaf. */
export interface RemoteCluster {
  kind: 'remote_cluster';
  sub_kind?: string;
  version: 'v3';
  metadata: Metadata;
  spec?: undefined;
  status: { connection: 'online' | 'offline'; last_heartbeat?: string };
}

export const CA_TYPES = ['host', 'user', 'db', 'db_client', 'openssh', 'jwt'] as const;
export type CaType = (typeof CA_TYPES)[number];

/** Keys of an authority. Byte fields are base64 of what they hold, as Teleport prints them. */
export interface CaKeySet {
  /** `public_key`: one authorized_keys line. */
  ssh?: { public_key: string; private_key?: string }[];
  /** `cert`: PEM. */
  tls?: { cert: string; key?: string; crl?: string }[];
  jwt?: { public_key: string; private_key?: string }[];
}
export interface CertAuthority
  extends Resource<
    'cert_authority',
    'v2',
    {
      type: CaType;
      cluster_name: string;
      active_keys: CaKeySet;
      additional_trusted_keys: CaKeySet;
      rotation?: Rotation;
    }
  > {
  sub_kind: CaType;
}

export type RotationPhase = 'standby' | 'init' | 'update_clients' | 'update_servers' | 'rollback';

/** How far new keys have taken the place of old ones. Times in RFC 3339. */
export interface Rotation {
  state?: 'standby' | 'in_progress';
  phase?: RotationPhase;
  mode?: 'auto' | 'manual';
  /** UUID. */
  current_id?: string;
  started?: string;
  /** Go duration. */
  grace_period?: string;
  last_rotated?: string;
  schedule?: { update_clients: string; update_servers: string; standby: string };
}

export type SecondFactor = 'off' | 'otp' | 'on' | 'optional';

export type AuthPreference = Resource<
  'cluster_auth_preference',
  'v2',
  {
    type: 'local';
    /** Allowed factors; empty means none is asked. */
    second_factors: string[];
    second_factor?: SecondFactor;
    default_session_ttl?: string;
    disconnect_expired_cert?: boolean;
    locking_mode?: 'strict' | 'best_effort';
    message_of_the_day?: string;
    require_session_mfa?: boolean | string;
    signature_algorithm_suite: SignatureSuite;
    [other: string]: unknown;
  }
>;

export type ClusterNetworkingConfig = Resource<
  'cluster_networking_config',
  'v2',
  { client_idle_timeout?: string; keep_alive_interval?: string; proxy_listener_mode?: number; [other: string]: unknown }
>;

export type SessionRecordingConfig = Resource<
  'session_recording_config',
  'v2',
  { mode: string; [other: string]: unknown }
>;

/** Every resource by its kind. */
export interface ResourceOfKind {
  user: User;
  role: Role;
  db: Database;
  db_server: DatabaseServer;
  token: ProvisionToken;
  user_token: UserToken;
  lock: Lock;
  cert_authority: CertAuthority;
  cluster_auth_preference: AuthPreference;
  cluster_networking_config: ClusterNetworkingConfig;
  session_recording_config: SessionRecordingConfig;
  trusted_cluster: TrustedCluster;
  remote_cluster: RemoteCluster;
}
export type Kind = keyof ResourceOfKind;
export type AnyResource = ResourceOfKind[Kind];
