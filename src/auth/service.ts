/**
 * The Auth Service: who may enter the cluster, and the certificates that say so. It keeps its state in one data directory
 * and speaks gRPC on one port; this file puts the parts together and takes them apart again.
 *
 *     listener ── grpc-* (messages) ── login, invites, user-certs, host-certs, users, databases, tokens …
 *                                                └── state: store, authorities, audit log, clock
 */
import { randomUUID } from 'node:crypto';
import { HostFreshness } from '../api/authority-watch.js';
import { type HostIdentity, takeOver } from '../api/host-identity.js';
import { Reserve } from '../audit/reserve.js';
import { type AuditLog, openAuditLog } from '../audit/writer.js';
import { Closers } from '../closers.js';
import { isTeleportError, messageOf, TeleportError } from '../errors.js';
import { renewalOf } from '../identity/host.js';
import type { Logger } from '../log.js';
import { DEFAULT_SUITE } from '../pki/suites.js';
import { Renewal } from '../renewal.js';
import type { ConfiguredSettings } from '../resources/cluster-settings.js';
import { presetRoles } from '../resources/presets.js';
import type { SystemRole } from '../resources/system-role.js';
import { createEmbeddedStore, damaged, openEmbeddedStore } from '../store/embedded.js';
import type { Store } from '../store/store.js';
import { clusterBehind, exchangeAuthorities } from '../webapi/trust.js';
import { openSeal } from './audit-key.js';
import { createAuthorities, openAuthorities } from './ca.js';
import { type DataDir, openDataDir } from './data-dir.js';
import { FairTurns } from './fair-turns.js';
import { Guesses } from './guesses.js';
import { HeldNames } from './held-names.js';
import { hostAuthorities, issueHostIdentity } from './host-certs.js';
import { JoinLimits, RecordedRefusals } from './join-limits.js';
import { KeptSettings } from './kept-settings.js';
import { LeafLimits } from './leaf-limits.js';
import { type AuthListener, type ListenAt, openListener } from './listener.js';
import { REMEMBERED, RecentOffers } from './recent-offers.js';
import { storedValue } from './records.js';
import { Roots } from './roots.js';
import { Rotator } from './rotator.js';
import { hashPassword } from './secrets.js';
import { SoleWatches } from './sole-watches.js';
import { type AuthState, recordsIn } from './state.js';
import { parseStaticToken } from './tokens.js';
import type { TrustExchange } from './trust.js';

export interface AuthOptions {
  /** Created 0700; see `data-dir.ts`. */
  dataDir: string;
  clusterName: string;
  listen: ListenAt;
  /** Default: the data directory's own. */
  hostId?: string;
  nodename: string;
  /** Of the configuration file. */
  settings?: ConfiguredSettings;
  /** `role,role:token`. */
  staticTokens?: readonly string[];
  /** PEM file of the Ed25519 key that signs the audit log. Default: in the data directory. */
  auditSigningKey?: string;
  /** Whole days of the audit log that stay; all of them without it. */
  auditKeepDays?: number;
  /** Environment, for calls on the Proxies of roots. */
  vars?: Record<string, string | undefined>;
  /** Do not check the certificates of those Proxies. */
  insecure?: boolean;
  /** Between two looks at whether its own certificate is to be renewed. Default a minute. */
  renewalLookMs?: number | undefined;
  now?: () => Date;
  log: Logger;
  /** `18.3.0`. */
  version: string;
}

export interface AuthService extends AsyncDisposable {
  /** Where it listens; the port is the real one. */
  address: { host: string; port: number };
  clusterName: string;
  hostId: string;
  store: Store;
  caPins(): Promise<string[]>;
  /** Looks whether the audit log is where it should be, and puts it back. */
  checkAuditLog(): Promise<void>;
  /** A certificate for another service of this process. */
  issueHostIdentity(request: {
    role: SystemRole;
    nodename: string;
    additionalPrincipals: readonly string[];
    dnsNames: readonly string[];
  }): Promise<HostIdentity>;
  close(): Promise<void>;
}

