/**
 * What every part of the Auth Service shares: the store, the authorities, the clock, the log of what happened. Made once
 * by `service.ts`; a plain record, so that a test can have two of them.
 */
import { type AuditEventName, type AuditOutcome, auditEvent } from '../audit/events.js';
import type { AuditLog } from '../audit/writer.js';
import type { Logger } from '../log.js';
import { parseDurationMs } from '../resources/duration.js';
import type { AuthPreference, ResourceOfKind, SecondFactor, SignatureSuite } from '../resources/types.js';
import type { Store } from '../store/store.js';
import type { Authorities } from './ca.js';
import { type Records, recordsOf } from './records.js';

export interface AuthState {
  clusterName: string;
  /** UUID of the cluster: of its first Auth host. */
  hostId: string;
  nodename: string;
  version: string;
  store: Store;
  authorities: Authorities;
  audit: AuditLog;
  now: () => Date;
  log: Logger;
  preference: AuthPreference;
  /** Join tokens of the configuration file; never expire, cannot be deleted. */
  staticTokens: StaticToken[];
  /** Hash of a password that nobody knows: the work for an unknown user is the same as for a known one. */
  decoyHash: Promise<string>;
  /** Login attempts of one user run one after the other, so that no burst slips past the lock-out. */
  turns: Map<string, Promise<unknown>>;
  users: Records<ResourceOfKind['user']>;
  roles: Records<ResourceOfKind['role']>;
  databases: Records<ResourceOfKind['db']>;
  servers: Records<ResourceOfKind['db_server']>;
  tokens: Records<ResourceOfKind['token']>;
  userTokens: Records<ResourceOfKind['user_token']>;
  locks: Records<ResourceOfKind['lock']>;
}

export interface StaticToken {
  token: string;
  roles: string[];
}

/** The records of a store, for `AuthState`. */
export function recordsIn(store: Store) {
  return {
    users: recordsOf(store, 'user'),
    roles: recordsOf(store, 'role'),
    databases: recordsOf(store, 'db'),
    servers: recordsOf(store, 'db_server', (server) => [server.spec.host_id, server.metadata.name]),
    tokens: recordsOf(store, 'token'),
    userTokens: recordsOf(store, 'user_token'),
    locks: recordsOf(store, 'lock'),
  };
}

/** The cluster's settings for signing in. `optional` and `off` name no factor that must be shown. */
export function authPreference(settings: {
  secondFactor: SecondFactor;
  suite: SignatureSuite;
  sessionTtl: string;
}): AuthPreference {
  const { secondFactor, suite, sessionTtl } = settings;
  return {
    kind: 'cluster_auth_preference',
    version: 'v2',
    metadata: { name: 'cluster-auth-preference', labels: { 'teleport.dev/origin': 'config-file' } },
    spec: {
      type: 'local',
      second_factor: secondFactor,
      second_factors: secondFactor === 'off' ? [] : ['otp'],
      default_session_ttl: sessionTtl,
      disconnect_expired_cert: false,
      locking_mode: 'best_effort',
      signature_algorithm_suite: suite,
      allow_local_auth: true,
    },
  };
}

/** Cluster's default life of a user certificate, ms. */
export const sessionTtlMs = (state: AuthState): number =>
  parseDurationMs(state.preference.spec.default_session_ttl ?? '12h0m0s');

/** Record what happened; resolves when it is durable. */
export function record(
  state: AuthState,
  name: AuditEventName,
  outcome: AuditOutcome,
  fields: Record<string, unknown>,
): Promise<void> {
  return state.audit.append([auditEvent(name, outcome, fields, state)]);
}
