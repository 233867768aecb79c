/**
 * Databases of all clusters of all logins, and of the login at AWS, for `tsh db ls --all`. A cluster that gives no answer
 * is reported after the list of the others. Source: cli.md 4.1.
 */
import type { DatabaseFilter } from '../../access/access.js';
import { hasAwsFlag } from '../../access/args.js';
import { personalIdentities } from '../../access/aws/identities.js';
import type { ClusterAccess } from '../../access/cluster/access.js';
import type { LeafCluster } from '../../access/cluster/calls.js';
import { openCluster } from '../../access/cluster/open.js';
import { currentSession, personalStore } from '../../access/login/session.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { withoutProgress } from '../../cli/progress.js';
import { isTeleportError, messageOf, TeleportError } from '../../errors.js';
import type { LoginSession } from '../../profile/session.js';
import { settledWithin } from '../../wait.js';
import { isLive, otherSessions } from '../status.js';
import type { DbArgs } from './args.js';
import { listDatabasesOf, oneFailure } from './list.js';
import { inParallel } from './parallel.js';
import type { ListedDatabase } from './table.js';

/** Leaves of one proxy that are asked at once: those that hang must not keep the others waiting. Our own limit. */
const MOST_AT_ONCE = 50;
/** How long a cluster other than that of the login may take over an answer. Our own limit. */
const DEADLINE_MS = 5_000;
/** How long nothing has come when those who have answered are shown without those who have not. Our own limit. */
const LULL_MS = 1_000;

/** Sorted. */
export interface Listing {
  databases: ListedDatabase[];
  failures: TeleportError[];
}

export interface EarlyListing extends Listing {
  /** What is still to come. */
  late?: { clusters: string[]; listing: Promise<Listing> };
}

export interface EveryOptions {
  /** Clusters that hang are left for later once the others have answered. */
  isEarly?: boolean;
  /** Default 5 s. */
  deadlineMs?: number;
}

/** @throws when there is no login at all, and when nothing was found and a cluster gave no answer */
export async function everyDatabase(
  env: Env,
  args: DbArgs,
  filter: DatabaseFilter,
  { isEarly = false, deadlineMs = DEADLINE_MS }: EveryOptions = {},
): Promise<EarlyListing> {
  const withAws = await hasAws(env, args);
  const current = withAws && (await isWithoutCluster(env, args)) ? undefined : await currentSession(env, args);
  const others = args.identity || !current ? [] : await otherSessions(current.store, current.name);
  const answers = new Answers(env.signal);
  const open = (session: LoginSession, cluster: string) => {
    const isHome = session === current && cluster === session.rootCluster;
    const place = { ...(session === current ? args : ofOther(args, session)), cluster };
    // A list that is shown meanwhile must not begin in a line about waiting.
    return isHome ? openCluster(env, place) : openCluster(isEarly ? withoutProgress(env) : env, place, deadlineMs);
  };
  const list = (session: LoginSession, access: ClusterAccess) => {
    const cluster = access.clusterName;
    const isSelected = cluster === (session.profile.cluster ?? session.cluster);
    const flags = [
      ...(session === current && !args.proxy ? [] : [`--proxy=${session.profile.webProxyAddr}`]),
      ...(isSelected ? [] : [`--cluster=${cluster}`]),
    ];
    return listDatabasesOf(access, filter, flags);
  };
  const listOne = (session: LoginSession, cluster: string) =>
    answers.listing(cluster, async () => {
      await using access = await open(session, cluster);
      return await list(session, access);
    });
  /** Resolves when the login is good and its clusters are known, to what waits for their answers. */
  const begin = async (session: LoginSession): Promise<() => Promise<unknown>> => {
    const { rootCluster } = session;
    if (args.cluster) return () => listOne(session, args.cluster!);
    const access = await answers.from(rootCluster, () => open(session, rootCluster));
    const leaves = access && (await answers.from(rootCluster, () => leavesOf(env, access)));
    return async () => {
      await using _ = access;
      if (!leaves) return;
      await Promise.all([
        answers.listing(rootCluster, () => list(session, access)),
        inParallel(leaves, MOST_AT_ONCE, ({ name }) => listOne(session, name)),
      ]);
    };
  };
  // First and alone: a login that has run out is made anew here, and asked for once.
  const atHome = current && (await begin(current));
  const all = Promise.all([
    atHome?.(),
    withAws && answers.listing('AWS', () => listAws(env, args, filter)),
    ...others.filter((session) => isUsable(env, session)).map(async (session) => await (await begin(session))()),
  ]);
  if (isEarly) await answers.lull(all, current?.rootCluster);
  else await all;
  const clusters = answers.waiting();
  if (clusters.length > 0) {
    const listing = all.then(() => answers.take());
    listing.catch(() => {}); // told when it is waited for
    return { ...answers.take(), late: { clusters, listing } };
  }
  await all;
  const listing = answers.take();
  if (listing.databases.length === 0 && listing.failures.length > 0) throw oneFailure(listing.failures);
  return listing;
}