/** How much of what at a time, and how often: of what people, hosts, leafs and strangers ask. */
const boundsOf = (now: () => Date) => ({
  turns: new Map<string, Promise<unknown>>(),
  heldNames: new HeldNames(),
  offered: new RecentOffers({ ...REMEMBERED, nowMs: () => performance.now() }),
  joinLimits: new JoinLimits(),
  leafLimits: new LeafLimits(),
  watches: new SoleWatches(),
  loginRefusals: new RecordedRefusals(),
  guesses: new Guesses(now),
  passwordTurns: new FairTurns(PASSWORD_TURNS),
  searchTurns: new FairTurns(SEARCH_TURNS),
});

/**
 * Start, for the first time or again.
 *
 * @throws TeleportError `BadParameter` when the data directory belongs to another cluster or cannot be used,
 *   `NotFound` when its store is missing, `ConnectionProblem` when the store is damaged, `LimitExceeded` when the disk is
 *   full, `AlreadyExists` when the port is taken
 */
export async function startAuth(options: AuthOptions): Promise<AuthService> {
  const { clusterName, now = () => new Date(), log } = options;
  const dir = await openDataDir(options.dataDir);
  const hostId = options.hostId ?? (await dir.hostId());
  const staticTokens = (options.staticTokens ?? []).map(parseStaticToken);
  const { settings = {} } = options;
  const suite = settings.cluster_auth_preference?.signature_algorithm_suite ?? DEFAULT_SUITE;
  const place = { path: dir.store, now, log };
  if (!dir.hasStore()) {
    // The name and the keys come with the file: one that lacks them has lost them.
    await createEmbeddedStore(place, async (store) => {
      await store.create(CLUSTER, JSON.stringify({ name: clusterName, id: randomUUID() }));
      await createAuthorities(store, { clusterName, suite, now });
    });
  }
  const store = await openEmbeddedStore(place);
  const closers = new Closers();
  closers.keep(store);
  try {
    const clusterId = await clusterIdOf(store, clusterName, dir.store);
    const audit = closers.keep(await openAudit(options, dir, hostId));
    const roots = closers.keep(new Roots(options.vars ?? {}));
    const state: AuthState = {
      clusterName,
      clusterId,
      hostId,
      nodename: options.nodename,
      version: options.version,
      store,
      authorities: await openAuthorities(store, log).catch((cause: unknown) => {
        if (isTeleportError(cause, 'ConnectionProblem') || isTeleportError(cause, 'LimitExceeded')) throw cause;
        throw damaged(dir.store, `its authorities cannot be used: ${messageOf(cause)}`, cause);
      }),
      audit,
      reserve: new Reserve(dir.auditLog, log),
      now,
      log,
      settings: await KeptSettings.open(store, settings, log),
      address: options.listen,
      staticTokens,
      decoyHash: await hashPassword(randomUUID()),
      ...boundsOf(now),
      ...recordsIn(store, now),
      roots,
      exchange: exchangeWith(options),
    };
    await makePresets(state);
    const rotator = closers.keep(new Rotator(state));
    const listener = closers.keep(await openListener(state, rotator, options.listen));
    state.address = listener.address;
    await roots.begin(state);
    closers.keep(await keepOwnCertificates(state, { listener, dir, everyMs: options.renewalLookMs }));
    return {
      address: listener.address,
      clusterName,
      hostId,
      store,
      caPins: async () => state.authorities.pins(),
      checkAuditLog: () => audit.check(),
      issueHostIdentity: (request) => issueHostIdentity(state, request),
      close: () => closers.close(),
      [Symbol.asyncDispose]: () => closers.close(),
    };
  } catch (error) {
    await closers.close();
    throw error;
  }
}

