/**
 * What every part of the Auth Service shares: the store, the authorities, the clock, the log of what happened. Made once
 * by `service.ts`; a plain record, so that a test can have two of them.
 */
import { type AuditEventName, type AuditOutcome, auditEvent } from '../audit/events.js';
import type { Reserve } from '../audit/reserve.js';
import type { AuditLog } from '../audit/writer.js';
import { parseDurationMs } from '../duration.js';
import type { Logger } from '../log.js';
import type { ResourceOfKind } from '../resources/types.js';
import type { Store } from '../store/store.js';
import type { Authorities } from './ca.js';
import type { FairTurns } from './fair-turns.js';
import type { Guesses } from './guesses.js';
import type { HeldNames } from './held-names.js';
import type { JoinLimits, RecordedRefusals } from './join-limits.js';
import { endOfLock, keptLocks } from './kept-locks.js';
import type { KeptSettings } from './kept-settings.js';
import type { LeafLimits } from './leaf-limits.js';
import type { RecentOffers } from './recent-offers.js';
import { type Records, recordsOf } from './records.js';
import type { SoleWatches } from './sole-watches.js';
import type { RootNews, TrustExchange } from './trust.js';

export interface AuthState {
  clusterName: string;
  /** UUID of this Auth host. */
  hostId: string;
  /** UUID of the cluster, made at its first start. */
  clusterId: string;
  nodename: string;
  version: string;
  store: Store;
  authorities: Authorities;
  audit: AuditLog;
  /** Asked before records of agents go there. */
  reserve: Reserve;
  now: () => Date;
  log: Logger;
  settings: KeptSettings;
  /** Where this Auth Service listens, for `tctl`. */
  address: { host: string; port: number };
  /** Join tokens of the configuration file; never expire, cannot be deleted. */
  staticTokens: StaticToken[];
  /** Hash of a password that nobody knows: the work for an unknown user is the same as for a known one. */
  decoyHash: string;
  joinLimits: JoinLimits;
  leafLimits: LeafLimits;
  /** Of what leafs and hosts follow. */
  watches: SoleWatches;
  loginRefusals: RecordedRefusals;
  guesses: Guesses;
  /** Attempts to log in: a password is tried on a thread that the store of files needs too. */
  passwordTurns: FairTurns;
  /** Searches of the audit log, by who asks. */
  searchTurns: FairTurns;
  /** Login attempts that count together run one after the other, so that no burst slips past the lock-out. */
  turns: Map<string, Promise<unknown>>;
  /** Locks of automatic database users. */
  heldNames: HeldNames;
  /** Which host has offered which database server lately. */
  offered: RecentOffers;
  users: Records<ResourceOfKind['user']>;
  roles: Records<ResourceOfKind['role']>;
  databases: Records<ResourceOfKind['db']>;
  servers: Records<ResourceOfKind['db_server']>;
  tokens: Records<ResourceOfKind['token']>;
  userTokens: Records<ResourceOfKind['user_token']>;
  locks: Records<ResourceOfKind['lock']>;
  /** Roots of this cluster. */
  trustedClusters: Records<ResourceOfKind['trusted_cluster']>;
  /** Its leafs. */
  remoteClusters: Records<ResourceOfKind['remote_cluster']>;
  /** Posts the authorities of this cluster to a root's Proxy. */
  exchange: TrustExchange;
  /** What the roots say. */
  roots: RootNews;
}

export interface StaticToken {
  token: string;
  roles: string[];
}

/** The records of a store, for `AuthState`. */
export function recordsIn(store: Store, now = () => new Date()) {
  return {
    users: recordsOf(
      store,
      'user',
      ({ metadata }) => [metadata.name],
      ({ metadata, spec }) => metadata.expires ?? (isMoment(spec.expires) ? spec.expires : undefined),
    ),
    roles: recordsOf(store, 'role'),
    databases: recordsOf(store, 'db'),
    servers: recordsOf(store, 'db_server', (server) => [server.spec.host_id, server.metadata.name]),
    tokens: recordsOf(store, 'token'),
    userTokens: recordsOf(store, 'user_token'),
    locks: keptLocks(
      recordsOf(store, 'lock', ({ metadata }) => [metadata.name], endOfLock),
      now,
    ),
    trustedClusters: recordsOf(store, 'trusted_cluster'),
    remoteClusters: recordsOf(store, 'remote_cluster'),
  };
}

/** Go writes a moment that nobody set as the year 1. */
function isMoment(text: string | undefined): boolean {
  return text !== undefined && new Date(text).getTime() > 0;
}

/** Cluster's default life of a user certificate, ms. */
export const sessionTtlMs = (state: AuthState): number =>
  parseDurationMs(state.settings.preference.spec.default_session_ttl);

/** Record what happened; resolves when it is durable. */
export function record(
  state: AuthState,
  name: AuditEventName,
  outcome: AuditOutcome,
  fields: Record<string, unknown>,
): Promise<void> {
  return state.audit.append([auditEvent(name, outcome, fields, state)]);
}