/** What clusters that are asked at the same time have answered. */
class Answers {
  readonly #signal: AbortSignal;
  readonly #waiting = new Set<{ cluster: string }>();
  #databases: ListedDatabase[] = [];
  #failures: TeleportError[] = [];
  #answered = 0;
  #wake = () => {};

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Undefined when it has failed, which is kept. @throws when the command was stopped */
  async from<T>(cluster: string, work: () => Promise<T>): Promise<T | undefined> {
    const asked = { cluster };
    this.#waiting.add(asked);
    try {
      return await work();
    } catch (error) {
      this.#signal.throwIfAborted();
      this.#failures.push(failureOf(cluster, error));
      return undefined;
    } finally {
      this.#waiting.delete(asked);
      this.#answered += 1;
      this.#wake();
    }
  }

  async listing(cluster: string, work: () => Promise<ListedDatabase[]>): Promise<void> {
    const found = await this.from(cluster, work);
    this.#databases.push(...(found ?? []));
  }

  /** Clusters that have not answered. */
  waiting(): string[] {
    return [...this.#waiting].map(({ cluster }) => cluster).sort();
  }

  /**
   * Resolves when all is there, or when nothing has come for a while.
   *
   * @param first  a cluster that is waited for in any case
   * @throws when the command was stopped
   */
  async lull(all: Promise<unknown>, first: string | undefined): Promise<void> {
    let isOver = false;
    const end = () => {
      isOver = true;
      this.#wake();
    };
    void all.then(end, end);
    for (let isQuiet = false; !isOver && !isQuiet; ) {
      const before = this.#answered;
      const next = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await settledWithin(next, LULL_MS, this.#signal);
      this.#signal.throwIfAborted();
      const isWanted = this.#databases.length === 0 || this.waiting().includes(first ?? '');
      isQuiet = this.#answered === before && !isWanted;
    }
  }

  /** What has come since the last time. */
  take(): Listing {
    const databases = this.#databases.sort((a, b) => compare(placeOf(a), placeOf(b)));
    const failures = this.#failures;
    this.#databases = [];
    this.#failures = [];
    return { databases, failures };
  }
}

/** None for a person who may not list them. */
async function leavesOf(env: Env, access: ClusterAccess): Promise<LeafCluster[]> {
  return await access.leaves().catch((error: unknown) => {
    if (!isTeleportError(error, 'AccessDenied')) throw error;
    env.log.debug('Cannot list leaf clusters.', { error: messageOf(error) });
    return [];
  });
}

/** Whether the databases of the login at AWS are meant too. */
async function hasAws(env: Env, args: DbArgs): Promise<boolean> {
  if (hasAwsFlag(args)) return true;
  if (args.proxy || args.identity || args.cluster) return false;
  return (await personalIdentities(env).lastName()) !== undefined;
}

async function isWithoutCluster(env: Env, args: DbArgs): Promise<boolean> {
  return hasAwsFlag(args) || (await personalStore(env).currentName()) === undefined;
}

async function listAws(env: Env, args: DbArgs, filter: DatabaseFilter): Promise<ListedDatabase[]> {
  await using access = await openAccess(env, { ...args, aws: true });
  return await listDatabasesOf(access, filter, ['--aws']);
}

function failureOf(cluster: string, cause: unknown): TeleportError {
  const why = messageOf(cause);
  const message = why.includes(cluster) ? why : `failed to list databases for cluster ${cluster}: ${why}`;
  const { code, hint } = isTeleportError(cause) ? cause : { code: 'ConnectionProblem' as const, hint: undefined };
  return new TeleportError(code, message, { cause, hint });
}

/** The arguments of a command that goes to another login: proxy and person are the profile's. */
function ofOther(args: DbArgs, { profile }: LoginSession): DbArgs {
  return { ...args, proxy: profile.webProxyAddr, user: undefined };
}

function isUsable(env: Env, session: LoginSession): boolean {
  if (isLive(session, env.now())) return true;
  env.stderr.write(`Credentials expired for proxy "${session.profile.webProxyAddr}", skipping...\n`);
  return false;
}

function placeOf({ proxy = '', cluster = '', database }: ListedDatabase): string[] {
  return [proxy, cluster, database.metadata.name];
}

function compare(a: readonly string[], b: readonly string[]): number {
  const i = a.findIndex((part, at) => part !== b[at]);
  return i < 0 ? 0 : a[i]! < b[i]! ? -1 : 1;
}