/** Calls on the Proxies of roots. */
function exchangeWith({ vars = {}, insecure = false, version }: AuthOptions): TrustExchange {
  return {
    clusterBehind: (address) => clusterBehind(address, { vars, insecure }),
    exchangeAuthorities: (request) => exchangeAuthorities({ ...request, version }, { vars, insecure }),
  };
}

async function openAudit(
  { clusterName, auditSigningKey, auditKeepDays, now, log }: AuthOptions,
  dir: DataDir,
  host: string,
): Promise<AuditLog> {
  const keyFile = auditSigningKey ?? dir.auditKey;
  return await openAuditLog({
    dir: dir.auditLog,
    host,
    clusterName,
    seal: await openSeal({ keyFile, headFile: dir.auditHead, logFolder: dir.auditLog, log }),
    keepDays: auditKeepDays,
    ...(now ? { now } : {}),
    log: log.child('AUDIT'),
  });
}

interface Own {
  listener: AuthListener;
  dir: DataDir;
  everyMs: number | undefined;
}

/** The certificate that the port shows, and the one of `tctl` on this host. */
async function keepOwnCertificates(state: AuthState, { listener, dir, everyMs }: Own): Promise<Renewal> {
  const { nodename, now, log } = state;
  const makeAdmin = async () => {
    const admin = await issueHostIdentity(state, { role: 'Admin', nodename, additionalPrincipals: [], dnsNames: [] });
    await dir.writeAdminIdentity(admin).catch((error: unknown) => {
      if (!isTeleportError(error, 'LimitExceeded')) throw error;
      log.error('The identity for tctl on this host cannot be written; an older one stays.', { error });
    });
    return admin;
  };
  const admin = await makeAdmin();
  const freshness = new HostFreshness(admin);
  const renewal = new Renewal({
    what: 'the certificate of the Auth Service',
    dueAt: () => (freshness.isOutdated ? new Date(0) : renewalOf(admin.certPem)),
    renew: async () => {
      await listener.renew();
      takeOver(admin, await makeAdmin());
    },
    now,
    log,
    everyMs,
  });
  state.authorities.onChange((type) => {
    if (type === 'host') freshness.heard(hostAuthorities(state));
  });
  freshness.onOutdated = () => renewal.hurry();
  return renewal;
}

/** Node has four threads for this, files and names of hosts. */
const PASSWORD_TURNS = {
  atOnce: 2,
  waitMs: 10_000,
  mostWaiting: 50,
  mostInAll: 200,
  tooBusy: 'too many people log in at the moment, try again in a minute',
};

/** A search holds a piece of the log in memory. */
const SEARCH_TURNS = {
  atOnce: 4,
  waitMs: 60_000,
  mostWaiting: 16,
  mostInAll: 100,
  tooBusy: 'too many searches of the audit log run at the moment, try again in a minute',
};

/** Key of the cluster's name and id. */
const CLUSTER = '/cluster';

/** The cluster's id. @throws when it has another name, or the store is not that of a whole cluster */
async function clusterIdOf(store: Store, clusterName: string, path: string): Promise<string> {
  const item = await store.get(CLUSTER);
  if (item === undefined) throw damaged(path, 'the name of the cluster is missing');
  const known = storedValue<{ name: string; id: string }>(item);
  if (known.name === clusterName) return known.id;
  throw new TeleportError(
    'BadParameter',
    `the data directory belongs to cluster "${known.name}", not "${clusterName}"`,
    {
      hint: 'A cluster cannot be renamed: set cluster_name back, or use an empty data_dir.',
    },
  );
}

/** The preset roles, once: what an administrator has changed or deleted stays so. */
async function makePresets(state: AuthState): Promise<void> {
  if (await state.store.get('/presets')) return;
  for (const role of presetRoles()) if (!(await state.roles.get(role.metadata.name))) await state.roles.create(role);
  await state.store.put('/presets', 'true');
}
