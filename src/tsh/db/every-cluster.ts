/**
 * Databases of all clusters of all logins, and of the login at AWS, for `tsh db ls --all`. A cluster that gives no answer
 * is reported after the list of the others. Source: cli.md 4.1.
 */
import type { DatabaseFilter } from '../../access/access.js';
import { hasAwsFlag } from '../../access/args.js';
import { personalIdentities } from '../../access/aws/identities.js';
import type { ClusterAccess } from '../../access/cluster/access.js';
import { openCluster } from '../../access/cluster/open.js';
import { currentSession, personalStore } from '../../access/login/session.js';
import { openAccess } from '../../access/open.js';
import type { Env } from '../../cli/env.js';
import { isTeleportError, messageOf, TeleportError } from '../../errors.js';
import type { LoginSession } from '../../profile/session.js';
import { isLive, otherSessions } from '../status.js';
import type { DbArgs } from './args.js';
import { listDatabasesOf, oneFailure } from './list.js';
import { inParallel } from './parallel.js';
import type { ListedDatabase } from './table.js';

/** Leaves of one proxy that are asked at once. Teleport's number. */
const MOST_AT_ONCE = 10;
/** How long a leaf may take over an answer: one that hangs must not keep the others from being shown. Our own limit. */
const LEAF_DEADLINE_MS = 5_000;

/** @throws when there is no login at all, and when nothing was found and a cluster gave no answer */
export async function everyDatabase(
  env: Env,
  args: DbArgs,
  filter: DatabaseFilter,
): Promise<{ databases: ListedDatabase[]; failures: TeleportError[] }> {
  const withAws = await hasAws(env, args);
  const current = withAws && (await isWithoutCluster(env, args)) ? undefined : await currentSession(env, args);
  const others = args.identity || !current ? [] : await otherSessions(current.store, current.name);
  const databases: ListedDatabase[] = [];
  const failures: TeleportError[] = [];
  const guarded = async (cluster: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      env.signal.throwIfAborted();
      failures.push(failureOf(cluster, error));
    }
  };
  const open = (session: LoginSession, cluster: string, deadlineMs?: number) => {
    const place = session === current ? args : ofOther(args, session);
    return openCluster(env, { ...place, cluster }, deadlineMs);
  };
  const list = async (session: LoginSession, access: ClusterAccess) => {
    const cluster = access.clusterName;
    const isSelected = cluster === (session.profile.cluster ?? session.cluster);
    const flags = [
      ...(session === current && !args.proxy ? [] : [`--proxy=${session.profile.webProxyAddr}`]),
      ...(isSelected ? [] : [`--cluster=${cluster}`]),
    ];
    databases.push(...(await listDatabasesOf(access, filter, flags)));
  };
  const listLeaf = (session: LoginSession, cluster: string) =>
    guarded(cluster, async () => {
      await using access = await open(session, cluster, cluster === session.rootCluster ? undefined : LEAF_DEADLINE_MS);
      await list(session, access);
    });
  const listProfile = async (session: LoginSession) => {
    if (args.cluster) return await listLeaf(session, args.cluster);
    await guarded(session.rootCluster, async () => {
      await using access = await open(session, session.rootCluster);
      // First and alone: a login that has run out is made anew here, and asked for once.
      const leaves = await access.leaves().catch((error: unknown) => {
        if (!isTeleportError(error, 'AccessDenied')) throw error;
        env.log.debug('Cannot list leaf clusters.', { error: messageOf(error) });
        return [];
      });
      await Promise.all([
        guarded(session.rootCluster, () => list(session, access)),
        inParallel(leaves, MOST_AT_ONCE, ({ name }) => listLeaf(session, name)),
      ]);
    });
  };
  if (current) await listProfile(current);
  if (withAws) await guarded('AWS', () => listAws(env, args, filter, databases));
  await Promise.all(others.filter((session) => isUsable(env, session)).map(listProfile));
  if (databases.length === 0 && failures.length > 0) throw oneFailure(failures);
  return { databases: databases.sort((a, b) => compare(placeOf(a), placeOf(b))), failures };
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

async function listAws(env: Env, args: DbArgs, filter: DatabaseFilter, to: ListedDatabase[]): Promise<void> {
  await using access = await openAccess(env, { ...args, aws: true });
  to.push(...(await listDatabasesOf(access, filter, ['--aws'])));
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
